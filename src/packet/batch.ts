// The memory of a batch. A batch is a table: one slab of bytes, one row of words per superpacket (a
// lone packet is a superpacket of one), one train of words per UDP message (a GRO or UDP_SEGMENT
// aggregate of equal datagrams, the last may be shorter).
// Stages fill the words of a row from left to right. Steady state allocates nothing.
//
//   outbound:  readTun fills rows -> stages decide -> seal cuts rows into trains -> sendUdp
//   inbound:   receiveUdp fills trains -> open turns trains into rows -> stages decide -> writeTun
//
// native/layout.h has the same numbers; test/unit/native/layout.test.ts compares the two.

import type { ContextMemory } from '../native.ts'
import type { SharedMemory } from '../tables/shared.ts'

/** Words of a row (64 bytes, one cache line). */
export const ROW = {
  WORDS: 16,
  /** Byte offset of the IP header in the slab, and the whole length of the packet from there. */
  OFFSET: 0,
  LENGTH: 1,
  /** A drop reason of tables/counters.ts; 0 while the row is alive. */
  DROP: 2,
  /** virtio gso_type: 0 none, 1 TCPv4, 4 TCPv6, 5 UDP. */
  GSO: 3,
  /** Payload bytes of each segment of a superpacket. */
  GSO_SIZE: 4,
  /** Where an unfinished checksum starts and, in the high half, its offset from there; 0: finished. */
  CSUM: 5,
  /** IP and transport header of a superpacket; 0 for a lone packet. */
  HEADER_LENGTH: 6,
  /** Datagrams that the row makes (outbound) or was made of (inbound). */
  SEGMENTS: 7,
  /** Key slot. */
  SLOT: 8,
  /** Outbound: index of the remote. */
  REMOTE: 9,
  /** Outbound: the socket to send from. */
  FD: 10,
  /** Outer TOS or traffic class: to send with, or received with. */
  TOS: 11,
  /** Cable, -1 while unknown. */
  CABLE: 12,
  /** Outbound: MTU that padding must not pass, low half; most segments in a train, high half. */
  PAD: 13,
  /** Inbound: the last train that brought a part of this row. */
  TRAIN: 13,
  /** Inbound: first piece and, in the high half, the number of pieces; 0: all in one at OFFSET. */
  PIECES: 14,
  /** Inbound: `KIND`. */
  KIND: 15,
} as const

/** Bytes of the largest packet that a row makes: of a segment, or of a lone packet. */
export function segmentBytes(rows: Int32Array, base: number): number {
  if (rows[base + ROW.GSO] === 0) return rows[base + ROW.LENGTH]
  return rows[base + ROW.HEADER_LENGTH] + rows[base + ROW.GSO_SIZE]
}

/** DROP of a row that is dealt with and goes no further, without being a drop. */
export const consumed = -1

/** What an inbound row is. */
export const KIND = { data: 0, keepalive: 1, message: 2 } as const

/** Words of a train (128 bytes). The remote record of shared.ts lies at word 8, 64 bytes long. */
export const TRAIN = {
  WORDS: 32,
  OFFSET: 0,
  LENGTH: 1,
  /** Bytes of each datagram but the last, which may be shorter. */
  SEGMENT_SIZE: 2,
  TOS: 3,
  FD: 4,
  /** Inbound: -1, or the slot of the VXLAN cable that the train belongs to. */
  SLOT: 5,
  /** Outbound: datagrams of this train that have left. */
  SENT: 6,
  /** Outbound: the cable, for counting. */
  CABLE: 7,
  REMOTE: 8,
  /**
   * Inbound: why datagrams of it went no further, and which: bit n of 4 words for datagram n. Those
   * that another reason befell are not among them. Set by `open`; whoever reads it clears it before.
   */
  DROP: 24,
  DROPPED: 25,
} as const

/** Datagrams of a train that TRAIN.DROPPED has a bit for. */
export const DROPPED_BITS = 128

/** Inbound slab: bytes between the buffers of two trains, and the room in front of each. */
export const TRAIN_BYTES = 65_536 + 128
export const TRAIN_HEADROOM = 64

/** Results of the last call, doubles. */
export const STATE = {
  WORDS: 16,
  NOW_MS: 0,
  ERRNO: 1,
  DRAINED: 2,
  /** Outbound: trains and bytes in the send slab; sendUdp's caller resets them. */
  TRAINS: 3,
  SEND_BYTES: 4,
  /** Written by JavaScript: bit 0, open may coalesce TCP; bit 1, UDP. */
  COALESCE: 5,
} as const

/** Largest superpacket (16-bit length) with its virtio header, and where a row starts. */
export const ROW_BYTES = 65_535
export const ROW_HEADROOM = 64

export const POLL = { WORDS: 3, IN: 1, OUT: 4, ERR: 8, WAKE: 0x1_0000 } as const

export interface BatchSize {
  readonly slabBytes: number
  readonly rows: number
  readonly trains: number
  readonly pieces: number
  readonly sendSlabBytes: number
}

/** A batch's memory. `counters` is the worker's own block. */
export function createBatch(
  size: BatchSize,
  shared: SharedMemory,
  counters: Float64Array,
): ContextMemory {
  return {
    slab: new Uint8Array(size.slabBytes),
    rows: new Int32Array(size.rows * ROW.WORDS),
    trains: new Int32Array(size.trains * TRAIN.WORDS),
    pieces: new Int32Array(size.pieces * 2),
    sendSlab: new Uint8Array(size.sendSlabBytes),
    state: new Float64Array(STATE.WORDS),
    polls: new Int32Array(8 * POLL.WORDS),
    counters,
    shared,
  }
}
