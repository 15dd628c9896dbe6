// `hawser broker evict ID`: takes a member off the broker that cannot leave by itself. By the kubeconfig of
// the broker's cluster, or by its join file.

import { Command, InvalidArgumentError } from 'commander'
import { evict } from '../broker/leave.ts'
import type { KubeClient } from '../kube/client.ts'
import { isLabelValue, objectName } from '../kube/names.ts'
import { readBrokerFile } from './broker-file.ts'
import { type KubeChoice, openBroker, openCluster, withKubeconfig } from './kube-options.ts'
import { terminalProgress } from './progress.ts'

interface Flags extends KubeChoice {
  readonly brokerNamespace: string
  readonly file?: string
}

export function evictCommand(): Command {
  return withKubeconfig(new Command('evict'))
    .description('take a member off the broker: its objects, its account and its token')
    .argument('<id>', 'the cluster id', idOf)
    .option('--file <path>', 'the join file, in place of a kubeconfig of the broker')
    .option('--broker-namespace <name>', 'where the broker is', objectName.brokerNamespace)
    .action(run)
}

/** As loose as what stands on brokers. */
function idOf(text: string): string {
  if (isLabelValue(text)) return text
  throw new InvalidArgumentError('expected the id of a cluster')
}

async function run(clusterId: string, flags: Flags): Promise<void> {
  const progress = terminalProgress()
  const { client, namespace } = await brokerOf(flags)
  try {
    await evict(client, namespace, clusterId, progress)
    progress.note(`if ${clusterId} is still alive: hawser leave --without-broker there`)
  } finally {
    client.close()
  }
}

async function brokerOf(flags: Flags): Promise<{ client: KubeClient; namespace: string }> {
  if (flags.file === undefined) {
    const { client } = await openCluster(flags)
    return { client, namespace: flags.brokerNamespace }
  }
  const { brokerUrl, token } = readBrokerFile(flags.file)
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
  const { namespace } = token
  const client = openBroker(
    {
      ...{ server: brokerUrl, namespace, token: text(token.token), ca: text(token.ca) },
      ...{ trustsSystemRoots: true, isInsecure: false },
    },
    'hawser deploy-broker again: it writes a join file with a token that is valid',
  )
  return { client, namespace }
}
