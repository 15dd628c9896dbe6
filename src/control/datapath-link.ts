// The data path, from control's side: attached to whenever it is there, looked at once a second, and
// given the tables that are wanted when others are in force. Generations are the data path's: ours is
// the one behind it, so whoever posts in between (a person, a restart) is overwritten at the next look;
// only the ciphers that somebody has set by `hawser cable set` are kept, for the life of this process.
// It forwards on by its last tables whatever happens here.

import { isDeepStrictEqual } from 'node:util'
import { backoffMs } from '../kube/backoff.ts'
import { Signal } from '../kube/signal.ts'
import type { Clock } from '../net/clock.ts'
import { GatewayError } from '../net/errors.ts'
import { type CipherChoice, formatCiphers } from '../tables/cipher.ts'
import type { DatapathStatus } from '../tables/status.ts'
import type { CableTable, Tables } from '../tables/tables.ts'
import type { DatapathConnection, Log } from './parts.ts'
import type { Problem } from './world.ts'

export type WantedTables = Omit<Tables, 'generation'>

export interface DatapathLinkParts {
  readonly connect: () => Promise<DatapathConnection>
  readonly clock: Clock
  readonly log: Log
  /** Raised when there is a new status, or none any more. */
  readonly changed: Signal
  readonly pollMs?: number
  readonly random?: () => number
}

interface Applied {
  readonly tables: WantedTables
  readonly generation: number
}

const defaultPollMs = 1000
const reconnects = { firstMs: 100, mostMs: 2000 } as const
/** Tables that were refused are posted again: the port may be free by then. */
const refusals = { firstMs: 1000, mostMs: 30_000 } as const

export class DatapathLink {
  readonly #parts: DatapathLinkParts
  readonly #pollMs: number
  readonly #wake = new Signal()
  readonly #done: Promise<void>
  #isStopping = false
  #connection: DatapathConnection | undefined
  #status: DatapathStatus | undefined
  #wanted: WantedTables | undefined
  #applied: Applied | undefined
  #handCiphers: ReadonlyMap<string, CipherChoice> = new Map()
  #problem: Problem | undefined
  #refusals = 0
  #retryAtMs = 0

  constructor(parts: DatapathLinkParts) {
    this.#parts = parts
    this.#pollMs = parts.pollMs ?? defaultPollMs
    this.#done = this.#run()
  }

  /** As it was at the last look; undefined while nobody is attached. */
  get status(): DatapathStatus | undefined {
    return this.#status
  }

  /**
   * What it forwards by: posted by us, or found there when we came. Undefined: nobody has posted
   * anything, or nobody is attached.
   */
  get posted(): WantedTables | undefined {
    return this.#status === undefined ? undefined : this.#applied?.tables
  }

  /** By cable name. */
  get handCiphers(): ReadonlyMap<string, CipherChoice> {
    return this.#handCiphers
  }

