// The captures of a data path, on the main thread: starts and stops them, tells the workers, and takes
// what their rings hold. Names become indices here, and indices names, because a snapshot may give a
// cable another one. No packet passes through this thread but those that somebody looks at.

import { createSocket } from 'node:dgram'
import { parseFilter, resolveCables } from '../capture/filter.ts'
import { RECORD, stage } from '../capture/record.ts'
import {
  createRing,
  endOfRead,
  lostTotal,
  mergeRecords,
  type Ring,
  readRing,
} from '../capture/ring.ts'
import { recordsOf, storedOf, wordsOf } from '../capture/segments.ts'
import type { TapOrder, TapSpec } from '../capture/tap.ts'
import { type Address, formatAddress, parseAddress } from '../net/address.ts'
import { wallOffsetMs } from '../net/clock.ts'
import { GatewayError } from '../net/errors.ts'
import { IPV4, IPV6 } from '../packet/headers.ts'
import {
  type CaptureBlock,
  type CaptureReader,
  type CaptureRequest,
  captureLimits,
  type LostPackets,
} from '../tables/capture.ts'
import type { Tables } from '../tables/tables.ts'
import type { Role } from './mail.ts'
import type { CableIndices } from './snapshot.ts'

export interface CapturesParts {
  readonly tables: () => Tables
  readonly indices: () => CableIndices
  /** Local ports by descriptor. */
  readonly ports: () => ReadonlyMap<number, number>
  /** Resolves when the worker goes by the order. It asks the cables of `rekey` for new sessions. */
  readonly post: (
    role: Role,
    pair: number,
    order: TapOrder,
    rekey: readonly number[],
  ) => Promise<unknown>
  /** Pairs of workers; each worker has a ring for each capture. */
  readonly pairs: () => number
}

/** More remotes than these are not compared with the sender of a handshake message. */
const remotesMost = 256

interface Running {
  readonly request: CaptureRequest
  /** By pair. */
  readonly rings: Readonly<Record<Role, readonly Ring[]>>
  isStopped: boolean
}

/** By then a record is in its ring, and the clocks that instants are told by agree. */
const settledMs = 10

export class Captures {
  readonly #parts: CapturesParts
  readonly #running = new Set<Running>()
  readonly #wallOffsetMs = new Float64Array(new SharedArrayBuffer(8))
  readonly #sources = new LocalAddresses()

  constructor(parts: CapturesParts) {
    this.#parts = parts
  }

