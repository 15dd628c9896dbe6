// A capture as both sides of the wall know it: what is asked for, and the blocks that come back.
// Blocks hold records of src/capture/record.ts, which only the data path's workers write and whoever
// shows them reads; on the way between nobody looks into them.

export interface CaptureRequest {
  /** Names of cables; absent: all, and what belongs to none. */
  readonly cables?: readonly string[]
  /** An expression (src/capture/filter.ts); empty: everything. */
  readonly filter: string
  /** Bytes kept of each packet, from its IP header on. */
  readonly snaplenBytes: number
  /** Superpackets whole; else as the segments that leave or came. */
  readonly whole: boolean
  /** Packets of the pods, and datagrams on the wire. */
  readonly inner: boolean
  readonly wire: boolean
  /** Asks the cables for new sessions and tells the ephemeral keys of their handshakes. */
  readonly keys: boolean
}

export interface CaptureBlock {
  /** Records of the two workers, each in the order of time. */
  readonly outbound: Uint8Array
  readonly inbound: Uint8Array
  /** Names by index: those that this block is the first to need, or that have changed. */
  readonly cables: readonly (readonly [index: number, name: string])[]
  /** Packets lost so far because the reader was too slow: by cable (`noCable`: none) and stage. */
  readonly lost: readonly LostPackets[]
}

export interface LostPackets {
  readonly cable: number
  readonly stage: number
  readonly count: number
}

export interface CaptureReader {
  /** What there is, at most about `bytesMax`; undefined when there is nothing. */
  read(bytesMax: number): Promise<CaptureBlock | undefined>
  /** Resolves when nothing more is captured; what was is still there to be read. */
  stop(): Promise<void>
  /** Call it when nothing will be read any more. */
  wipe(): void
}

export const captureLimits = {
  /** At the same time, on one data path. */
  captures: 4,
  filterBytes: 4096,
  /** Cables that new sessions are asked of. */
  keyCables: 64,
  snaplenBytes: { least: 64, most: 65_535 },
} as const
