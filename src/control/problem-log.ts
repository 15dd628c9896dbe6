// Says in the log what problems there are: when one comes, and when it has gone. One that stays is not
// said again, however often it is seen.

import type { Log } from './parts.ts'
import type { Problem } from './world.ts'

export class ProblemLog {
  readonly #log: Log
  #known = new Map<string, Problem>()

  constructor(log: Log) {
    this.#log = log
  }

  look(problems: readonly Problem[]): void {
    const now = new Map(problems.map(problem => [keyOf(problem), problem]))
    for (const [key, { code, message }] of now) {
      if (!this.#known.has(key)) this.#log.error(`${code}: ${message}`)
    }
    for (const [key, { code, object, clusterId }] of this.#known) {
      if (now.has(key)) continue
      const what = [object, clusterId].filter(text => text !== '').join(' of ')
      this.#log.info(`${code}${what === '' ? '' : ` (${what})`}: it is over`)
    }
    this.#known = now
  }
}

/** Words of a message may change while the problem is the same. */
function keyOf({ code, clusterId, object }: Problem): string {
  return JSON.stringify([code, clusterId, object])
}
