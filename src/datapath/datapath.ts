// The main-thread handle of the data path: opens the devices, starts the workers, posts tables and
// reads status. No packet passes through this thread.
//
// Snapshots are applied one after the other, each whole or not at all: checked first (snapshot.ts),
// then posted to the inbound workers, which publish, then to the outbound workers.

import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { release } from 'node:os'
import { Worker } from 'node:worker_threads'
import { readRemote, writeRemote } from '../cable/remotes.ts'
import { loadNative, type Native, type TunState } from '../native.ts'
import { equalBytes, type Remote } from '../net/address.ts'
import { GatewayError } from '../net/errors.ts'
import { buildTrie, type PrefixTable } from '../routing/prefix-trie.ts'
import type { CaptureReader, CaptureRequest } from '../tables/capture.ts'
import { drop, dropNames } from '../tables/counters.ts'
import { createSharedMemory, viewOfPair } from '../tables/memory.ts'
import { REMOTE, type SharedMemory } from '../tables/shared.ts'
import type {
  CipherSpeed,
  DatapathStatus,
  ForeignDatagram,
  OffloadStatus,
} from '../tables/status.ts'
import { emptyTables, type Tables } from '../tables/tables.ts'
import { chooseOffloads, segmentsPerTrain, setTunOffloads } from '../tun/offloads.ts'
import { openTun, type TunQueues } from '../tun/queues.ts'
import {
  addEntropy,
  closeSockets,
  openSockets,
  type SocketPair,
  socketFds,
  socketPorts,
} from '../udp/sockets.ts'
import { Captures } from './captures.ts'
import { measureCiphers } from './cipher-speed.ts'
import { foreignMailMost } from './foreign.ts'
import type { CableChange, Mail, Report, Role, WorkerStart } from './mail.ts'
import type { SendSockets } from './outbound.ts'
import { type CableIndices, planMtu, planSnapshot } from './snapshot.ts'
import { type NamedCounters, readCableStatus, readCounters } from './status.ts'

export interface DatapathOptions {
  readonly interfaceName: string
  /** An open TUN descriptor to adopt (WG_TUN_FD). */
  readonly tunFd?: number
  /** The device outlives the process once `keepDevice` was called (`hawser datapath`), or not. */
  readonly persistent: boolean
  /** Pairs of workers, default 1. */
  readonly pairs?: number
  /** MTU given to a device that we make; default 1420. */
  readonly mtuBytes?: number
  /** What the self-tests allow; absent: they are made now, while the privileges are there. */
  readonly offloads?: OffloadStatus
  /** Called once when the data path cannot go on: device deleted, a worker died. */
  readonly onEnd: (reason: string, failed: boolean) => void
  /** Takes a datagram that is no cable packet. False: nobody wanted it, and it is counted. */
  readonly onForeign?: (datagram: ForeignDatagram) => boolean
  readonly log: (line: string) => void
}

export interface Datapath {
  readonly interfaceName: string
  /** The snapshot in force. */
  readonly tables: Tables
  /**
   * Applies a snapshot whole or not at all: resolves when all workers forward by it. Rejects with
   * GatewayError (EADDRINUSE, ENOSPC for a full table, …) and then the snapshot before is in force.
   */
  apply(tables: Tables): Promise<void>
  status(): DatapathStatus
  /**
   * Sends a datagram from the cable port. Returns false when there is no socket for it, or when too
   * many wait to be sent.
   */
  sendForeign(to: Remote, bytes: Uint8Array): boolean
  /** Starts to capture packets: resolves when all workers show them. Rejects with GatewayError. */
  startCapture(request: CaptureRequest): Promise<CaptureReader>
  /** Everything is served: a persistent device stays. Until then one that was made here goes. */
  keepDevice(): void
  /** Stops the workers, wipes keys, closes the devices. */
  stop(): Promise<void>
}

const defaultMtuBytes = 1420
const linkCheckMs = 1000
const entropySockets = 8

