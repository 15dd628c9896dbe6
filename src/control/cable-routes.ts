// Brings the device up and keeps the routes of VXLAN cables: the only ones that are the gateway's own
// (rule and table 100, as upstream). Done when something is different, again after a failure, never two
// at a time, and now and then anyway: managers of networks take away rules that are not theirs.

import type { Clock } from '../net/clock.ts'
import type { CableRoutes, HostNetwork } from './parts.ts'
import type { Problem } from './world.ts'

const retryMs = 5000
const againMs = 30_000

export class CableNetwork {
  readonly #host: HostNetwork
  readonly #clock: Clock
  #isBusy = false
  #isBroughtUp = false
  #appliedText = ''
  /** Not before that; and, when nothing is different, then. */
  #dueMs = 0
  #problem: Problem | undefined

  constructor(host: HostNetwork, clock: Clock) {
    this.#host = host
    this.#clock = clock
  }

  /** To be called at every turn. `isUp`: of the device; undefined while nobody knows. */
  look(routes: CableRoutes, isUp: boolean | undefined): void {
    // Without its device it may be made anew.
    if (isUp !== true) this.#isBroughtUp = false
    if (this.#isBusy || isUp === undefined) return
    const text = JSON.stringify(plain(routes))
    const isDone = this.#isBroughtUp && text === this.#appliedText
    const isWaiting = isDone || this.#problem !== undefined
    if (isWaiting && this.#clock.monotonicMs() < this.#dueMs) return
    this.#isBusy = true
    void this.#apply(routes, text).finally(() => {
      this.#isBusy = false
    })
  }

  problems(): readonly Problem[] {
    return this.#problem === undefined ? [] : [this.#problem]
  }

  async #apply(routes: CableRoutes, text: string): Promise<void> {
    try {
      await this.#host.bringUp(routes.interfaceName)
      this.#isBroughtUp = true
      // What fails may have been done in part.
      this.#appliedText = ''
      await this.#host.applyCableRoutes(routes)
      this.#appliedText = text
      this.#problem = undefined
      this.#dueMs = this.#clock.monotonicMs() + againMs
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      this.#problem = { code: 'cable-network', clusterId: '', object: '', message }
      this.#dueMs = this.#clock.monotonicMs() + retryMs
    }
  }
}

function plain({ interfaceName, subnets, sources }: CableRoutes): unknown {
  return [
    interfaceName,
    subnets.map(({ bytes, bits }) => [[...bytes], bits]),
    sources.map(({ bytes }) => [...bytes]),
  ]
}
