// A node that may run a gateway: its disk, its clock, its data path and, while there is one, its control
// process. They fail apart from each other; what is dead for good is the node.

import type { CableKeys, ControlSettings, Remembered } from '../../../../src/control/world.ts'
import { type Address, parseAddress } from '../../../../src/net/address.ts'
import type { SimCluster } from './cluster.ts'
import { publicTextOf, SimDatapath } from './datapath.ts'
import { Link } from './link.ts'
import { SimProcess } from './process.ts'
import { epochMs } from './server.ts'
import type { Timeline } from './timeline.ts'

interface Disk {
  readonly keys: CableKeys
  remembered: Remembered
  heldEpoch: number | undefined
}

/** Requests of a kind that a gateway makes all the time. */
const usual = ['gateways.submariner.io', 'leases.coordination.k8s.io']
/**
 * Two objects of each other cluster, each tried eight times in ten seconds; an update that meets somebody
 * else's is a read and a write.
 */
const requestsMost = { second: 100, tenSeconds: 300 } as const

export interface NodeParts {
  readonly cluster: SimCluster
  readonly timeline: Timeline
  readonly random: () => number
  readonly settings: ControlSettings
  readonly hostname: string
  readonly privateIp: string
  readonly healthCheckIp: string
  readonly violated: (what: string) => void
}

export class SimNode {
  readonly cluster: SimCluster
  readonly timeline: Timeline
  readonly random: () => number
  readonly settings: ControlSettings
  readonly hostname: string
  readonly privateIp: Address
  readonly healthCheckIp: Address
  readonly addressText: string
  readonly localLink: Link
  readonly brokerLink: Link
  readonly datapath: SimDatapath
  disk: Disk
  process: SimProcess | undefined
  clockOffsetMs = 0
  isDead = false
  /** Of a write that is not made all the time. */
  lastWriteMs = 0
  lastWrite = ''
  readonly #violated: (what: string) => void
  #seconds: { readonly second: number; count: number }[] = []

  constructor(parts: NodeParts) {
    const { cluster, timeline, random, settings, hostname, privateIp, healthCheckIp } = parts
    this.cluster = cluster
    this.timeline = timeline
    this.random = random
    this.settings = settings
    this.hostname = hostname
    this.addressText = privateIp
    this.privateIp = parseAddress(privateIp)
    this.healthCheckIp = parseAddress(healthCheckIp)
    this.#violated = parts.violated
    this.localLink = linkTo(cluster.server)
    this.brokerLink = linkTo(cluster.broker)
    this.datapath = new SimDatapath(tables => cluster.checkTables(this, tables))
    this.disk = this.#newDisk()
  }

  get wallMs(): number {
    return epochMs + this.timeline.nowMs + this.clockOffsetMs
  }

  get isActive(): boolean {
    return this.process?.isActive === true
  }

  get publicKeyText(): string {
    return publicTextOf(this.disk.keys.privateKey)
  }

  start(): void {
    if (this.isDead || this.process !== undefined) return
    this.process = new SimProcess(this)
  }

  kill(): void {
    this.process?.kill()
    this.process = undefined
  }

  /** Another machine in its place, of the same name. */
  loseDisk(): void {
    this.disk = this.#newDisk()
  }

  die(): void {
    this.kill()
    this.datapath.stop()
    this.isDead = true
  }

  noteRequest(server: string, method: string, resource: string): void {
    const { nowMs } = this.timeline
    if (method !== 'GET' && !usual.includes(resource)) {
      this.lastWriteMs = nowMs
      this.lastWrite = `${this.hostname}: ${method} ${resource} at ${server}`
    }
    const second = Math.floor(nowMs / 1000)
    const last = this.#seconds.at(-1)
    if (last?.second === second) last.count++
    else {
      this.#seconds.push({ second, count: 1 })
      this.#seconds = this.#seconds.filter(item => item.second > second - 10)
    }
    const inSecond = this.#seconds.at(-1)?.count ?? 0
    const inTen = this.#seconds.reduce((sum, { count }) => sum + count, 0)
    this.mostInSecond = Math.max(this.mostInSecond, inSecond)
    this.mostInTen = Math.max(this.mostInTen, inTen)
    if (inSecond > requestsMost.second || inTen > requestsMost.tenSeconds) {
      this.#violated(`a storm of requests: ${inSecond} in a second, ${inTen} in ten (${resource})`)
    }
  }

  mostInSecond = 0
  mostInTen = 0

  #newDisk(): Disk {
    const { random } = this
    const privateKey = Uint8Array.from({ length: 32 }, () => Math.floor(random() * 256))
    const publicKey = new Uint8Array(Buffer.from(publicTextOf(privateKey), 'base64'))
    const keys = { privateKey, publicKey, presharedKey: new Uint8Array(32).fill(7) }
    return { keys, remembered: { clusters: [], endpoints: [] }, heldEpoch: undefined }
  }
}

function linkTo(server: SimCluster['server']): Link {
  return new Link(link => {
    if (link.state === 'up') server.resume(link)
    else if (link.state === 'cut') server.cut(link)
  })
}