/** Opens the devices and starts the workers. Throws GatewayError. */
export async function startDatapath(options: DatapathOptions): Promise<Datapath> {
  const native = loadNative()
  const { interfaceName, persistent, tunFd, pairs = 1, mtuBytes = defaultMtuBytes } = options
  const adopted = tunFd === undefined ? {} : { fd: tunFd }
  const tun = openTun(native, {
    ...{ name: interfaceName, mayReplace: persistent, mtuBytes, queues: pairs, ...adopted },
  })
  try {
    const offloads = setTunOffloads(
      native,
      tun.fds[0],
      options.offloads ?? chooseOffloads(native, process.env),
    )
    const path = new RunningDatapath(native, options, tun, offloads)
    await path.start()
    return path
  } catch (error) {
    tun.close()
    throw error
  }
}

type Applied = Report & { kind: 'applied' }

interface WorkerHandle {
  readonly role: Role
  readonly pair: number
  /** As threads and messages are called. */
  readonly name: string
  readonly thread: Worker
  readonly wakeFd: number
}

class RunningDatapath implements Datapath {
  readonly #native: Native
  readonly #options: DatapathOptions
  readonly #tun: TunQueues
  readonly #offloads: OffloadStatus
  /** By pair. */
  readonly #views: readonly SharedMemory[]
  readonly #memory: SharedMemory
  readonly #speeds: readonly CipherSpeed[]
  readonly #forms: readonly string[]
  readonly #startedAtMs = Date.now()
  readonly #workers: WorkerHandle[] = []
  readonly #captures = new Captures({
    tables: () => this.#tables,
    indices: () => this.#indices,
    ports: () => socketPorts(this.#sockets),
    pairs: () => this.#memory.pairs,
    post: (role, pair, order, rekey) =>
      this.#ask(role, pair, serial => ({ kind: 'captures', serial, order, rekey })),
  })
  readonly #waiting = new Map<number, PromiseWithResolvers<Applied>>()
  #tables: Tables = emptyTables
  #indices: CableIndices = new Map()
  #routes: PrefixTable = buildTrie([])
  #sockets: SocketPair | undefined
  #link: TunState
  #serial = 0
  #queue: Promise<unknown> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  /** Foreign datagrams that nobody was attached for. */
  #unread = 0
  /** Datagrams to send that the inbound worker has not taken yet. */
  #unsent = 0
  #hasEnded = false

  constructor(native: Native, options: DatapathOptions, tun: TunQueues, offloads: OffloadStatus) {
    this.#memory = createSharedMemory(tun.fds.length)
    this.#views = tun.fds.map((_, pair) => viewOfPair(this.#memory, pair))
    this.#native = native
    this.#options = options
    this.#tun = tun
    this.#offloads = offloads
    this.#speeds = measureCiphers(native, this.#memory, () => performance.now())
    this.#forms = formsOf(native)
    this.#link = native.tunState(tun.fds[0])
  }

  get interfaceName(): string {
    return this.#link.name
  }

  get tables(): Tables {
    return this.#tables
  }

  async start(): Promise<void> {
    try {
      await this.#startWorkers()
      // Before the first tables: nobody is answered, and no key made, for a device that is not up.
      if (!this.#link.up) await this.#postLink(false)
    } catch (error) {
      // One of them may be running: it would hold the process for ever.
      await this.#endWorkers()
      throw error
    }
    this.#timer = setInterval(() => this.#checkLink(), linkCheckMs).unref()
  }

  async #startWorkers(): Promise<void> {
    const wakes = () => this.#tun.fds.map(() => this.#native.createWake())
    const wakeFds = { outbound: wakes(), inbound: wakes() }
    await Promise.all(
      this.#tun.fds.flatMap((_, pair) => [
        this.#startWorker('outbound', pair, wakeFds),
        this.#startWorker('inbound', pair, wakeFds),
      ]),
    )
  }

  apply(tables: Tables): Promise<void> {
    return this.#inTurn(() => this.#apply(tables))
  }

  status(): DatapathStatus {
    this.#checkLink()
    const sockets = this.#sockets
    const some = sockets?.ipv4 ?? sockets?.ipv6
    return {
      interfaceName: this.#link.name,
      up: this.#link.up,
      mtuBytes: this.#link.mtuBytes,
      generation: this.#tables.generation,
      listenPort: sockets?.port ?? this.#tables.device.listenPort,
      fwmark: this.#tables.device.fwmark,
      pid: process.pid,
      pairs: this.#memory.pairs,
      startedAtMs: this.#startedAtMs,
      offloads: this.#offloads,
      aead: { speeds: this.#speeds, forms: this.#forms },
      receiveBufferBytes: some?.receiveBufferBytes ?? 0,
      sendBufferBytes: some?.sendBufferBytes ?? 0,
      cables: this.#tables.cables.map(table =>
        readCableStatus(this.#memory, this.#indices.get(table.name) ?? -1, table),
      ),
      ...this.#readCounters(),
    }
  }

  /** What belongs to no cable; the workers cannot tell whether a foreign datagram was read. */
  #readCounters(): NamedCounters {
    const { counters, drops } = readCounters(this.#memory)
    if (this.#unread === 0) return { counters, drops }
    return { counters, drops: { ...drops, [dropNames[drop.foreignUnread]]: this.#unread } }
  }

  sendForeign(to: Remote, bytes: Uint8Array): boolean {
    const socket = to.address.family === 4 ? this.#sockets?.ipv4 : this.#sockets?.ipv6
    const handle = this.#workers.find(({ role, pair }) => role === 'inbound' && pair === 0)
    if (!socket || !handle || this.#hasEnded || this.#unsent >= foreignMailMost) return false
    this.#unsent++
    const remote = writeRemote(new Uint8Array(REMOTE.BYTES), to)
    this.#post(handle, { kind: 'foreign', remote, bytes })
    return true
  }

  startCapture(request: CaptureRequest): Promise<CaptureReader> {
    return this.#inTurn(() => this.#captures.start(request))
  }

  keepDevice(): void {
    if (!this.#options.persistent || this.#hasEnded) return
    const { fds, name } = this.#tun
    this.#native.openTun({ name, multiQueue: fds.length > 1, persistent: true, fd: fds[0] })
  }

  async stop(): Promise<void> {
    this.#hasEnded = true
    clearInterval(this.#timer)
    await this.#queue.catch(() => undefined)
    await this.#endWorkers()
    this.#memory.slots.fill(0)
    closeSockets(this.#sockets)
    this.#sockets = undefined
    this.#tun.close()
  }

  /** Nobody reads the descriptors any more when it resolves. */
  async #endWorkers(): Promise<void> {
    const exits = this.#workers.map(({ thread }) =>
      thread.threadId === -1 ? undefined : once(thread, 'exit'),
    )
    for (const handle of this.#workers) this.#post(handle, { kind: 'stop' })
    await Promise.all(exits)
    for (const { wakeFd } of this.#workers) closeSync(wakeFd)
    this.#workers.length = 0
  }

  /** One after the other: a snapshot is applied whole before the next one is looked at. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(work)
    this.#queue = result.catch(() => undefined)
    return result
  }

  async #apply(posted: Tables): Promise<void> {
    const mtu = this.#link.mtuBytes
    const plan = planSnapshot(this.#tables, this.#indices, mtu, posted, mtu)
    const { tables } = plan
    const sockets = this.#socketsFor(tables)
    const isNewKey = !equalKeys(this.#tables.device.privateKey, tables.device.privateKey)
    const old = this.#sockets
    const before = { tables: this.#tables, indices: this.#indices }
    this.#sockets = sockets
    this.#routes = plan.routes ?? this.#routes
    const key = isNewKey ? { bytes: tables.device.privateKey } : undefined
    const full = await this.#postTables(tables, plan.changes, key)
    this.#tables = tables
    this.#indices = plan.indices
    await this.#captures.refresh()
    if (full === undefined) {
      if (old !== sockets) closeSockets(old, sockets)
    } else {
      // Undo: the snapshot before is planned against the one that did not fit.
      const undo = planSnapshot(tables, plan.indices, mtu, before.tables, mtu)
      // A cable may have got another index than it had before.
      this.#routes = undo.routes ?? this.#routes
      this.#sockets = old
      const oldKey = isNewKey ? { bytes: before.tables.device.privateKey } : undefined
      await this.#postTables(before.tables, undo.changes, oldKey)
      this.#tables = before.tables
      this.#indices = undo.indices
      if (old !== sockets) closeSockets(sockets, old)
      if (old) this.#setFwmark(old, before.tables.device.fwmark)
      await this.#captures.refresh()
      throw new GatewayError('ENOSPC', `cable ${full}: the tables of the data path are full`)
    }
  }

  /** The sockets for a snapshot: those that are open, or new ones. Throws when they cannot be had. */
  #socketsFor(tables: Tables): SocketPair {
    const { device, cables } = tables
    const before = this.#tables.device
    const wantsEntropy = cables.some(cable => cable.driver === 'vxlan')
    const open = this.#sockets
    const isFine =
      open !== undefined &&
      device.listenPort === before.listenPort &&
      (!wantsEntropy || open.entropy4.length + open.entropy6.length > 0)
    if (isFine) {
      if (device.fwmark !== before.fwmark) this.#setFwmark(open, device.fwmark)
      return open
    }
    const options = {
      fwmark: device.fwmark,
      gro: this.#offloads.udpGro,
      pairs: this.#memory.pairs,
      entropySockets: wantsEntropy ? entropySockets : 0,
    }
    // The pair is in use: it stays, and what is missing is opened beside it.
    if (open !== undefined && device.listenPort === before.listenPort) {
      const pair = addEntropy(this.#native, open, options)
      try {
        if (device.fwmark !== before.fwmark) this.#setFwmark(open, device.fwmark)
      } catch (error) {
        closeSockets(pair, open)
        throw error
      }
      return pair
    }
    return openSockets(this.#native, { ...options, port: device.listenPort })
  }

  /** Throws when a socket refuses the mark, and then none has it. */
  #setFwmark(pair: SocketPair, mark: number): void {
    const fds = socketFds(pair)
    const refused = fds.map(fd => this.#native.setFwmark(fd, mark)).find(result => result < 0)
    if (refused === undefined) return
    for (const fd of fds) this.#native.setFwmark(fd, this.#tables.device.fwmark)
    throw new GatewayError('EPERM', `the mark ${mark} was refused for the UDP sockets`, {
      hint: 'run as root or with CAP_NET_ADMIN',
    })
  }

  /** Posts to inbound first, which publishes, then to outbound. Returns the name of what is full. */
  async #postTables(
    tables: Tables,
    changes: readonly CableChange[],
    privateKey: { bytes: Uint8Array | undefined } | undefined,
  ): Promise<string | undefined> {
    const mail = {
      kind: 'apply',
      routes: this.#routes,
      vxlan: tables.device.vxlan,
      changes,
    } as const
    const postTo = (role: Role, key: { bytes: Uint8Array | undefined } | undefined) =>
      this.#askAll(role, (serial, pair) => {
        const sockets = sendSockets(this.#sockets, pair)
        return { ...mail, serial, sockets, privateKey: key }
      })
    const replies = await postTo('inbound', privateKey)
    await postTo('outbound', undefined)
    return replies.find(({ full }) => full !== undefined)?.full
  }

  #askAll(role: Role, make: (serial: number, pair: number) => Mail): Promise<Applied[]> {
    return Promise.all(
      this.#tun.fds.map((_, pair) => this.#ask(role, pair, serial => make(serial, pair))),
    )
  }

  #ask(role: Role, pair: number, make: (serial: number) => Mail): Promise<Applied> {
    const serial = ++this.#serial
    const reply = Promise.withResolvers<Applied>()
    const handle = this.#workers.find(worker => worker.role === role && worker.pair === pair)
    if (this.#hasEnded || handle === undefined) reply.reject(ended())
    else {
      this.#waiting.set(serial, reply)
      this.#post(handle, make(serial))
    }
    return reply.promise
  }

  #post({ thread, wakeFd }: WorkerHandle, mail: Mail): void {
    thread.postMessage(mail)
    this.#native.wake(wakeFd)
  }

  async #startWorker(role: Role, pair: number, wakeFds: WorkerStart['wakeFds']): Promise<void> {
    const start: WorkerStart = {
      role,
      memory: this.#views[pair],
      tunFd: this.#tun.fds[pair],
      wakeFds,
      segmentsMax: this.#offloads.udpSegmentation ? segmentsPerTrain(release()) : 1,
      autoCiphers: this.#speeds.map(({ name }) => name),
      coalesce: (this.#offloads.tunTso ? 1 : 0) | (this.#offloads.tunUso ? 2 : 0),
    }
    const name = pair === 0 ? role : `${role}-${pair}`
    const thread = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: start,
      name: `hawser-${name}`,
    })
    this.#workers.push({ role, pair, name, thread, wakeFd: wakeFds[role][pair] })
    await new Promise<void>((resolve, reject) => {
      thread.on('message', (report: Report) => {
        if (report.kind === 'ready') resolve()
        else this.#take(report)
      })
      thread.on('error', error => {
        reject(error)
        this.#end(`the ${name} worker died: ${error.stack ?? error.message}`, true)
      })
      thread.on('exit', () => {
        reject(ended())
        this.#end(`the ${name} worker ended`, true)
      })
    })
  }

  #take(report: Report): void {
    if (report.kind === 'applied') {
      this.#waiting.get(report.serial)?.resolve(report)
      this.#waiting.delete(report.serial)
    } else if (report.kind === 'foreign') {
      const { bytes, remote } = report
      const datagram = { from: readRemote(remote), receivedAtMs: Date.now(), bytes }
      if (!this.#options.onForeign?.(datagram)) this.#unread++
    } else if (report.kind === 'sent') this.#unsent--
    else if (report.kind === 'up') this.#checkLink()
    else if (report.kind === 'ended') this.#end(report.reason, report.failed)
  }

  #end(reason: string, failed: boolean): void {
    // A worker that is gone answers nothing; `stop` waits for who waits here.
    for (const reply of this.#waiting.values()) reply.reject(ended())
    this.#waiting.clear()
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#options.onEnd(reason, failed)
  }

  /**
   * Once a second: MTU, up or down, deleted. A device that was moved sends no events to us. That it
   * came up is told by the outbound worker.
   */
  #checkLink(): void {
    const before = this.#link
    try {
      this.#link = this.#native.tunState(this.#tun.fds[0])
    } catch {
      this.#end('the device was deleted', false)
      return
    }
    const { up, mtuBytes } = this.#link
    const isNewMtu = mtuBytes !== before.mtuBytes
    if (isNewMtu || up !== before.up) {
      this.#inTurn(() => this.#followLink(isNewMtu, up === before.up ? undefined : up)).catch(
        error => this.#options.log(`link change: ${error}`),
      )
    }
  }

  /** `up`: what it has become, undefined when it has not changed. */
  async #followLink(isNewMtu: boolean, up: boolean | undefined): Promise<void> {
    if (isNewMtu) {
      const changes = planMtu(this.#tables, this.#indices, this.#link.mtuBytes)
      await this.#postTables(this.#tables, changes, undefined)
    }
    if (up !== undefined) {
      await this.#postLink(up)
      this.#options.log(`${this.#link.name} is ${up ? 'up' : 'down'}`)
    }
  }

  async #postLink(up: boolean): Promise<void> {
    await this.#askAll('inbound', serial => ({ kind: 'link', serial, up }))
    await this.#askAll('outbound', serial => ({ kind: 'link', serial, up }))
  }
}

function ended(): GatewayError {
  return new GatewayError('ESHUTDOWN', 'the data path has ended')
}

/** What a pair of workers sends and receives by. */
function sendSockets(sockets: SocketPair | undefined, pair: number): SendSockets {
  const own = pair === 0 ? sockets : sockets?.more[pair - 1]
  return {
    ipv4: own?.ipv4?.fd ?? -1,
    ipv6: own?.ipv6?.fd ?? -1,
    entropy4: sockets?.entropy4.map(socket => socket.fd) ?? [],
    entropy6: sockets?.entropy6.map(socket => socket.fd) ?? [],
  }
}

/** The form of the AEAD that is in force for each cipher, as `cipher/form`. */
function formsOf(native: Native): readonly string[] {
  return Object.entries(native.describe().aead).map(([cipher, { form }]) => `${cipher}/${form}`)
}

function equalKeys(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b)
}
