// The memory that the workers, the addon and the main thread share. Everything here is plain
// words at fixed offsets in SharedArrayBuffers; nothing is cloned and nothing is locked.
//
// Two rules keep it safe without locks:
//   - One writer per word. The writer is named beside each field; of several inbound workers it is the
//     one that owns the cable (ownerOf). The send counter of a key slot is the single exception:
//     native `seal` takes nonces by an atomic fetch-add, from any worker.
//   - Immutable once published. A key slot, a remote or a routing table never changes in place.
//     Publishing is one Atomics.store of an index into a cable's row; a retired entry is wiped and
//     reused only after every outbound worker has ended a breath begun after its retirement (memory.ts).
//
// native/layout.h has the same numbers; test/unit/native/layout.test.ts compares the two.

/** Hard limits of one data path. What does not fit is refused with a reason, never truncated. */
export const limits = {
  /** Cables (WireGuard peers and VXLAN remotes together). */
  cables: 16_384,
  /**
   * Key slots: previous, current and next of every cable, and one that waits for reuse or is older
   * still (crypto/keypair.ts).
   */
  slots: 65_536,
  /** Remotes: the current one of each cable, and as many again that wait for reuse. */
  remotes: 32_768,
  /** Entries of the receiver-index table: a power of two, twice the number of slots. */
  indexEntries: 131_072,
} as const

/** How the payload of a slot is put on the wire (word SLOT.METHOD). */
export const method = {
  free: 0,
  chacha20Poly1305: 1,
  aes256Gcm: 2,
  vxlan: 3,
} as const

/**
 * A key slot: 256 bytes, little-endian, byte offsets. Written by the inbound worker before it is
 * published, then constant, the send counter excepted.
 *
 *    0 u32 method        4 u32 generation (differs at each reuse)   8 u32 cable
 *   12 u32 remote index (written in sealed messages)   16 u32 local index
 *   20 u32 flags (bit 0: this side was the initiator)
 *   24 u64 send counter: the next nonce (atomic, native seal)
 *   32 u64 reject after messages: neither sealed nor opened at or past this counter
 *   40 f64 rekey at message count      48 f64 created at, monotonic ms
 *   56 f64 rekey at, monotonic ms (Infinity for a responder)
 *   64 f64 reject at, monotonic ms (Infinity for VXLAN)
 *   96 send key, 32 bytes             128 receive key, 32 bytes
 *  160 VXLAN only: the 20 bytes in front of the EtherType: header 8, inner destination MAC 6,
 *      inner source MAC 6. Received frames must carry the same VNI and be addressed to the source
 *      MAC given here.
 */
export const SLOT = {
  BYTES: 256,
  METHOD: 0,
  GENERATION: 4,
  CABLE: 8,
  REMOTE_INDEX: 12,
  LOCAL_INDEX: 16,
  FLAGS: 20,
  SEND_COUNTER: 24,
  REJECT_AFTER_MESSAGES: 32,
  REKEY_AT_MESSAGES: 40,
  CREATED_AT_MS: 48,
  REKEY_AT_MS: 56,
  REJECT_AT_MS: 64,
  SEND_KEY: 96,
  RECEIVE_KEY: 128,
  VXLAN_HEADER: 160,
} as const

/**
 * The replay window of a slot: 1 032 bytes. u64 next (one more than the largest counter accepted,
 * 0 when none), then 128 u64 words used as a ring (RFC 6479). Written by native `open` in the
 * inbound worker, zeroed by the inbound worker when a slot is prepared.
 */
export const REPLAY = { BYTES: 1032, NEXT: 0, RING: 8, WORDS: 128 } as const

/**
 * A remote: 64 bytes, a UDP address and the local address that reaches it. Constant once published.
 *
 *    0 u16 family (2 = AF_INET, 10 = AF_INET6)   2 u16 port (host order)
 *    4 u32 IPv6 scope id                          8 address, 16 bytes (IPv4: the first 4)
 *   24 source address, 16 bytes (all zero: the kernel chooses)     40 u32 source ifindex (0: any)
 */
export const REMOTE = {
  BYTES: 64,
  FAMILY: 0,
  PORT: 2,
  SCOPE: 4,
  ADDRESS: 8,
  SOURCE: 24,
  SOURCE_IFINDEX: 40,
} as const

/**
 * A cable's row of Int32 words, read by all workers. Written by the inbound worker that owns the cable
 * unless said.
 */
