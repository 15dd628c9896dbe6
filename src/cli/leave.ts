// `hawser leave [FILE]`: the cluster of the kubeconfig leaves its clusterset, and is then as it was before
// it joined. Its own token is enough; with the join file an admin's rights do it.

import { Command } from 'commander'
import { type BrokerAccess, leave } from '../broker/leave.ts'
import type { KubeClient } from '../kube/client.ts'
import { objectName } from '../kube/names.ts'
import { readBrokerFile } from './broker-file.ts'
import { type KubeChoice, openBroker, openCluster, withKubeconfig } from './kube-options.ts'
import { terminalProgress } from './progress.ts'

interface Flags extends KubeChoice {
  readonly namespace: string
  readonly withoutBroker?: boolean
}

export function leaveCommand(): Command {
  return withKubeconfig(new Command('leave'))
    .description('take a cluster out of its clusterset; it may be run again after a failure')
    .argument('[file]', 'the join file: leaves with the rights of an admin')
    .option('--namespace <name>', 'where its components run', objectName.operatorNamespace)
    .option('--without-broker', 'clean up here alone: the broker is gone')
    .action(run)
}

async function run(file: string | undefined, flags: Flags): Promise<void> {
  const info = file === undefined ? undefined : readBrokerFile(file)
  const progress = terminalProgress()
  const { client } = await openCluster(flags)
  try {
    const isWithoutBroker = flags.withoutBroker === true
    const settings = { operatorNamespace: flags.namespace, info, isWithoutBroker }
    await leave(client, settings, brokerOf, progress)
    progress.note('gateways and route agents that still run undo their part when they are stopped')
  } finally {
    client.close()
  }
}

function brokerOf({ url, ...access }: BrokerAccess): KubeClient {
  return openBroker(
    { server: url, ...access, trustsSystemRoots: true },
    'hawser leave with the join file of the broker, or --without-broker',
  )
}
