// A whole gateway in one process on a virtual clock: both halves of the real data path, with the
// addon's own seal, open and handshake AEAD, over a TUN device and UDP sockets made of arrays.

import { createCipheriv, createHash } from 'node:crypto'
import sodium from 'libsodium-wrappers'
import { writeRemote } from '../../../src/cable/remotes.ts'
import { createRing, type Ring } from '../../../src/capture/ring.ts'
import type { TapOrder, TapSpec } from '../../../src/capture/tap.ts'
import { createXchacha } from '../../../src/crypto/xchacha.ts'
import { type ApplyMail, applyInbound, applyOutbound } from '../../../src/datapath/apply.ts'
import {
  type BuiltInbound,
  type BuiltOutbound,
  buildInbound,
  buildOutbound,
  type NativePath,
} from '../../../src/datapath/build.ts'
import { type CableIndices, planSnapshot } from '../../../src/datapath/snapshot.ts'
import { readCableStatus, readCounters } from '../../../src/datapath/status.ts'
import { type Context, type ContextMemory, loadNative } from '../../../src/native.ts'
import { formatAddress, parseRemote } from '../../../src/net/address.ts'
import {
  ROW,
  ROW_HEADROOM,
  STATE,
  TRAIN,
  TRAIN_BYTES,
  TRAIN_HEADROOM,
} from '../../../src/packet/batch.ts'
import { buildTrie, type PrefixTable } from '../../../src/routing/prefix-trie.ts'
import type { CipherName } from '../../../src/tables/cipher.ts'
import { createSharedMemory, stepBreath } from '../../../src/tables/memory.ts'
import { CABLE, REMOTE, type SharedMemory, worker } from '../../../src/tables/shared.ts'
import type { CableStatus } from '../../../src/tables/status.ts'
import { emptyTables, type Tables } from '../../../src/tables/tables.ts'
import type { Datagram, SimNetwork } from './network.ts'

await sodium.ready
const addon = loadNative()
const udpFd = 1000
const tunFd = 2000

export interface SimGatewayOptions {
  readonly network: SimNetwork
  /** `192.0.2.1:4500`. */
  readonly address: string
  readonly random: () => number
  /** Wall clock minus virtual clock, ms. */
  readonly wallOffsetMs?: number
  readonly mtuBytes?: number
  /** What `auto` means there; AES first. */
  readonly autoCiphers?: readonly CipherName[]
}

export class SimGateway {
  readonly memory: SharedMemory = createSharedMemory()
  /** Inner packets that came out of the TUN side, oldest first. */
  readonly received: Uint8Array[] = []
  /** Foreign datagrams. */
  readonly foreign: Uint8Array[] = []
  wallOffsetMs: number
  tables: Tables = emptyTables
  #address: string
  readonly #network: SimNetwork
  readonly #mtuBytes: number
  readonly #outbound: BuiltOutbound
  readonly #inbound: BuiltInbound
  readonly #tunQueue: Uint8Array[] = []
  readonly #udpQueue: Datagram[] = []
  readonly #contexts = new Map<Context, ContextMemory>()
  #indices: CableIndices = new Map()
  #routes: PrefixTable = buildTrie([])
  #isOutboundWoken = false
  #isInboundWoken = false
  #isStopped = false
  #wakeAtMs = Number.POSITIVE_INFINITY