  /** Throws EBUSY, BAD_FILTER, ENOENT for an unknown cable. */
  async start(request: CaptureRequest): Promise<CaptureReader> {
    if (this.#running.size >= captureLimits.captures)
      throw new GatewayError('EBUSY', `${captureLimits.captures} captures are running already`)
    const rekey = this.#check(request)
    const ringOfEach = () => Array.from({ length: this.#parts.pairs() }, () => createRing())
    const rings = { outbound: ringOfEach(), inbound: ringOfEach() }
    const running = { request, rings, isStopped: false }
    this.#running.add(running)
    try {
      await this.#post(rekey)
    } catch (error) {
      this.#running.delete(running)
      throw error
    }
    const reader = new RingReader(running, this.#parts, this.#sources)
    return {
      read: bytesMax => {
        this.#wallOffsetMs[0] = wallOffsetMs(this.#wallOffsetMs[0])
        return reader.read(bytesMax)
      },
      stop: () => this.#stop(running),
      wipe() {
        for (const { bytes } of allRings(running)) bytes.fill(0)
      },
    }
  }

  /** Cables or sockets have changed. */
  async refresh(): Promise<void> {
    this.#sources.forget()
    if (this.#running.size > 0) await this.#post([])
  }

  async #stop(running: Running): Promise<void> {
    if (!this.#running.delete(running)) return
    // A data path that has ended captures nothing more either.
    await this.#post([]).catch(() => undefined)
    running.isStopped = true
  }

  /** Checks the names of a request; the cables that are to make new sessions. */
  #check({ cables, filter, keys }: CaptureRequest): number[] {
    for (const name of cables ?? []) this.#known(name)
    const parsed = parseFilter(filter)
    if (parsed) resolveCables(parsed, name => this.#known(name))
    if (!keys) return []
    const tables = this.#parts.tables().cables
    const wanted = tables.filter(
      ({ name, driver }) => driver === 'wireguard' && (cables?.includes(name) ?? true),
    )
    if (wanted.length > captureLimits.keyCables)
      throw new GatewayError(
        'E2BIG',
        `keys of ${wanted.length} cables are asked for, ${captureLimits.keyCables} are possible`,
        { hint: 'name the cables' },
      )
    return wanted.map(({ name }) => this.#known(name))
  }

  #known(name: string): number {
    const index = this.#parts.indices().get(name)
    if (index !== undefined) return index
    const names = [...this.#parts.indices().keys()].slice(0, 10)
    const hint =
      names.length === 0 ? 'hawser apply: there are no cables yet' : `one of ${names.join(', ')}`
    throw new GatewayError('ENOENT', `there is no cable ${JSON.stringify(name)}`, { hint })
  }

  async #post(rekey: readonly number[]): Promise<void> {
    this.#wallOffsetMs[0] = wallOffsetMs(this.#wallOffsetMs[0])
    const posts: Promise<unknown>[] = []
    for (let pair = 0; pair < this.#parts.pairs(); pair++) {
      posts.push(this.#parts.post('inbound', pair, this.#order('inbound', pair), rekey))
      posts.push(this.#parts.post('outbound', pair, this.#order('outbound', pair), []))
    }
    await Promise.all(posts)
  }

  #order(role: Role, pair: number): TapOrder {
    const specs = [...this.#running].map(running => this.#spec(running, role, pair))
    return { specs, ports: this.#parts.ports(), wallOffsetMs: this.#wallOffsetMs }
  }

  #spec({ request, rings }: Running, role: Role, pair: number): TapSpec {
    const indices = this.#parts.indices()
    const filter = parseFilter(request.filter)
    const cables = request.cables?.flatMap(name => indices.get(name) ?? [])
    const remotes = cables ?? [...indices.values()]
    const { snaplenBytes, whole, inner, wire, keys } = request
    return {
      ring: rings[role][pair],
      filter: filter && resolveCables(filter, name => indices.get(name) ?? -1),
      cables,
      remotes: remotes.length > remotesMost ? [] : remotes,
      ...{ snaplenBytes, whole, inner, wire, keys },
    }
  }
}

function allRings({ rings }: Running): readonly Ring[] {
  return [...rings.outbound, ...rings.inbound]
}

class RingReader {
  readonly #running: Running
  readonly #parts: CapturesParts
  readonly #sources: LocalAddresses
  /** Names that the reader was told, by index. */
  readonly #told = new Map<number, string>()
  #lost: readonly number[] = []
  #namesOf: CableIndices | undefined
  #names: ReadonlyMap<number, string> = new Map()

  constructor(running: Running, parts: CapturesParts, sources: LocalAddresses) {
    this.#running = running
    this.#parts = parts
    this.#sources = sources
  }

  async read(bytesMax: number): Promise<CaptureBlock | undefined> {
    const { rings } = this.#running
    // In the order of time over all rings, also from one block to the next: nothing later than what
    // one of them keeps for the next block, or than what a worker may be writing now.
    const share = bytesMax / rings.outbound.length
    const untilMs = Math.min(
      this.#running.isStopped ? Number.POSITIVE_INFINITY : Date.now() - settledMs,
      ...allRings(this.#running).map(ring => endOfRead(ring, share)),
    )
    const read = (ring: Ring) => readRing(ring, share, untilMs)
    const outbound = mergeRecords(rings.outbound.map(read))
    const inbound = mergeRecords(rings.inbound.map(read))
    const lost = this.#newlyLost()
    if (outbound.length + inbound.length === 0 && lost.length === 0) return undefined
    const cables: [number, string][] = []
    for (const bytes of [outbound, inbound]) {
      for (const word of recordsOf(bytes)) {
        this.#tell(wordsOf(bytes)[word + RECORD.CABLE], cables)
        if (lacksSource(bytes, word)) await this.#sources.fill(storedOf(bytes, word))
      }
    }
    for (const { cable } of lost) this.#tell(cable, cables)
    return { outbound, inbound, cables, lost }
  }

  /** Adds the name of a cable if it is needed. */
  #tell(cable: number, cables: [number, string][]): void {
    const indices = this.#parts.indices()
    if (indices !== this.#namesOf) {
      this.#namesOf = indices
      this.#names = new Map([...indices].map(([name, index]) => [index, name]))
    }
    const name = this.#names.get(cable)
    if (name === undefined || this.#told.get(cable) === name) return
    this.#told.set(cable, name)
    cables.push([cable, name])
  }

  /** What was lost, where that has changed. */
  #newlyLost(): LostPackets[] {
    const rings = allRings(this.#running)
    const totals = rings.map(({ lost }) => lost[lostTotal])
    if (totals.every((total, i) => total === (this.#lost[i] ?? 0))) return []
    this.#lost = totals
    const found: LostPackets[] = []
    for (let at = 0; at < lostTotal; at++) {
      const count = rings.reduce((sum, { lost }) => sum + lost[at], 0)
      const cable = Math.floor(at / stage.count)
      if (count > 0) found.push({ cable, stage: at % stage.count, count })
    }
    return found
  }
}

function lacksSource(bytes: Uint8Array, word: number): boolean {
  const words = wordsOf(bytes)
  if (words[word + RECORD.STAGE] !== stage.wire || words[word + RECORD.OUTBOUND] === 0) return false
  return sourceOf(storedOf(bytes, word)).every(byte => byte === 0)
}

function sourceOf(packet: Uint8Array): Uint8Array {
  const [at, length] = packet[0] >> 4 === 4 ? [IPV4.SOURCE, 4] : [IPV6.SOURCE, 16]
  return packet.subarray(at, at + length)
}

/**
 * Where we send from when the kernel chooses: it is asked by a socket that is connected and sends
 * nothing. A guess where routes depend on marks.
 */
class LocalAddresses {
  readonly #byRemote = new Map<string, Uint8Array | undefined>()

  forget(): void {
    this.#byRemote.clear()
  }

  /** Fills in the source of an IP packet. */
  async fill(packet: Uint8Array): Promise<void> {
    const isIpv4 = packet[0] >> 4 === 4
    const source = sourceOf(packet)
    const bytes = packet.slice(source.length + (isIpv4 ? IPV4.SOURCE : IPV6.SOURCE))
    const remote: Address = { family: isIpv4 ? 4 : 6, bytes: bytes.subarray(0, source.length) }
    const text = formatAddress(remote)
    if (!this.#byRemote.has(text)) this.#byRemote.set(text, await localAddress(remote.family, text))
    const found = this.#byRemote.get(text)
    if (found?.length === source.length) source.set(found)
  }
}

/** Any port does. */
const discardPort = 9

function localAddress(family: 4 | 6, remote: string): Promise<Uint8Array | undefined> {
  return new Promise(resolve => {
    const socket = createSocket(family === 4 ? 'udp4' : 'udp6')
    const done = (text: string | undefined) => {
      socket.close()
      resolve(text === undefined ? undefined : addressBytes(text))
    }
    socket.once('error', () => done(undefined))
    socket.connect(discardPort, remote, () => done(socket.address().address))
  })
}

function addressBytes(text: string): Uint8Array | undefined {
  try {
    return parseAddress(text.split('%')[0]).bytes
  } catch {
    return undefined
  }
}
