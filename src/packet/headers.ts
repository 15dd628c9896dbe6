// Where the fields of the headers lie that the packet path reads, as byte offsets from the start of
// the header named. All fields are big-endian. The numbers are used with direct indexing of a slab;
// nothing here is an accessor, because an offset costs nothing.
//
// IPv4: RFC 791 3.1. IPv6: RFC 8200 3 and 4. TCP: RFC 9293 3.1. UDP: RFC 768.
// ICMP: RFC 792, RFC 1191 4. ICMPv6: RFC 4443 2.1. ECN: RFC 3168 5.

/**
 *  0               1               2               3
 * |version|  IHL  |    DSCP   |ECN|         total length          |  0
 * |        identification         |R|D|M|     fragment offset     |  4   D: don't fragment, M: more
 * | time to live  |   protocol    |       header checksum         |  8
 * |                        source address                         | 12
 * |                      destination address                      | 16
 * |                  options, IHL * 4 - 20 bytes                  | 20
 */
export const IPV4 = {
  MIN_BYTES: 20,
  TOS: 1,
  TOTAL_LENGTH: 2,
  IDENTIFICATION: 4,
  FRAGMENT: 6,
  TTL: 8,
  PROTOCOL: 9,
  CHECKSUM: 10,
  SOURCE: 12,
  DESTINATION: 16,
  OPTIONS: 20,
  /** Bits of the 16-bit word at FRAGMENT; the offset counts units of 8 bytes. */
  DONT_FRAGMENT: 0x4000,
  MORE_FRAGMENTS: 0x2000,
  FRAGMENT_OFFSET: 0x1fff,
} as const

/**
 *  0               1               2               3
 * |version| traffic class |              flow label               |  0
 * |        payload length         |  next header  |   hop limit   |  4
 * |                   source address, 16 bytes                    |  8
 * |                 destination address, 16 bytes                 | 24
 *
 * The ECN bits are the last two of the traffic class: bits 0x30 of byte 1.
 */
export const IPV6 = {
  BYTES: 40,
  PAYLOAD_LENGTH: 4,
  NEXT_HEADER: 6,
  HOP_LIMIT: 7,
  SOURCE: 8,
  DESTINATION: 24,
} as const

/**
 * Hop-by-hop options, routing and destination options (RFC 8200 4.3, 4.4, 4.6):
 *
 * |  next header  | 8-byte units behind the first |  …
 *
 * The fragment header (4.5) always has 8 bytes; its offset is that of IPv4 in the same unit:
 *
 * |  next header  |   reserved    |     fragment offset     |Res|M|
 * |                        identification                         |
 */
export const EXTENSION = {
  NEXT_HEADER: 0,
  UNITS: 1,
  UNIT_BYTES: 8,
  FRAGMENT: 2,
  FRAGMENT_OFFSET: 0xfff8,
  MORE_FRAGMENTS: 1,
} as const

/** Protocol and next-header numbers that we tell apart (IANA). */
export const PROTOCOL = {
  HOP_BY_HOP: 0,
  ICMP: 1,
  TCP: 6,
  UDP: 17,
  DCCP: 33,
  ROUTING: 43,
  FRAGMENT: 44,
  ICMPV6: 58,
  DESTINATION_OPTIONS: 60,
  SCTP: 132,
  UDP_LITE: 136,
} as const

/**
 *  0               1               2               3
 * |          source port          |       destination port        |  0
 * |                        sequence number                        |  4
 * |                     acknowledgment number                     |  8
 * |words| Rsrvd |C|E|U|A|P|R|S|F|             window              | 12
 * |           checksum            |        urgent pointer         | 16
 * |                 options, words * 4 - 20 bytes                 | 20
 */
export const TCP = {
  MIN_BYTES: 20,
  SEQUENCE: 4,
  DATA_OFFSET: 12,
  FLAGS: 13,
  CHECKSUM: 16,
  OPTIONS: 20,
  SYN: 0x02,
} as const

/**
 * |          source port          |       destination port        |  0
 * |            length             |           checksum            |  4
 */
export const UDP = { BYTES: 8, LENGTH: 4, CHECKSUM: 6 } as const

/**
 * ICMP and ICMPv6 errors (RFC 792, RFC 4443 3.1, 3.2). The MTU of "fragmentation needed" is the
 * 16-bit word at 6 (RFC 1191 4), that of "packet too big" the 32-bit word at 4.
 *
 * |     type      |     code      |           checksum            |  0
 * |                       MTU, else unused                        |  4
 * |                as much of the packet as allowed               |  8
 */
export const ICMP = { BYTES: 8, TYPE: 0, CODE: 1, CHECKSUM: 2, MTU: 4, QUOTE: 8 } as const
