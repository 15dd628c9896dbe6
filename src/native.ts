// The only loader of the addon, and the whole of its interface: eight functions for breaths and
// fifteen for set-up. The addon does system calls, segmentation, AEAD over a batch and coalescing.
// It owns no policy, no thread and no timer and never calls back. JavaScript owns the memory; a
// context names the arrays that a call works on, so that the calls of a breath pass integers only.
//
// Conventions: counts are returned as they are, failures as -errno. Byte offsets are relative to
// the start of the context's slab (or its `sendSlab`). Times are monotonic milliseconds.

import { createRequire } from 'node:module'
import type { SharedMemory } from './tables/shared.ts'

/**
 * Memory of a context. A worker has one for each direction of travel that it serves.
 * Row, train and state words are described in packet/batch.ts.
 */
export interface ContextMemory {
  readonly slab: Uint8Array
  readonly rows: Int32Array
  readonly trains: Int32Array
  /** Pairs (offset, length): the pieces of a row that was coalesced out of several datagrams. */
  readonly pieces: Int32Array
  readonly sendSlab: Uint8Array
  /** Results of the last call, `STATE` in packet/batch.ts. */
  readonly state: Float64Array
  /** Triples (fd, events, revents) for poll. */
  readonly polls: Int32Array
  /** This worker's counter block. */
  readonly counters: Float64Array
  readonly shared: Pick<SharedMemory, 'slots' | 'replay' | 'remotes' | 'indices'>
}

/** A context's number, made by createContext. */
export type Context = number

export interface TunState {
  readonly name: string
  readonly mtuBytes: number
  readonly up: boolean
}

export interface OpenTunOptions {
  readonly name: string
  readonly multiQueue: boolean
  /** It outlives its descriptors from now on; one that is persistent already always stays so. */
  readonly persistent: boolean
  /** A persistent device of this name with another MULTI_QUEUE flag is deleted and made anew. */
  readonly mayReplace?: boolean
  /** MTU of a device that is made by this call; absent: the kernel's default. */
  readonly mtuBytes?: number
  /** Adopt this open descriptor of a TUN device instead of opening one (WG_TUN_FD). */
  readonly fd?: number
}

export interface TunOpened {
  readonly fd: number
  readonly name: string
}

export interface UdpOptions {
  readonly family: 4 | 6
  /** 0: the kernel chooses. */
  readonly port: number
  readonly fwmark: number
  readonly gro: boolean
  /** Drops whatever arrives, by a socket filter: for sockets that only add source ports. */
  readonly sendOnly?: boolean
  /**
   * With 2 and more, a power of two: the socket shares its port with as many others, opened in the
   * order of their pairs, and the kernel steers by the datagram. Responses, cookie replies and data
   * go to the pair in the low bits of their receiver index, everything else to the first.
   */
  readonly steerPairs?: number
}

export interface UdpOpened {
  readonly fd: number
  readonly port: number
  readonly receiveBufferBytes: number
  readonly sendBufferBytes: number
  /** Whether the kernel took UDP_GRO and knows UDP_SEGMENT. */
  readonly gro: boolean
  readonly segmentation: boolean
}

/** What the self-tests found; a reason stands for each mode that did not work. */
export interface OffloadProbe {
  readonly tunTso: boolean
  readonly tunUso: boolean
  readonly udpSegmentation: boolean
  readonly udpGro: boolean
  readonly reasons: Readonly<Record<string, string>>
}

export interface AeadForm {
  readonly form: string
  readonly reason: string
}

export interface Description {
  /** All layout constants that the addon was compiled with, by the names used in TypeScript. */
  readonly layout: Readonly<Record<string, number>>
  readonly cpu: readonly string[]
  /** AEAD forms compiled in, as `aes256Gcm/avx2`, and whether this CPU can execute them. */
  readonly forms: Readonly<Record<string, boolean>>
  /**
   * The form in force of each cipher: the best one, or what HAWSER_AEAD_CHACHA or HAWSER_AEAD_AES
   * ask for by name. `reason` says why it is not that one, else it is empty.
   */
  readonly aead: Readonly<Record<'chacha20Poly1305' | 'aes256Gcm', AeadForm>>
  readonly openssl: string
}

export interface IcmpOptions {
  readonly family: 4 | 6
  /** SO_BINDTODEVICE. */
  readonly device?: string
  /** An address of this machine, 4 or 16 bytes. */
  readonly source?: Uint8Array
}

