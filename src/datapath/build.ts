// Builds the two halves of a data path over a native interface: the addon in the workers, the same
// with other devices in the simulation. All sizes of the path's memory stand here.

import { handOver } from '../cable/handovers.ts'
import { Outbox } from '../cable/outbox.ts'
import { Publisher } from '../cable/publisher.ts'
import { sentInstants } from '../cable/sent-instants.ts'
import { VxlanDriver } from '../cable/vxlan.ts'
import { WireguardDriver } from '../cable/wireguard.ts'
import { Tap } from '../capture/tap.ts'
import { Protocol, type ProtocolDeps } from '../crypto/protocol.ts'
import type { BreathFunctions, Context, ContextMemory } from '../native.ts'
import { type BatchSize, createBatch, ROW_BYTES, STATE, TRAIN_BYTES } from '../packet/batch.ts'
import { icmpErrorBytes } from '../packet/icmp-error.ts'
import { PacketView } from '../packet/packet-view.ts'
import type { CipherName } from '../tables/cipher.ts'
import { limits, type SharedMemory, worker } from '../tables/shared.ts'
import { Answers } from './answers.ts'
import { ForeignGate, type ForeignSink } from './foreign.ts'
import { Inbound } from './inbound.ts'
import { type Lane, Outbound } from './outbound.ts'
import { Sender } from './sender.ts'

export type NativePath = BreathFunctions & { createContext(memory: ContextMemory): Context }

const superpacketBytes = ROW_BYTES + 1

/** A superpacket may have so many segments (native kMaxSegments), each a train of its own. */
const trainsMax = 1024

const sizes = {
  /** Up to 16 whole superpackets, or 256 small packets, per breath; sent in 8 trains at a time. */
  outbound: {
    slabBytes: 16 * (superpacketBytes + 128),
    rows: 256,
    trains: trainsMax,
    pieces: 0,
    sendSlabBytes: 8 * superpacketBytes,
  },
  side: {
    slabBytes: 4 * superpacketBytes,
    rows: 128,
    trains: trainsMax,
    pieces: 0,
    sendSlabBytes: 4 * superpacketBytes,
  },
  answers: {
    slabBytes: 32 * icmpErrorBytes + 128,
    rows: 32,
    trains: 0,
    pieces: 0,
    sendSlabBytes: 0,
  },
  /** 16 trains of at most 128 datagrams. */
  inbound: {
    slabBytes: 16 * TRAIN_BYTES,
    rows: 16 * 128,
    trains: 16,
    pieces: 16 * 128,
    sendSlabBytes: 0,
  },
  outbox: { slabBytes: 4096, rows: 256, trains: 256, pieces: 0, sendSlabBytes: 64 * 1024 },
} as const satisfies Record<string, BatchSize>

export interface OutboundOptions {
  readonly native: NativePath
  readonly memory: SharedMemory
  readonly tunFd: number
  readonly segmentsMax: number
  /** Wakes the inbound worker of a pair. */
  readonly wakeInbound: (pair: number) => void
  readonly tellUp: () => void
  readonly monotonicMs: () => number
}

export interface BuiltOutbound {
  readonly outbound: Outbound
  readonly tap: Tap
  /** The context and batch to poll with. */
  readonly context: Context
  readonly batch: ContextMemory
}

export function buildOutbound(options: OutboundOptions): BuiltOutbound {
  const { native, memory, monotonicMs } = options
  const counters = memory.counters[memory.pair * worker.count + worker.outbound]
  // Nothing is received here, and so no receiver index looked up.
  const tap = new Tap({ memory, monotonicMs, slotOfIndex: () => -1 })
  const unsegmented = new Int32Array(limits.cables).fill(-1)
  const lane = (size: BatchSize): Lane => {
    const batch = createBatch(size, memory, counters)
    const context = native.createContext(batch)
    const sender = new Sender(native, context, batch, memory, unsegmented, tap)
    return { batch, context, sender, packet: new PacketView(batch.slab) }
  }
  const main = lane(sizes.outbound)
  const answersBatch = createBatch(sizes.answers, memory, counters)
  const answers = new Answers(native.createContext(answersBatch), answersBatch, tap)
  const outbound = new Outbound({
    ...options,
    counters,
    main,
    side: lane(sizes.side),
    answers,
    unsegmented,
    tap,
  })
  return { outbound, tap, context: main.context, batch: main.batch }
}

export interface InboundOptions {
  readonly native: NativePath
  readonly memory: SharedMemory
  readonly tunFd: number
  readonly coalesce: number
  readonly xchacha: ProtocolDeps['xchacha']
  readonly random: ProtocolDeps['random']
  readonly wallNowMs: () => number
  readonly autoCiphers: readonly CipherName[]
  readonly monotonicMs: () => number
  /** Wakes every outbound worker: packets may wait in any of them. */
  readonly wakeOutbound: () => void
  /** Wakes the inbound worker of another pair: something was handed over. */
  readonly wakeInbound: (pair: number) => void
  readonly foreignSink: ForeignSink
}

export interface BuiltInbound {
  readonly inbound: Inbound
  readonly tap: Tap
  readonly wireguard: WireguardDriver
  readonly vxlan: VxlanDriver
  readonly outbox: Outbox
  readonly publisher: Publisher
  readonly context: Context
  readonly batch: ContextMemory
}

export function buildInbound(options: InboundOptions): BuiltInbound {
  const { native, memory, wakeOutbound, wakeInbound, monotonicMs } = options
  const counters = memory.counters[memory.pair * worker.count + worker.inbound]
  const batch = createBatch(sizes.inbound, memory, counters)
  const context = native.createContext(batch)
  batch.state[STATE.COALESCE] = options.coalesce
  const outboxBatch = createBatch(sizes.outbox, memory, counters)
  const outboxContext = native.createContext(outboxBatch)
  const unsegmented = new Int32Array(limits.cables).fill(-1)
  const publisher = new Publisher(memory, counters)
  const slotOfIndex = (index: number) => publisher.indices.get(index)
  const tap = new Tap({ memory, monotonicMs, slotOfIndex })
  const sender = new Sender(native, outboxContext, outboxBatch, memory, unsegmented, tap)
  const outbox = new Outbox(outboxBatch, sender)
  const sent = sentInstants(memory)
  const protocol = new Protocol({
    aead: native.handshakeAead,
    xchacha: options.xchacha,
    random: options.random,
    sent,
    place: { pair: memory.pair, pairs: memory.pairs },
    wantsEphemerals: () => tap.wantsSecrets,
  })
  const { wallNowMs, autoCiphers } = options
  const wireguard = new WireguardDriver({
    ...{ protocol, publisher, outbox, wallNowMs, autoCiphers, wakeOutbound },
    secrets: tap,
    handOver: (pair, message, remote) => {
      if (!handOver(memory.handovers[pair], message, remote)) return false
      wakeInbound(pair)
      return true
    },
  })
  const vxlan = new VxlanDriver(publisher, outbox, sent, wakeOutbound)
  const foreign = new ForeignGate(options.foreignSink)
  const packet = new PacketView(batch.slab)
  const { tunFd } = options
  const inbound = new Inbound({
    ...{ native, context, batch, packet, tunFd, publisher, wireguard, vxlan, outbox, foreign, tap },
  })
  return { inbound, tap, wireguard, vxlan, outbox, publisher, context, batch }
}
