// Joins a cluster of the lab to its broker, as people do it: with the broker's file, on a machine that
// has a kubeconfig of the cluster, by `hawser join`.

import { copyFileSync } from 'node:fs'
import { GatewayError } from '../net/errors.ts'
import { accessFiles } from './access.ts'
import { hawser, joinFile } from './daemons.ts'
import type { Lab } from './lab.ts'
import { errorIn, lastWords } from './process.ts'
import { outsidePath, runIn } from './sandbox.ts'
import { brokerSpace, type ClusterPlan } from './topology.ts'

/** Twenty clusters on two cores do not hurry. */
const joinLimitMs = 180_000

/** Throws GatewayError with what join said. */
export async function joinCluster(lab: Lab, cluster: ClusterPlan): Promise<void> {
  const { plan, sandbox } = lab
  const { gateway, podCidr, podCidr6, serviceCidr, serviceCidr6, name } = cluster
  // Its mode of 0600 comes along.
  copyFileSync(
    outsidePath(sandbox, brokerSpace, joinFile),
    outsidePath(sandbox, gateway.space, joinFile),
  )
  const command = [
    ...[hawser, 'join', joinFile, '--kubeconfig', accessFiles.kubeconfig, '--clusterid', name],
    ...['--cable-driver', plan.driver, '--natt=false', '--gateway-node', gateway.hostname],
    ...['--clustercidr', `${podCidr},${podCidr6}`],
    ...['--servicecidr', `${serviceCidr},${serviceCidr6}`],
  ]
  const result = await runIn(sandbox, gateway.space, command, { timeoutMs: joinLimitMs })
  if (result.code !== 0) {
    const { error, ...more } =
      result.code === 124 ? { error: lastWords(result) } : errorIn(result.stderr)
    throw new GatewayError('EFAILED', `${name} cannot join: ${error}`, more)
  }
}