/** A received echo reply: words of its row, then bytes of it. */
export const ECHO = {
  WORDS: 4,
  ...{ IDENTIFIER: 0, SEQUENCE: 1 },
  /** Monotonic, in ms: when the kernel had it. */
  RECEIVED_MS: 2,
  /** Of the payload, as far as it was kept. */
  LENGTH: 3,
  BYTES: 64,
  PAYLOAD: 16,
  PAYLOAD_MOST: 48,
} as const

/** Functions of a breath. */
export interface BreathFunctions {
  /**
   * Waits in one ppoll over the first `count` triples of `polls` and writes their revents. An
   * eventfd among them (events bit 0x10000) is drained when readable. `timeoutMs` may be fractional
   * or Infinity. Where the last call of this context found something within `lingerMs`, it looks again
   * and again for as long, between sched_yield calls, before it sleeps (0: never; a deadline may be
   * overslept by as much). Then stores the monotonic time in state[STATE.NOW_MS]. Returns the number
   * of ready descriptors; EINTR counts as 0.
   */
  poll(context: Context, count: number, timeoutMs: number, lingerMs: number): number
  /**
   * Reads superpackets from a TUN device into rows [firstRow, rows.length) until EAGAIN, or until
   * the slab from byte `firstByte` on or the rows are full. Fills OFFSET, LENGTH, GSO, GSO_SIZE,
   * CSUM, HEADER_LENGTH, SEGMENTS, sets CABLE to -1 and clears the other words. A frame with a virtio
   * header that does not fit its packet gets DROP = malformedFrame, which the caller counts. Returns the number of rows read, or -errno
   * (-EBADFD: the device was deleted). state[STATE.DRAINED] is 1 if EAGAIN was seen.
   */
  readTun(context: Context, fd: number, firstRow: number, firstByte: number): number
  /**
   * Writes rows [firstRow, endRow) whose DROP is 0 and whose KIND is data, each in one writev with
   * its virtio header. A failed row gets DROP = tunWriteFailed, is counted under its CABLE, and the
   * rest goes on. Returns the number of rows written, or -errno when the device is gone or down
   * (-EBADFD, -EIO; then all rows that were left have failed).
   */
  writeTun(context: Context, fd: number, firstRow: number, endRow: number): number
  /**
   * Receives up to `maxTrains` trains with one recvmmsg into trains [firstTrain, …); train k has its
   * own 65 536 bytes at slab offset k * TRAIN_BYTES + TRAIN_HEADROOM. Fills OFFSET, LENGTH,
   * SEGMENT_SIZE, TOS, FD, the remote record (with source = the local address that was hit, zero for
   * broadcast and multicast); SLOT and CABLE become -1, SENT 0. At most 16 trains a call. A truncated
   * datagram gets LENGTH 0 and is counted. Returns the number of trains or -errno.
   */
  receiveUdp(context: Context, fd: number, firstTrain: number, maxTrains: number): number
  /**
   * Sends trains [firstTrain, endTrain), in order, one sendmmsg for each run of trains of one FD.
   * With `segmentation` 0 every datagram of a train is sent by itself. Returns the index of the
   * first train that was not sent whole; state[STATE.ERRNO] is 0 when all were sent, else the errno
   * that stopped it (EAGAIN among them; then TRAIN.SENT of that train counts the datagrams that left).
   * A train that is begun goes on at SENT. Counts TRAINS. A source that is no longer ours is EINVAL
   * or ENETUNREACH, a train with segments too big for the path EMSGSIZE.
   */
  sendUdp(context: Context, firstTrain: number, endTrain: number, segmentation: 0 | 1): number
  /**
   * Segments, finishes checksums of, and seals (or encapsulates) rows [firstRow, endRow) whose DROP
   * is 0, in order, appending to the trains of `sendSlab` from state[STATE.TRAINS] and
   * state[STATE.SEND_BYTES] on. A row of LENGTH 0 is a keepalive. Rows with the same REMOTE, FD and
   * TOS whose datagrams have the train's size share a train; a shorter datagram ends it.
   * Sets DROP = keyExhausted when the slot's counter has reached its limit, malformedFrame where the
   * virtio words do not fit the packet, tooBig where the whole send slab is too small, and counts
   * these drops. Counts TX_* of the cable. Returns the first row that was not consumed (there was
   * no room), endRow if all were.
   */
  seal(context: Context, firstRow: number, endRow: number): number
  /**
   * Opens (or decapsulates) all datagrams of trains [firstTrain, endTrain): receiver index -> slot,
   * AEAD, replay window, inner length; then coalesces within one slot. Fills rows from 0: data
   * (OFFSET, LENGTH, GSO …, SLOT, CABLE, TRAIN, TOS, PIECE_FIRST, PIECE_COUNT, SEGMENTS), keepalives
   * (KIND.keepalive), and what is no data message (KIND.message, with OFFSET, LENGTH, TRAIN), which is
   * TypeScript's to judge. A train whose SLOT word is not -1 is VXLAN of that slot. Drops are counted
   * under their cable. An authenticated packet with a bad inner header yields a row with
   * DROP = malformedInner, which the caller counts. Coalesces what state[STATE.COALESCE] allows.
   * RX_* count data and keepalives; messages are counted by who judges them. Marks in TRAIN.DROP and
   * DROPPED which datagrams it dropped itself. Returns the number of rows.
   */
  open(context: Context, firstTrain: number, endTrain: number, nowMs: number): number
  /**
   * One AEAD operation of a handshake, nonce 0: method as in shared.ts, `input` with its 16-byte tag
   * at the end when opening. Returns 0, or -EBADMSG when the tag is wrong.
   */
  handshakeAead(
    seal: boolean,
    methodCode: number,
    key: Uint8Array,
    additional: Uint8Array,
    input: Uint8Array,
    output: Uint8Array,
  ): number
}