export const CABLE = {
  WORDS: 16,
  /** Key slot to seal with, or -1 while there is none. */
  SLOT: 0,
  /** Index of the remote to send to, or -1 while none is known. */
  REMOTE: 1,
  /** MTU of the inner packet, bytes. */
  MTU: 2,
  /** Flags, `cableFlag`. 0: no such cable. */
  FLAGS: 3,
  /** Set to 1 by the outbound worker with a wake-up: a handshake is wanted. Inbound clears it. */
  WANTS_HANDSHAKE: 4,
  /** 0: the inbound worker wants to hear of the next send; outbound sets it to 1 with a wake-up. */
  WATCHED: 5,
  /** Counts the times that waiting packets were given up; outbound drops its queue on a change. */
  GAVE_UP: 6,
  /** Set to 1 by a sender: the remote's source address is gone. The inbound worker clears both. */
  SOURCE_FAILED: 7,
} as const

export const cableFlag = { present: 1, vxlan: 2 } as const

/**
 * A cable's row of Float64 instants, monotonic ms, 0 for never. The first half is written by the
 * outbound worker, the second by the inbound worker.
 */
export const INSTANT = {
  WORDS: 8,
  /** Outbound: the last authenticated datagram that was sent. */
  SENT: 0,
  /** Outbound: the last datagram with a packet in it that was sent. */
  DATA_SENT: 1,
  /** Outbound: the first data sent since the last authenticated datagram was received. */
  UNANSWERED: 2,
  /** Inbound: the last authenticated datagram that was received. */
  RECEIVED: 4,
  /** Inbound: the end of the last completed handshake, and below it the same by the wall clock. */
  HANDSHAKE: 5,
  HANDSHAKE_WALL: 6,
} as const

/**
 * Handshake initiations that wait for another pair's inbound worker: a ring with one writer, the
 * inbound worker of pair 0, and one reader. i32 written, i32 read (each by its side alone, counting
 * entries), then, from byte 64 on, entries of one message and the remote record that it came from.
 */
export const HANDOVERS = {
  BYTES: 64 + 256 * 256,
  WRITTEN: 0,
  READ: 1,
  FIRST: 64,
  ENTRY_BYTES: 256,
  ENTRIES: 256,
  MESSAGE: 0,
  /** An initiation's (crypto/messages.ts). */
  MESSAGE_BYTES: 148,
  REMOTE: 160,
} as const

/** The workers of a pair. Breath counters and counter blocks of pair `p` begin at p * worker.count. */
export const worker = { outbound: 0, inbound: 1, count: 2 } as const

/**
 * The pair whose inbound worker owns a cable: it has the session and publishes for it. Receiver
 * indices that it gives out name it in their low bits. VXLAN has no index: all of it is pair 0's.
 */
export function ownerOf(cable: number, isVxlan: boolean, pairs: number): number {
  return isVxlan ? 0 : cable & (pairs - 1)
}

/** All memory shared between the threads of one data path, as one pair of workers sees it. */
export interface SharedMemory {
  readonly pairs: number
  /** The pair whose view this is. */
  readonly pair: number
  /** limits.slots x SLOT.BYTES. */
  readonly slots: Uint8Array<SharedArrayBuffer>
  /** limits.slots x REPLAY.BYTES. */
  readonly replay: Uint8Array<SharedArrayBuffer>
  /** limits.remotes x REMOTE.BYTES. */
  readonly remotes: Uint8Array<SharedArrayBuffer>
  /**
   * Open addressing, two words an entry: receiver index, then slot + 1 (0: free). The home of an
   * index is (index * 0x9e3779b1) >>> 15 (limits.indexEntries entries); probing is linear. A table
   * for each pair: read by native `open`, written by the inbound worker, never during a call of `open`.
   */
  readonly indices: Int32Array<SharedArrayBuffer>
  /** limits.cables x CABLE.WORDS. */
  readonly cables: Int32Array<SharedArrayBuffer>
  /** limits.cables x INSTANT.WORDS: what inbound workers write, and the outbound worker of pair 0. */
  readonly instants: Float64Array<SharedArrayBuffer>
  /** By pair: where its outbound worker writes its instants, laid out alike. The first is `instants`. */
  readonly sent: readonly Float64Array<SharedArrayBuffer>[]
  /** By pair: handshake initiations on their way to its inbound worker, see cable/handovers.ts. */
  readonly handovers: readonly Uint8Array<SharedArrayBuffer>[]
  /** A breath counter for each worker, by pair: odd inside a breath, even outside. */
  readonly breaths: Int32Array<SharedArrayBuffer>
  /** Each worker's own counters, see counters.ts: pairs x workers x (limits.cables + 1) x COUNTER_WORDS. */
  readonly counters: readonly Float64Array<SharedArrayBuffer>[]
}
