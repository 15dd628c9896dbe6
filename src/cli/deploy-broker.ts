// `hawser deploy-broker`: makes a namespace of the cluster in the kubeconfig a broker, and writes the file
// that clusters join with. It may be run again: what is in use stays as it is.

import { Command, InvalidArgumentError, Option } from 'commander'
import {
  defaultClustersetIpRange,
  defaultClustersetIpSize,
  defaultGlobalnetRange,
  defaultGlobalnetSize,
} from '../broker/cidr-allocation.ts'
import { deployBroker } from '../broker/deploy.ts'
import { clusterIdProblem, isDnsLabel, objectName } from '../kube/names.ts'
import { type Prefix, parsePrefix } from '../net/address.ts'
import { exitCode, GatewayError } from '../net/errors.ts'
import { defaultBrokerFile, readBrokerFile, writeBrokerFile } from './broker-file.ts'
import { integerWithin } from './datapath.ts'
import {
  type KubeChoice,
  namesOf,
  openCluster,
  prefixOf,
  withKubeconfig,
  withSwitches,
} from './kube-options.ts'
import { terminalProgress } from './progress.ts'

interface Flags extends KubeChoice {
  readonly brokerNamespace: string
  readonly brokerUrl?: string
  readonly globalnet: boolean
  readonly globalnetCidrRange: Prefix
  readonly globalnetClusterSize: number
  readonly enableClustersetIp: boolean
  readonly clustersetIpCidrRange: Prefix
  readonly components: readonly string[]
  readonly customDomains: readonly string[]
  readonly ipsecPskFrom?: string
  readonly stockMembers?: readonly string[]
  readonly file: string
}

const allComponents = ['service-discovery', 'connectivity'] as const

export function deployBrokerCommand(): Command {
  const command = withKubeconfig(new Command('deploy-broker'))
  return withSwitches(command, [
    { name: 'globalnet', what: 'CIDRs may overlap: each member gets a global one', isOn: false },
    {
      name: 'enable-clusterset-ip',
      what: 'exported services get an IP of their own',
      isOn: false,
    },
  ])
    .description('make a cluster the broker of a clusterset, and write the file to join it with')
    .option('--broker-namespace <name>', 'where on it', namespaceOf, objectName.brokerNamespace)
    .option('--broker-url <url>', 'how members reach it (the server of the kubeconfig)')
    .addOption(
      new Option('--globalnet-cidr-range <cidr>', 'what global CIDRs are cut from')
        .argParser(prefixOf)
        .default(parsePrefix(defaultGlobalnetRange), defaultGlobalnetRange),
    )
    .option(
      '--globalnet-cluster-size <n>',
      'addresses of one cluster',
      integerWithin(2, 1 << 24),
      defaultGlobalnetSize,
    )
    .addOption(
      new Option('--clusterset-ip-cidr-range <cidr>', 'what those are cut from')
        .argParser(prefixOf)
        .default(parsePrefix(defaultClustersetIpRange), defaultClustersetIpRange),
    )
    .option('--components <list>', allComponents.join(','), componentsOf, [...allComponents])
    .option('--custom-domains <list>', 'domains of service discovery besides its own', namesOf, [])
    .option('--ipsec-psk-from <file>', 'a join file whose PSK is taken over')
    .option('--stock-members <names...>', "clusters that run stock Submariner: upstream's role")
    .option('--file <path>', 'the join file', defaultBrokerFile)
    .action(deploy)
}

async function deploy(flags: Flags): Promise<void> {
  const { brokerNamespace: namespace, ipsecPskFrom, stockMembers = [], file } = flags
  for (const id of stockMembers) checkId(id)
  const psk = ipsecPskFrom === undefined ? undefined : pskOf(ipsecPskFrom)
  const progress = terminalProgress()
  const { client } = await openCluster(flags)
  try {
    const url = flags.brokerUrl ?? client.server
    const info = await deployBroker(
      client,
      {
        namespace,
        url,
        components: flags.components,
        customDomains: flags.customDomains,
        globalnet: {
          isEnabled: flags.globalnet,
          range: flags.globalnetCidrRange,
          clusterSize: flags.globalnetClusterSize,
        },
        clustersetIp: {
          isEnabled: flags.enableClustersetIp,
          range: flags.clustersetIpCidrRange,
          clusterSize: defaultClustersetIpSize,
        },
        psk,
        stockMembers,
      },
      progress,
    )
    const backup = writeBrokerFile(file, info, new Date())
    if (backup !== undefined) progress.note(`the file that was there is now ${backup}`)
    if (/^https:\/\/(?:127\.|localhost|\[::1\])/.test(url)) {
      progress.warn(`members reach the broker at ${url}: on this machine only. Else: --broker-url`)
    }
    progress.note(`join file: ${file}. It is a secret; on each cluster: hawser join ${file}`)
  } finally {
    client.close()
  }
}

function pskOf(path: string): Uint8Array {
  const { psk } = readBrokerFile(path)
  if (psk !== undefined) return psk
  throw new GatewayError('BAD_BROKER_INFO', `${path} has no PSK in it`, {
    hint: 'leave out --ipsec-psk-from: a new one is made',
  })
}

function checkId(id: string): void {
  const problem = clusterIdProblem(id)
  if (problem !== undefined) throw new GatewayError('USAGE', problem, { exit: exitCode.usage })
}

function namespaceOf(text: string): string {
  if (isDnsLabel(text)) return text
  throw new InvalidArgumentError('expected a name of lower-case letters, digits and "-"')
}

function componentsOf(text: string): readonly string[] {
  const names = namesOf(text)
  const known: readonly string[] = allComponents
  if (names.length > 0 && names.every(name => known.includes(name))) return names
  throw new InvalidArgumentError(`expected some of ${allComponents.join(', ')}`)
}
