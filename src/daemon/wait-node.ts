// Waits until a Node is ready: what an init container of the gateway's pod does before the network
// plugin is up. An API server that is away is waited for as well, and what it is that is waited for
// stands in the log when it is another thing than before.

import type { KubeClient } from '../kube/client.ts'
import { type Node, nodeType } from '../kube/resources/node.ts'
import { Signal } from '../kube/signal.ts'
import { Watch } from '../kube/watch.ts'
import { systemClock } from '../net/clock.ts'
import { type ExitCode, exitCode, GatewayError } from '../net/errors.ts'
import { localClient } from './gateway-access.ts'
import { localConfig } from './gateway-config.ts'
import type { Environment } from './gateway-sources.ts'
import type { Log } from './log.ts'
import { onFirstSignal } from './signals.ts'

export interface NodeWait {
  /** It is closed in the end. */
  readonly client: KubeClient
  readonly nodeName: string
  /** Undefined: for as long as it takes. */
  readonly limitMs: number | undefined
  readonly log: Log
}

export interface WaitNodeOptions extends Omit<NodeWait, 'client'> {
  readonly environment: Environment
  readonly kubeconfig: string | undefined
  readonly version: string
}

export async function waitForNode(options: WaitNodeOptions): Promise<ExitCode> {
  const { environment, kubeconfig, version } = options
  const access = { clock: systemClock, environment, userAgent: `hawser/${version}` }
  const client = await localClient(access, localConfig({}, environment), kubeconfig)
  return waitWith({ ...options, client })
}

export async function waitWith(options: NodeWait): Promise<ExitCode> {
  const { client, nodeName, limitMs, log } = options
  const changed = new Signal()
  const watch = new Watch<Node>({
    ...{ client, type: nodeType, changed, clock: systemClock },
    scope: { fieldSelector: `metadata.name=${nodeName}` },
  })
  const endMs = systemClock.monotonicMs() + (limitMs ?? Number.POSITIVE_INFINITY)
  let last = ''
  let isInterrupted = false
  const forgetSignals = onFirstSignal(() => {
    isInterrupted = true
    changed.raise()
  })
  try {
    while (!isInterrupted) {
      const node = watch.list()[0]
      if (node?.isReady === true) {
        log.info(`Node ${nodeName} is ready`)
        return exitCode.ok
      }
      const status = watch.status()
      const why =
        status.state === 'retrying'
          ? status.error
          : `Node ${nodeName} ${node === undefined ? 'is not there' : 'is not ready'}`
      if (watch.synced || status.state === 'retrying') {
        if (why !== last) log.info(`waiting: ${why}`)
        last = why
      }
      const restMs = endMs - systemClock.monotonicMs()
      if (restMs <= 0) throw tooLate(nodeName, why)
      await changed.wait(restMs)
    }
    return exitCode.interrupted
  } finally {
    forgetSignals()
    await watch.stop()
    client.close()
  }
}

function tooLate(nodeName: string, why: string): GatewayError {
  return new GatewayError('TIMED_OUT', `waited in vain: ${why}`, {
    exit: exitCode.timedOut,
    hint: `kubectl describe node ${nodeName}`,
  })
}