  constructor(options: SimGatewayOptions) {
    this.#network = options.network
    this.#address = options.address
    this.#mtuBytes = options.mtuBytes ?? 1420
    this.wallOffsetMs = options.wallOffsetMs ?? 1.7e12
    const native = this.#native()
    const { memory } = this
    this.#outbound = buildOutbound({
      ...{ native, memory, tunFd, segmentsMax: 128 },
      wakeInbound: () => {
        this.#isInboundWoken = true
      },
      tellUp: () => {},
      monotonicMs: () => this.#network.nowMs,
    })
    this.#inbound = buildInbound({
      ...{ native, memory, tunFd, coalesce: 0 },
      xchacha: createXchacha(sodium),
      random: seededBytes(options.random),
      autoCiphers: options.autoCiphers ?? ['aes-256-gcm', 'chacha20-poly1305'],
      wallNowMs: () => this.#network.nowMs + this.wallOffsetMs,
      monotonicMs: () => this.#network.nowMs,
      wakeInbound: () => {
        throw new Error('there is one pair')
      },
      wakeOutbound: () => {
        this.#isOutboundWoken = true
      },
      foreignSink: bytes => {
        this.foreign.push(bytes)
        return true
      },
    })
    this.#listen()
  }

  get address(): string {
    return this.#address
  }

  /** Applies a snapshot as the main thread does. */
  apply(tables: Tables): void {
    const mtu = this.#mtuBytes
    const plan = planSnapshot(this.tables, this.#indices, mtu, tables, mtu)
    this.#routes = plan.routes ?? this.#routes
    const { privateKey, vxlan } = tables.device
    const isNewKey = privateKey !== this.tables.device.privateKey
    const mail: ApplyMail = {
      ...{ kind: 'apply', serial: 0, routes: this.#routes, vxlan, changes: plan.changes },
      sockets: { ipv4: udpFd, ipv6: udpFd, entropy4: [], entropy6: [] },
      privateKey: isNewKey ? { bytes: privateKey } : undefined,
    }
    // Each half gets a copy of its own, as by the mail.
    applyInbound(this.#inbound, structuredClone(mail), this.#network.nowMs)
    applyOutbound(this.#outbound.outbound, structuredClone(mail))
    this.tables = tables
    this.#indices = plan.indices
    this.#breathe()
  }

  /** Starts a capture, as the main thread does; `rekey` asks its cables for new sessions. */
  capture(spec: Partial<TapSpec> = {}, rekey = false): Record<'outbound' | 'inbound', Ring> {
    const rings = { outbound: createRing(), inbound: createRing() }
    const remotes = [...this.#indices.values()]
    const common = { filter: undefined, cables: undefined, remotes, snaplenBytes: 65_535 }
    const stages = { whole: false, inner: true, wire: true, keys: false }
    const wallOffsetMs = Float64Array.of(this.wallOffsetMs)
    const ports = new Map([[udpFd, Number(this.#address.split(':').at(-1))]])
    const order = (ring: Ring): TapOrder => ({
      specs: [{ ...common, ...stages, ...spec, ring }],
      ...{ ports, wallOffsetMs },
    })
    this.#outbound.tap.use(order(rings.outbound))
    this.#inbound.tap.use(order(rings.inbound))
    const nowMs = this.#network.nowMs
    if (rekey) for (const cable of remotes) this.#inbound.wireguard.wanted(cable, nowMs)
    this.#breathe()
    return rings
  }

  /** An inner packet from a pod. */
  send(packet: Uint8Array): void {
    this.#tunQueue.push(packet)
    this.#breathe()
  }

  /** The gateway is at another address from now on. */
  move(address: string): void {
    this.#network.unlisten(this.#address)
    this.#address = address
    this.#listen()
  }

  stop(): void {
    this.#isStopped = true
    this.#network.unlisten(this.#address)
  }

  suspend(): void {
    this.#inbound.inbound.suspend(this.#network.nowMs)
    this.#breathe()
  }

  resume(): void {
    this.#inbound.inbound.resume(this.#network.nowMs)
    this.#breathe()
  }

  counters(cable: string): ReturnType<typeof readCounters> {
    return readCounters(this.memory, this.#indices.get(cable))
  }

  /** What the data path would tell of its first cable. */
  status(): CableStatus {
    const [table] = this.tables.cables
    return readCableStatus(this.memory, this.#indices.get(table.name) ?? -1, table)
  }

  /** The slot that its first cable is sealed with. */
  currentSlot(): number {
    return this.memory.cables[(this.#indices.get(this.tables.cables[0].name) ?? 0) * CABLE.WORDS]
  }

  get globalCounters(): ReturnType<typeof readCounters> {
    return readCounters(this.memory)
  }

  #listen(): void {
    this.#network.listen(this.#address, datagram => {
      this.#udpQueue.push(datagram)
      this.#breathe()
    })
  }

  /** Lets both halves breathe until nothing is left to do, and plans the next deadline. */
  #breathe(): void {
    if (this.#isStopped) return
    const { memory } = this
    const nowMs = this.#network.nowMs
    const { inbound } = this.#inbound
    do {
      const isWoken = this.#isInboundWoken
      this.#isInboundWoken = false
      stepBreath(memory, worker.inbound)
      inbound.breathe(nowMs, isWoken)
      stepBreath(memory, worker.inbound)
      this.#isOutboundWoken = false
      stepBreath(memory, worker.outbound)
      this.#outbound.outbound.breathe(nowMs)
      stepBreath(memory, worker.outbound)
    } while (
      this.#isInboundWoken ||
      this.#isOutboundWoken ||
      this.#tunQueue.length > 0 ||
      this.#udpQueue.length > 0 ||
      inbound.nextDeadlineMs() <= nowMs
    )
    this.#planWake(inbound.nextDeadlineMs())
  }

  #planWake(deadlineMs: number): void {
    if (deadlineMs === Number.POSITIVE_INFINITY || deadlineMs === this.#wakeAtMs) return
    this.#wakeAtMs = deadlineMs
    this.#network.at(deadlineMs, () => {
      if (this.#wakeAtMs !== deadlineMs) return
      this.#wakeAtMs = Number.POSITIVE_INFINITY
      this.#breathe()
    })
  }

  #native(): NativePath {
    return {
      createContext: memory => {
        const context = addon.createContext(memory)
        this.#contexts.set(context, memory)
        return context
      },
      poll: () => 0,
      readTun: context => this.#readTun(this.#memoryOf(context)),
      writeTun: (context, _fd, first, end) => this.#writeTun(this.#memoryOf(context), first, end),
      receiveUdp: (context, _fd, first, most) =>
        this.#receiveUdp(this.#memoryOf(context), first, most),
      sendUdp: (context, first, end) => this.#sendUdp(this.#memoryOf(context), first, end),
      seal: addon.seal,
      open: addon.open,
      handshakeAead: addon.handshakeAead,
    }
  }

  #memoryOf(context: Context): ContextMemory {
    return this.#contexts.get(context) as ContextMemory
  }

  #readTun({ slab, rows }: ContextMemory): number {
    let count = 0
    let offset = ROW_HEADROOM
    while (count * ROW.WORDS < rows.length && offset + 65_536 < slab.length) {
      const packet = this.#tunQueue.shift()
      if (!packet) break
      const base = count++ * ROW.WORDS
      slab.set(packet, offset)
      rows.fill(0, base, base + ROW.WORDS)
      rows[base + ROW.OFFSET] = offset
      rows[base + ROW.LENGTH] = packet.length
      rows[base + ROW.SEGMENTS] = 1
      offset = (offset + packet.length + 127) & ~63
    }
    return count
  }

  #writeTun({ slab, rows }: ContextMemory, first: number, end: number): number {
    let written = 0
    for (let row = first; row < end; row++) {
      const base = row * ROW.WORDS
      if (rows[base + ROW.DROP] !== 0) continue
      const offset = rows[base + ROW.OFFSET]
      this.received.push(slab.slice(offset, offset + rows[base + ROW.LENGTH]))
      written++
    }
    return written
  }

  #receiveUdp({ slab, trains }: ContextMemory, first: number, most: number): number {
    let count = 0
    while (count < most) {
      const datagram = this.#udpQueue.shift()
      if (!datagram) break
      const index = first + count++
      const at = index * TRAIN.WORDS
      const offset = index * TRAIN_BYTES + TRAIN_HEADROOM
      slab.set(datagram.bytes, offset)
      trains.fill(0, at, at + TRAIN.WORDS)
      trains[at + TRAIN.OFFSET] = offset
      trains[at + TRAIN.LENGTH] = datagram.bytes.length
      trains[at + TRAIN.SEGMENT_SIZE] = datagram.bytes.length
      trains[at + TRAIN.TOS] = datagram.tos
      trains[at + TRAIN.FD] = udpFd
      trains[at + TRAIN.SLOT] = -1
      const record = writeRemote(new Uint8Array(REMOTE.BYTES), parseRemote(datagram.from))
      trains.set(new Int32Array(record.buffer), at + TRAIN.REMOTE)
    }
    return count
  }

  #sendUdp({ sendSlab, trains, state }: ContextMemory, first: number, end: number): number {
    for (let train = first; train < end; train++) {
      const at = train * TRAIN.WORDS
      const to = remoteText(trains, at + TRAIN.REMOTE)
      const start = trains[at + TRAIN.OFFSET]
      const size = trains[at + TRAIN.SEGMENT_SIZE]
      const last = start + trains[at + TRAIN.LENGTH]
      for (let offset = start; offset < last; offset += size) {
        const bytes = sendSlab.slice(offset, Math.min(last, offset + size))
        this.#network.send({ from: this.#address, to, bytes, tos: trains[at + TRAIN.TOS] })
      }
    }
    state[STATE.ERRNO] = 0
    return end
  }
}

function remoteText(words: Int32Array, at: number): string {
  const bytes = new Uint8Array(words.buffer, words.byteOffset + at * 4, REMOTE.BYTES)
  const port = bytes[REMOTE.PORT] | (bytes[REMOTE.PORT + 1] << 8)
  if (bytes[0] === 2) {
    return `${bytes.subarray(REMOTE.ADDRESS, REMOTE.ADDRESS + 4).join('.')}:${port}`
  }
  const address = bytes.slice(REMOTE.ADDRESS, REMOTE.ADDRESS + 16)
  return `[${formatAddress({ family: 6, bytes: address })}]:${port}`
}

/** Random bytes from the seed alone, so that a run can be repeated to the byte. */
function seededBytes(random: () => number): (bytes: Uint8Array) => void {
  const seed = createHash('sha256').update(String(random())).digest()
  const stream = createCipheriv('aes-256-ctr', seed, Buffer.alloc(16))
  return bytes => bytes.set(stream.update(Buffer.alloc(bytes.length)))
}
