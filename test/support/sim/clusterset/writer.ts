// Carries out a plan's writes at the pace of the real WriteQueue, as src/control/executor.ts does, and
// keeps our Gateway object written, as src/control/gateway-report.ts does.

import { hasNews } from '../../../../src/control/gateway-status.ts'
import type { Write } from '../../../../src/control/world.ts'
import { WriteQueue } from '../../../../src/control/write-queue.ts'
import type { Stored } from '../../../../src/kube/client.ts'
import { type KubeCode, KubeError } from '../../../../src/kube/errors.ts'
import { type Gateway, gatewayType } from '../../../../src/kube/resources/gateway.ts'
import type { Result, SimClient } from './client.ts'
import { Alarm, type Timeline } from './timeline.ts'

const races: readonly KubeCode[] = ['CONFLICT', 'ALREADY_EXISTS', 'NOT_FOUND', 'GONE']

export interface SimWriterParts {
  readonly timeline: Timeline
  readonly local: SimClient
  readonly broker: SimClient
  readonly changed: () => void
}

export class SimWriter {
  readonly #parts: SimWriterParts
  readonly #queue: WriteQueue
  readonly #alarm: Alarm
  /** What failed last, by write. */
  readonly failures = new Map<string, KubeError>()

  constructor(parts: SimWriterParts) {
    this.#parts = parts
    this.#queue = new WriteQueue(parts.timeline.nowMs)
    this.#alarm = new Alarm(parts.timeline, () => this.#run())
  }

  want(writes: readonly Write[]): void {
    this.#queue.plan(this.#parts.timeline.nowMs, writes)
    const waiting = new Set(this.#queue.waiting())
    for (const id of this.failures.keys()) if (!waiting.has(id)) this.failures.delete(id)
    this.#run()
  }

  stop(): void {
    this.#alarm.off()
  }

  #run(): void {
    const { timeline } = this.#parts
    for (;;) {
      const step = this.#queue.next(timeline.nowMs)
      if (step.kind === 'wait') {
        this.#alarm.set(step.untilMs)
        return
      }
      this.#carryOut(step.write, error => {
        if (error === undefined) {
          this.#queue.done(timeline.nowMs, step.id, step.write)
          this.failures.delete(step.id)
        } else this.#failed(step.id, error)
        this.#run()
      })
    }
  }

  #failed(id: string, error: KubeError): void {
    this.#queue.failed(this.#parts.timeline.nowMs, id)
    if (!races.includes(error.code)) this.failures.set(id, error)
    this.#parts.changed()
  }

  #carryOut(write: Write, then: (error: KubeError | undefined) => void): void {
    const client = this.#parts[write.server]
    const ended = (result: Result<unknown>) => then(result.ok ? undefined : result.error)
    switch (write.verb) {
      case 'create':
        client.create(write.type, write.object, ended)
        return
      case 'update': {
        const { name, namespace, resourceVersion } = write.object.meta
        client.get(write.type, { name, namespace }, read => {
          if (!read.ok) return ended(read)
          const { value } = read
          // It is not what the plan has seen: there will be another plan.
          const isSeen = ['', value.value.meta.resourceVersion].includes(resourceVersion)
          if (isSeen) client.update(write.type, value, write.object, ended)
          else then(conflictOf(write))
        })
        return
      }
      case 'delete':
        client.delete(
          write.type,
          { name: write.name, namespace: write.namespace },
          write.uid,
          ended,
        )
        return
      default:
        write satisfies never
    }
  }
}

function conflictOf({ key }: Write): KubeError {
  return new KubeError('CONFLICT', `${key} has changed`)
}

const periodMs = 5000
const leastMs = 500

export class SimReport {
  readonly #timeline: Timeline
  readonly #client: SimClient
  readonly #wallMs: () => number
  readonly #alarm: Alarm
  #gateway: Gateway | undefined
  #stored: Stored<Gateway> | undefined
  #written: Gateway | undefined
  #triedAtMs = Number.NEGATIVE_INFINITY
  #hasFailed = false
  #isBusy = false

  constructor(timeline: Timeline, client: SimClient, wallMs: () => number) {
    this.#timeline = timeline
    this.#client = client
    this.#wallMs = wallMs
    this.#alarm = new Alarm(timeline, () => this.#write())
  }

  show(gateway: Gateway): void {
    this.#gateway = gateway
    this.#rest()
  }

  stop(): void {
    this.#alarm.off()
  }

  #rest(): void {
    const gateway = this.#gateway
    if (gateway === undefined || this.#isBusy) return
    const isNews = !this.#hasFailed && hasNews(this.#written, gateway)
    this.#alarm.setBy(this.#triedAtMs + (isNews ? leastMs : periodMs))
  }

  #write(): void {
    const gateway = this.#gateway
    if (gateway === undefined || this.#isBusy) return
    this.#isBusy = true
    this.#triedAtMs = this.#timeline.nowMs
    this.#put({ ...gateway, updatedAtMs: this.#wallMs() }, result => {
      this.#isBusy = false
      if (result.ok) {
        this.#stored = result.value
        this.#written = gateway
        this.#hasFailed = false
      } else {
        this.#stored = undefined
        const isQuick = ['CONFLICT', 'ALREADY_EXISTS', 'NOT_FOUND'].includes(result.error.code)
        if (isQuick) this.#triedAtMs -= periodMs - leastMs
        else this.#hasFailed = true
      }
      this.#rest()
    })
  }

  #put(gateway: Gateway, then: (result: Result<Stored<Gateway>>) => void): void {
    const client = this.#client
    const update = (read: Stored<Gateway>) => {
      const meta = { ...gateway.meta, uid: '', resourceVersion: '' }
      client.update(gatewayType, read, { ...gateway, meta }, then)
    }
    if (this.#stored !== undefined) {
      update(this.#stored)
      return
    }
    const { name, namespace } = gateway.meta
    client.get(gatewayType, { name, namespace }, read => {
      if (read.ok) update(read.value)
      else if (read.error.code === 'NOT_FOUND') client.create(gatewayType, gateway, then)
      else then(read)
    })
  }
}
