// Keeps our Gateway object at the local API server: written every five seconds, and at once when
// something that people wait for is different. It has no status subresource and others annotate it
// (Globalnet), so what was read last is the base of what is written.

import type { KubeClient, Stored } from '../kube/client.ts'
import { isAway, type KubeCode, KubeError, kubeCodeOf } from '../kube/errors.ts'
import { type Gateway, gatewayType } from '../kube/resources/gateway.ts'
import { Signal } from '../kube/signal.ts'
import type { Clock } from '../net/clock.ts'
import { hasNews } from './gateway-status.ts'
import type { Log } from './parts.ts'
import type { Problem } from './world.ts'

export interface GatewayReportParts {
  readonly client: KubeClient
  readonly clock: Clock
  readonly log: Log
  readonly periodMs?: number
}

/** As stock gateways do; a Gateway that is older than three of them is deleted. */
const defaultPeriodMs = 5000
/** Between two writes, whatever happens. */
const leastMs = 500
/** Somebody else was faster; twice in a row it is something else, a namespace that is gone perhaps. */
const races: readonly KubeCode[] = ['CONFLICT', 'ALREADY_EXISTS', 'NOT_FOUND']

export class GatewayReport {
  readonly #parts: GatewayReportParts
  readonly #periodMs: number
  readonly #wake = new Signal()
  readonly #abort = new AbortController()
  readonly #done: Promise<void>
  #gateway: Gateway | undefined
  #stored: Stored<Gateway> | undefined
  #written: Gateway | undefined
  #triedAtMs = Number.NEGATIVE_INFINITY
  #failure: KubeError | undefined
  #wasRace = false
  /** Of writes that were taken. */
  #writes = 0

  constructor(parts: GatewayReportParts) {
    this.#parts = parts
    this.#periodMs = parts.periodMs ?? defaultPeriodMs
    this.#done = this.#run()
  }

  get writes(): number {
    return this.#writes
  }

  /** As it is now. */
  show(gateway: Gateway): void {
    this.#gateway = gateway
    if (hasNews(this.#written, gateway)) this.#wake.raise()
  }

  problems(): readonly Problem[] {
    const error = this.#failure
    // That the server is away the watches say.
    if (error === undefined || isAway(error.code)) return []
    const hint = error.hint === undefined ? '' : `; try: ${error.hint}`
    const object = `gateways/${this.#gateway?.meta.name ?? ''}`
    return [{ code: 'write-failed', clusterId: '', object, message: `${error.message}${hint}` }]
  }

  /** Ends, and takes the object away when it should not be found any more. */
  async stop(options: { readonly removes: boolean }): Promise<void> {
    this.#abort.abort()
    this.#wake.raise()
    await this.#done
    const meta = this.#gateway?.meta
    if (!options.removes || meta === undefined) return
    const { name, namespace } = meta
    // The process is ending, and may be given a second for it.
    await this.#parts.client
      .delete(gatewayType, { name, namespace }, { limitMs: 1000 })
      .catch(error => this.#parts.log.info(String(error.message)))
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      const restMs = this.#dueMs() - this.#parts.clock.monotonicMs()
      if (restMs > 0) await this.#wake.wait(restMs)
      else await this.#write()
    }
  }

  #dueMs(): number {
    if (this.#gateway === undefined) return Number.POSITIVE_INFINITY
    const isNews = hasNews(this.#written, this.#gateway) && this.#failure === undefined
    return this.#triedAtMs + (isNews || this.#wasRace ? leastMs : this.#periodMs)
  }

  async #write(): Promise<void> {
    const { clock } = this.#parts
    const gateway = this.#gateway
    if (gateway === undefined) return
    this.#triedAtMs = clock.monotonicMs()
    try {
      this.#stored = await this.#put({ ...gateway, updatedAtMs: clock.wallMs() })
      this.#written = gateway
      this.#failure = undefined
      this.#wasRace = false
      this.#writes++
    } catch (error) {
      if (!(error instanceof KubeError)) throw error
      this.#stored = undefined
      this.#wasRace = races.includes(error.code) && !this.#wasRace
      if (!this.#wasRace && error.code !== 'ABORTED') this.#failure = error
    }
  }

  async #put(gateway: Gateway): Promise<Stored<Gateway>> {
    const { client } = this.#parts
    const { name, namespace } = gateway.meta
    const options = { signal: this.#abort.signal }
    const read = this.#stored ?? (await this.#read(name, namespace))
    if (read === undefined) return await client.create(gatewayType, gateway, options)
    const meta = { ...gateway.meta, uid: '', resourceVersion: '' }
    return await client.update(gatewayType, read, { ...gateway, meta }, options)
  }

  async #read(name: string, namespace: string): Promise<Stored<Gateway> | undefined> {
    const { client } = this.#parts
    try {
      return await client.get(gatewayType, { name, namespace }, { signal: this.#abort.signal })
    } catch (error) {
      const code = kubeCodeOf(error)
      if (code === 'NOT_FOUND') return undefined
      // Whatever somebody has written there: ours takes its place.
      if (code !== 'BAD_OBJECT') throw error
      await client.delete(gatewayType, { name, namespace }, { signal: this.#abort.signal })
      return undefined
    }
  }
}
