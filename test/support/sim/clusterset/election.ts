// Drives a LeaseState on virtual time, as src/kube/lease.ts does on a real one.

import type { Stored } from '../../../../src/kube/client.ts'
import { type Lease, leaseOf, leaseType, recordOf } from '../../../../src/kube/lease-record.ts'
import { type Leadership, LeaseState, type LeaseStep } from '../../../../src/kube/lease-state.ts'
import { objectName } from '../../../../src/kube/names.ts'
import type { Result, SimClient } from './client.ts'
import { Alarm, type Timeline } from './timeline.ts'

export interface SimElectionParts {
  readonly timeline: Timeline
  readonly random: () => number
  readonly client: SimClient
  readonly identity: string
  readonly heldEpoch: number | undefined
  readonly wallMs: () => number
  readonly changed: () => void
}

const place = { name: objectName.gatewayLease, namespace: objectName.operatorNamespace }

export class SimElection {
  readonly #parts: SimElectionParts
  readonly #state: LeaseState
  readonly #alarm: Alarm
  #stored: Stored<Lease> | undefined
  #last = ''

  constructor(parts: SimElectionParts) {
    const { timeline, random, identity, heldEpoch } = parts
    this.#parts = parts
    const held = heldEpoch === undefined ? {} : { heldEpoch }
    this.#state = new LeaseState(timeline.nowMs, { identity, random, ...held })
    this.#alarm = new Alarm(timeline, () => this.#step())
    this.#step()
  }

  leadership(): Leadership {
    this.#state.tick(this.#parts.timeline.nowMs)
    return this.#state.leadership()
  }

  hearSuccessor(): void {
    this.#state.hearSuccessor(this.#parts.timeline.nowMs)
    this.#note()
  }

  stop(): void {
    this.#alarm.off()
  }

  #step(): void {
    const step = this.#state.next(this.#parts.timeline.nowMs)
    this.#note()
    if (step.kind === 'wait') this.#alarm.set(step.untilMs)
    else if (step.kind === 'read') this.#read(step.limitMs)
    else if (step.kind === 'write') this.#write(step)
  }

  #goOn(): void {
    this.#note()
    this.#step()
  }

  #read(limitMs: number): void {
    const { client, timeline } = this.#parts
    const then = (result: Result<Stored<Lease>>) => {
      const { nowMs } = timeline
      if (result.ok || result.error.code === 'NOT_FOUND') {
        this.#stored = result.ok ? result.value : undefined
        this.#state.read(nowMs, this.#stored && recordOf(this.#stored.value))
      } else this.#state.failed(nowMs, result.error)
      this.#goOn()
    }
    client.get(leaseType, place, then, limitMs)
  }

  #write({ lease: write, limitMs }: LeaseStep & { kind: 'write' }): void {
    const { client, timeline, wallMs } = this.#parts
    const before = this.#stored
    const lease = leaseOf(write, place, before?.value, wallMs())
    const then = (result: Result<Stored<Lease>>) => {
      if (result.ok) {
        this.#stored = result.value
        this.#state.wrote(timeline.nowMs, recordOf(result.value.value))
      } else this.#state.failed(timeline.nowMs, result.error)
      this.#goOn()
    }
    if (before === undefined) client.create(leaseType, lease, then, limitMs)
    else client.update(leaseType, before, lease, then, limitMs)
  }

  #note(): void {
    const leadership = this.#state.leadership()
    const detail = leadership.state === 'standby' ? leadership.holder : leadership.epoch
    const now = `${leadership.state} ${detail}`
    if (now !== this.#last) this.#parts.changed()
    this.#last = now
  }
}