/** Functions of set-up. They throw an Error with `code` (an errno name) and `errno` on failure. */
export interface SetupFunctions {
  createContext(memory: ContextMemory): Context
  openTun(options: OpenTunOptions): TunOpened
  /** Sets the offload mask (TUN_F_*) of a TUN device. Returns 0 or -errno. */
  setTunOffload(fd: number, mask: number): number
  /** Name, MTU and state of a device, also when it was moved to another network namespace. */
  tunState(fd: number): TunState
  openUdp(options: UdpOptions): UdpOpened
  /** SO_MARK of a socket. Returns 0 or -errno. */
  setFwmark(fd: number, mark: number): number
  createWake(): number
  wake(fd: number): void
  /**
   * Tries each offload in a network namespace of its own, made and left by this call: superpackets
   * written to and read from a TUN device, a UDP_SEGMENT train received by UDP_GRO over loopback,
   * byte for byte. Without the right to make a namespace (CAP_SYS_ADMIN) the modes count as working
   * if the kernel knows their options, and `reasons` says "not tested".
   */
  probeOffloads(): OffloadProbe
  describe(): Description
  /**
   * PR_SET_DUMPABLE 0, RLIMIT_CORE 0; drops every capability but those named by number.
   * An empty list keeps all of them.
   */
  secureProcess(keepCapabilities: readonly number[]): void
  /** Uid, gid and pid at the other end of a connected unix socket. */
  peerCredentials(fd: number): { uid: number; gid: number; pid: number }
  /** A socket for echo requests and replies, closed like any descriptor. */
  openIcmp(options: IcmpOptions): number
  /**
   * Sends an echo request to 4 or 16 bytes of address, with at most ECHO.PAYLOAD_MOST bytes. Returns
   * the monotonic time of it in ms, or -errno. Never waits.
   */
  sendEcho(
    fd: number,
    to: Uint8Array,
    identifier: number,
    sequence: number,
    payload: Uint8Array,
  ): number
  /**
   * The replies that have arrived, on a raw socket those to other processes too: row k in
   * words[1 + k * ECHO.WORDS …] and bytes[k * ECHO.BYTES …], the address first (IPv4: 4 bytes), the
   * payload from ECHO.PAYLOAD on. Adds to words[0] what was no echo reply. Returns the number of
   * rows, or -errno. Never waits.
   */
  receiveEchoes(fd: number, words: Float64Array, bytes: Uint8Array): number
}

export interface Native extends BreathFunctions, SetupFunctions {}

const require = createRequire(import.meta.url)

/** Loads the addon. Throws with the command to run when it has not been built. */
export function loadNative(): Native {
  const variant = process.env['HAWSER_NATIVE'] ?? 'build/Release'
  const file = new URL(`../native/${variant}/hawser.node`, import.meta.url).pathname
  try {
    return require(file) as Native
  } catch (cause) {
    throw new Error(`cannot load the addon ${file}: run \`npm run build:native\``, { cause })
  }
}
