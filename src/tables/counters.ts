// Counters and drop reasons. Each worker has a block of its own and is its only writer (TypeScript
// and the addon of one worker run in one thread); readers add the blocks up. Values are doubles,
// whole numbers below 2^53. Row `limits.cables` counts what belongs to no known cable.
//
// A drop reason is also the index of its counter in a cable's row, and the `reason` label in
// status, captures and metrics. native/layout.h names those that the addon sets.

import { limits, type SharedMemory } from './shared.ts'

/** Why a packet or datagram went no further. 0 is "it went on". */
export const drop = {
  none: 0,
  // Frames read from the TUN device.
  malformedFrame: 1,
  malformedPacket: 2,
  linkLocal: 3,
  noRoute: 4,
  noRemote: 5,
  tooBig: 6,
  routingLoop: 7,
  queueFull: 8,
  handshakeTimeout: 9,
  keyExhausted: 10,
  fragmentFailed: 11,
  // Datagrams sent.
  sendFailed: 12,
  // Datagrams received.
  malformedDatagram: 13,
  unknownIndex: 14,
  keyExpired: 15,
  authenticationFailed: 16,
  replayed: 17,
  counterExhausted: 18,
  malformedInner: 19,
  sourceNotAllowed: 20,
  ecnNotCapable: 21,
  truncatedDatagram: 22,
  // Sealed with no key slot, or a table that has no room for one.
  noSlot: 23,
  // Handshake messages.
  badMac1: 24,
  rateLimited: 25,
  handshakeQueueFull: 26,
  handshakeDecryptFailed: 27,
  unknownPeer: 28,
  replayedTimestamp: 29,
  initiationFlood: 30,
  responseMismatch: 31,
  presharedKeyMismatch: 32,
  badCookieReply: 33,
  ownKey: 34,
  // VXLAN.
  vxlanHeader: 35,
  vxlanWrongRemote: 36,
  vxlanWrongMac: 37,
  arpTimeout: 38,
  // Answers, what is written to the TUN device, and what is not ours.
  icmpRateLimited: 39,
  tunWriteFailed: 40,
  foreignUnread: 41,
  foreignRateLimited: 42,
  // A handshake with a cipher that the cable does not enable.
  cipherNotEnabled: 43,
  // A handshake message while the TUN device is down: no session is made then.
  deviceDown: 44,
} as const

export type DropReason = (typeof drop)[keyof typeof drop]

/** Names of the drop reasons in kebab-case, as status and metrics show them, by code. */
export const dropNames: readonly string[] = Object.keys(drop).map(name =>
  name.replace(/[A-Z]+/g, part => `-${part.toLowerCase()}`),
)

/** Columns of a cable's counter row behind the drop reasons. */
export const COUNTER = {
  WORDS: 64,
  /** Datagrams and their UDP payload bytes that were authenticated or accepted, handshakes included. */
  RX_DATAGRAMS: 48,
  RX_BYTES: 49,
  TX_DATAGRAMS: 50,
  TX_BYTES: 51,
  /** Inner packets, and the superpackets in which they crossed the TUN device. */
  RX_PACKETS: 52,
  RX_SUPERPACKETS: 53,
  TX_PACKETS: 54,
  TX_SUPERPACKETS: 55,
  HANDSHAKES: 56,
  HANDSHAKES_SENT: 57,
  HANDSHAKES_RECEIVED: 58,
  KEEPALIVES_SENT: 59,
  KEEPALIVES_RECEIVED: 60,
  ICMP_SENT: 61,
  /** Trains that were sent, in the row of no cable: datagrams per train tell how offload does. */
  TRAINS: 62,
  /** Segments sent one by one because the kernel refused the train (EMSGSIZE, EIO). */
  UNSEGMENTED: 63,
} as const

/** The row for what belongs to no known cable. */
export const noCable = limits.cables

/** Adds up one counter over the workers. */
export function readCounter(memory: SharedMemory, cable: number, column: number): number {
  let sum = 0
  for (const block of memory.counters) sum += block[cable * COUNTER.WORDS + column]
  return sum
}
