// The loop of a node's route agent: look at the objects and at the machine, work out what should be, make
// up the difference, and look again when either changes, or after ten seconds. Level triggered: it needs
// to have seen no event, so it does not matter which were missed.
//
// Nothing ends it. Before the API has been listed, and while it is away, what is there stays as it is; a
// change that fails is said in the log and in the status, and tried again.

import { setTimeout as delay } from 'node:timers/promises'
import type { Endpoint } from '../kube/resources/endpoint.ts'
import type { Node } from '../kube/resources/node.ts'
import type { RouteAgent } from '../kube/resources/route-agent.ts'
import type { Signal } from '../kube/signal.ts'
import type { ObjectStore } from '../kube/store.ts'
import type { WatchStatus } from '../kube/watch-state.ts'
import type { Clock } from '../net/clock.ts'
import { GatewayError } from '../net/errors.ts'
import type { NodeNetwork } from './network.ts'
import { describePlan, type NodePlan, planNode } from './plan.ts'
import type { AgentSettings } from './settings.ts'
import { type HealthOf, routeAgentOf } from './status.ts'

export interface AgentLog {
  error(line: string): void
  info(line: string): void
}

/** Its objects, and whether there is somebody to ask. */
export interface Watched<T> extends ObjectStore<T> {
  status(): WatchStatus
}

export interface AgentParts {
  readonly settings: AgentSettings
  readonly network: Pick<NodeNetwork, 'interfaces' | 'apply'>
  readonly endpoints: Watched<Endpoint>
  readonly nodes: Watched<Node>
  /** Raised by both watches and by the monitor of the machine. */
  readonly changed: Signal
  readonly clock: Clock
  readonly log: AgentLog
  readonly saveStatus: (agent: RouteAgent) => Promise<void>
  readonly healthOf: HealthOf
}

const lookMs = 10_000
/**
 * Between two looks, at least. A gateway that moves is followed at once; a node whose pods come and go all
 * the time makes no work all the time. Our own changes are heard of too.
 */
const spacingMs = 500
/** RouteAgentUpdateInterval of Submariner. */
const statusMs = 60_000
const statusRetryMs = 5000

export class Agent {
  readonly #parts: AgentParts
  #isStopped = false
  #failures = 0
  #said = ''
  #plan: NodePlan | undefined
  #failure = ''
  #saved = ''
  /** Said once. */
  #saveFailure = ''
  #saveAtMs = Number.NEGATIVE_INFINITY
  #saving: Promise<void> | undefined

  constructor(parts: AgentParts) {
    this.#parts = parts
  }

  /** Resolves after `stop`. */
  async run(): Promise<void> {
    const { changed, clock } = this.#parts
    while (!this.#isStopped) {
      await this.#look()
      this.#save()
      const lookedAtMs = clock.monotonicMs()
      const limitMs = this.#failures === 0 ? lookMs : Math.min(500 * 2 ** this.#failures, lookMs)
      await changed.wait(limitMs)
      if (!this.#isStopped) await delay(Math.max(0, lookedAtMs + spacingMs - clock.monotonicMs()))
    }
    await this.#saving
  }

  stop(): void {
    this.#isStopped = true
    this.#parts.changed.raise()
  }

  async #look(): Promise<void> {
    const { settings, network, endpoints, nodes } = this.#parts
    // Absence means nothing before a whole list has been read.
    if (!endpoints.synced || !nodes.synced) {
      this.#say(undefined, undefined)
      return
    }
    try {
      const interfaces = await network.interfaces()
      const plan = planNode({
        settings,
        endpoints: endpoints.list(),
        nodes: nodes.list(),
        interfaces,
      })
      this.#plan = plan
      await network.apply(plan, interfaces)
      this.#failures = 0
      this.#say(plan, undefined)
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      this.#failures = Math.min(this.#failures + 1, 10)
      this.#say(this.#plan, error)
    }
  }

  /** Once for each different state of things. */
  #say(plan: NodePlan | undefined, error: GatewayError | undefined): void {
    const { log, endpoints, nodes } = this.#parts
    const problems = [
      ...[...endpoints.problems(), ...nodes.problems()].map(({ problem }) => problem),
      ...(plan?.problems ?? []).map(({ message }) => message),
      ...(error === undefined ? [] : [error.message]),
    ]
    this.#failure = problems.join('; ')
    const head = plan === undefined ? '' : describePlan(plan)
    // Not of the status: an API that is away takes none.
    const errors = [...problems, ...troubles([endpoints, nodes])]
    const text = [head, ...errors].join('\n')
    if (text === this.#said) return
    this.#said = text
    if (head !== '') log.info(head)
    for (const line of errors) log.error(line)
    if (error?.hint !== undefined) log.error(`try: ${error.hint}`)
  }

  /** In the background: the loop waits for no API. */
  #save(): void {
    const { settings, clock, healthOf, saveStatus, log } = this.#parts
    if (this.#plan === undefined || this.#saving !== undefined) return
    const agent = routeAgentOf(settings, this.#plan, this.#failure, healthOf)
    const text = JSON.stringify(agent)
    const nowMs = clock.monotonicMs()
    if (nowMs < this.#saveAtMs && (text === this.#saved || this.#saved === '')) return
    this.#saveAtMs = nowMs + statusMs
    this.#saved = text
    this.#saving = saveStatus(agent)
      .then(() => {
        this.#saveFailure = ''
      })
      .catch(({ message }: Error) => {
        if (this.#isStopped) return
        if (message !== this.#saveFailure) {
          log.error(`RouteAgent ${agent.meta.name} is not written: ${message}`)
        }
        this.#saveFailure = message
        this.#saved = ''
        this.#saveAtMs = clock.monotonicMs() + statusRetryMs
      })
      .finally(() => {
        this.#saving = undefined
      })
  }
}

/** Of an API that is away or refuses us, in the words of the first that has noticed. */
function troubles(watches: readonly Pick<Watched<unknown>, 'status'>[]): readonly string[] {
  const failing = watches.flatMap(watch => {
    const status = watch.status()
    return status.state === 'retrying' ? [status] : []
  })
  return failing.slice(0, 1).map(({ error, hint }) => `${error}${hint ? `; try: ${hint}` : ''}`)
}