  /** Whether it forwards by what is wanted. */
  get isInForce(): boolean {
    return (
      this.#status !== undefined &&
      this.#wanted !== undefined &&
      this.#applied?.generation === this.#status.generation &&
      isDeepStrictEqual(this.#applied.tables, this.#wanted)
    )
  }

  problems(): readonly Problem[] {
    return this.#problem === undefined ? [] : [this.#problem]
  }

  want(tables: WantedTables): void {
    if (isDeepStrictEqual(tables, this.#wanted)) return
    this.#wanted = tables
    this.#refusals = 0
    this.#retryAtMs = 0
    this.#wake.raise()
  }

  /** Leaves the data path as it is. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#connection?.close()
    this.#wake.raise()
    await this.#done
  }

  async #run(): Promise<void> {
    const { connect, random = Math.random } = this.#parts
    let attempt = 0
    while (!this.#isStopping) {
      try {
        this.#connection = await connect()
        attempt = 0
        await this.#serve(this.#connection)
      } catch (error) {
        if (this.#isStopping) break
        this.#note('datapath-away', error)
      }
      this.#connection?.close()
      this.#connection = undefined
      if (this.#status !== undefined) this.#parts.changed.raise()
      this.#status = undefined
      // Remotes in it were compared with what was in force then.
      this.#wanted = undefined
      if (!this.#isStopping) await this.#wake.wait(backoffMs(reconnects, ++attempt, random()))
    }
  }

  /** Until the connection ends, by an error. */
  async #serve(connection: DatapathConnection): Promise<void> {
    const { clock, changed } = this.#parts
    void connection.closed.then(() => this.#wake.raise())
    while (!this.#isStopping) {
      const lookedAtMs = clock.monotonicMs()
      this.#status = await connection.status()
      if (this.#problem?.code === 'datapath-away') this.#problem = undefined
      await this.#readBack(connection, this.#status.generation)
      const isPosted = await this.#post(connection, this.#status.generation)
      if (isPosted) this.#status = await connection.status()
      changed.raise()
      const restMs = lookedAtMs + this.#pollMs - clock.monotonicMs()
      await this.#wake.wait(Math.max(0, restMs))
    }
  }

  /** What was posted by somebody else, or by us before a restart. */
  async #readBack(connection: DatapathConnection, generation: number): Promise<void> {
    if (this.#applied?.generation === generation) return
    const before = this.#applied
    this.#applied = undefined
    if (generation === 0) return
    const { generation: found, ...tables } = await connection.readTables({ keys: true })
    this.#applied = { tables, generation: found }
    if (before !== undefined && found > before.generation) this.#keepCiphers(before.tables, tables)
  }

  /** What is wanted was worked out without them: it is not posted before it is wanted again. */
  #keepCiphers(before: WantedTables, after: WantedTables): void {
    const enabled = new Map(before.cables.map(cable => [cable.name, choiceOf(cable)]))
    const set = after.cables.flatMap(cable => {
      const choice = choiceOf(cable)
      const isOther = enabled.has(cable.name) && choice !== undefined
      return isOther && !isDeepStrictEqual(choice, enabled.get(cable.name))
        ? [[cable.name, choice] as const]
        : []
    })
    if (set.length === 0) return
    this.#handCiphers = new Map([...this.#handCiphers, ...set])
    this.#wanted = undefined
    for (const [name, choice] of set) {
      this.#parts.log.info(`cable ${name}: ciphers set by hand, ${formatCiphers(choice)}`)
    }
  }

  /** Whether tables were posted. Throws when the connection has ended. */
  async #post(connection: DatapathConnection, generation: number): Promise<boolean> {
    const { clock, log, random = Math.random } = this.#parts
    const tables = this.#wanted
    // What was refused is not wanted any more.
    if (this.isInForce) this.#problem = undefined
    if (tables === undefined || this.isInForce || clock.monotonicMs() < this.#retryAtMs)
      return false
    try {
      await connection.apply({ ...tables, generation: generation + 1 })
      this.#applied = { tables, generation: generation + 1 }
      this.#problem = undefined
      this.#refusals = 0
      log.info(`tables of generation ${generation + 1} in force, cables: ${tables.cables.length}`)
      return true
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      // Somebody was faster; or the connection has ended, which the next call will say.
      if (error.code === 'STALE') this.#wake.raise()
      if (['STALE', 'UNREACHABLE', 'TIMED_OUT'].includes(error.code)) return false
      this.#note('tables-refused', error)
      this.#retryAtMs = clock.monotonicMs() + backoffMs(refusals, ++this.#refusals, random())
      return false
    }
  }

  #note(code: string, error: unknown): void {
    const { message } = error instanceof Error ? error : new Error(String(error))
    const hint = error instanceof GatewayError && error.hint ? `; try: ${error.hint}` : ''
    const problem: Problem = { code, clusterId: '', object: '', message: `${message}${hint}` }
    if (this.#problem?.code === code && this.#problem.message === problem.message) return
    this.#problem = problem
    this.#parts.changed.raise()
  }
}

function choiceOf(cable: CableTable): CipherChoice | undefined {
  return cable.driver === 'wireguard' ? cable.ciphers?.enabled : undefined
}
