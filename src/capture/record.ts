// A record of a capture ring: 16 words in the order of the machine, then bytes, padded to 8.
//
//     0 LENGTH    of the record            8 SIZE      payload of each segment
//     1 STAGE     `stage`                  9 SEGMENTS  1: a lone packet
//     2 OUTBOUND  1: towards the network  10 KEPT      of that, bytes that are stored
//     3 SECONDS   wall clock, u32         11 CSUM      unfinished checksum, as ROW.CSUM
//     4 NANOS                             12 STORED    bytes behind the words
//     5 CABLE     noCable: none           13 DROP      why it goes no further, 0: it does
//     6 WHOLE     bytes of the packet     14, 15       0
//     7 HEADER    of each segment
//
// A lone packet is stored from its IP header on, as much as is asked for. Of a superpacket there is
// the header, then of every segment the first KEPT bytes of payload. A train of datagrams looks like a
// superpacket of UDP. A LENGTH of 0 says that the next record is at the start of the ring.

export const RECORD = {
  WORDS: 16,
  BYTES: 64,
  LENGTH: 0,
  STAGE: 1,
  OUTBOUND: 2,
  SECONDS: 3,
  NANOS: 4,
  CABLE: 5,
  WHOLE: 6,
  HEADER: 7,
  SIZE: 8,
  SEGMENTS: 9,
  KEPT: 10,
  CSUM: 11,
  STORED: 12,
  DROP: 13,
} as const

/** Where a packet was seen: in front of the cable, or on the wire. A secret is no packet. */
export const stage = { inner: 0, wire: 1, secret: 2, count: 3 } as const

/** Names of the stages that hold packets, as filters and interface blocks show them. */
export const stageNames = ['inner', 'wire'] as const
