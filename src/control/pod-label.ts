// Labels our Pod `active` or `passive`, which the Service of a load balancer selects by, with the node
// that it is on. A merge patch; where that is not allowed the Pod is updated.

import { backoffMs } from '../kube/backoff.ts'
import type { KubeClient } from '../kube/client.ts'
import { isAway, type KubeCode, KubeError } from '../kube/errors.ts'
import { label } from '../kube/names.ts'
import { podType } from '../kube/resources/pod.ts'
import { Signal } from '../kube/signal.ts'
import type { Log } from './parts.ts'
import type { Problem } from './world.ts'

export interface PodLabelParts {
  readonly client: KubeClient
  readonly namespace: string
  readonly podName: string
  readonly nodeName: string
  readonly log: Log
}

type PodStatus = 'active' | 'passive'

const retries = { firstMs: 100, mostMs: 5000 } as const
const refused: readonly KubeCode[] = ['FORBIDDEN', 'INVALID']

export class PodLabel {
  readonly #parts: PodLabelParts
  readonly #wake = new Signal()
  readonly #abort = new AbortController()
  readonly #done: Promise<void>
  #wanted: PodStatus | undefined
  #written: PodStatus | undefined
  #failure: KubeError | undefined

  constructor(parts: PodLabelParts) {
    this.#parts = parts
    this.#done = this.#run()
  }

  want(status: PodStatus): void {
    if (status === this.#wanted) return
    this.#wanted = status
    this.#wake.raise()
  }

  problems(): readonly Problem[] {
    // That the server is away the watches say.
    if (this.#failure === undefined || isAway(this.#failure.code)) return []
    const { message } = this.#failure
    const object = `pods/${this.#parts.podName}`
    return [{ code: 'write-failed', clusterId: '', object, message }]
  }

  /** Ends; with a last word, as far as that is quick. */
  async stop(last: PodStatus | undefined): Promise<void> {
    this.#abort.abort()
    this.#wake.raise()
    await this.#done
    if (last === undefined || this.#written === last) return
    await this.#write(last, { limitMs: 1000 }).catch(error =>
      this.#parts.log.info(String(error.message)),
    )
  }

  async #run(): Promise<void> {
    let attempt = 0
    while (!this.#abort.signal.aborted) {
      const status = this.#wanted
      if (status === undefined || status === this.#written) {
        await this.#wake.wait()
        continue
      }
      try {
        await this.#write(status, { signal: this.#abort.signal })
        this.#written = status
        this.#failure = undefined
        attempt = 0
      } catch (error) {
        if (!(error instanceof KubeError)) throw error
        if (error.code === 'ABORTED') return
        this.#failure = error
        await this.#wake.wait(backoffMs(retries, ++attempt, Math.random()))
      }
    }
  }

  async #write(status: PodStatus, options: { signal?: AbortSignal; limitMs?: number }) {
    const { client, namespace, podName: name, nodeName } = this.#parts
    const labels = {
      [label.gatewayPodStatus]: status,
      ...(nodeName === '' ? {} : { [label.gatewayPodNode]: nodeName }),
    }
    try {
      await client.patch(podType, { name, namespace }, { metadata: { labels } }, options)
    } catch (error) {
      if (!(error instanceof KubeError) || !refused.includes(error.code)) throw error
      await client.change(
        podType,
        { name, namespace },
        pod => ({ ...pod, meta: { ...pod.meta, labels: { ...pod.meta.labels, ...labels } } }),
        options,
      )
    }
  }
}
