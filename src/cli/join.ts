// `hawser join FILE`: the cluster of the kubeconfig becomes a member of the clusterset that the file is of.
// Flags are those of subctl join where there is one. It may be run again at any point.

import { createInterface } from 'node:readline/promises'
import { Command, Option } from 'commander'
import type { GatewayWish } from '../broker/gateway-node.ts'
import { cidrLine, type JoinSettings, join } from '../broker/join.ts'
import type { BrokerInfo } from '../kube/broker-info.ts'
import { clusterIdProblem, ensureValidName, objectName } from '../kube/names.ts'
import type { Prefix } from '../net/address.ts'
import { exitCode, GatewayError } from '../net/errors.ts'
import { readBrokerFile } from './broker-file.ts'
import { integerWithin } from './datapath.ts'
import {
  type KubeChoice,
  namesOf,
  openBroker,
  openCluster,
  prefixesOf,
  prefixOf,
  type Switch,
  withKubeconfig,
  withSwitches,
} from './kube-options.ts'
import { terminalProgress } from './progress.ts'

interface Flags extends KubeChoice {
  readonly clusterid?: string
  readonly clustercidr?: readonly Prefix[]
  readonly servicecidr?: readonly Prefix[]
  readonly cableDriver: string
  readonly nattPort: number
  readonly nattport?: number
  readonly natt: boolean
  readonly preferredServer: boolean
  readonly forceUdpEncaps: boolean
  readonly loadBalancer: boolean
  readonly airGapped: boolean
  readonly globalnet: boolean
  readonly globalnetCidr?: Prefix
  readonly globalnetClusterSize?: number
  readonly enableClustersetIp?: boolean
  readonly clustersetIpCidr?: Prefix
  readonly customDomains?: readonly string[]
  readonly labelGateway: boolean
  readonly gatewayNode?: string
  readonly healthCheck: boolean
  readonly healthCheckInterval: number
  readonly healthCheckMaxPacketLossCount: number
  readonly namespace: string
  readonly brokerUrl?: string
  readonly checkBrokerCertificate: boolean
  readonly ignoreRequirements: boolean
  readonly podDebug: boolean
}

const switches: readonly Switch[] = [
  { name: 'natt', what: 'its gateways are not behind NAT', isOn: true },
  { name: 'preferred-server', what: 'the others initiate', isOn: false },
  { name: 'force-udp-encaps', what: 'UDP for IPsec, always', isOn: false },
  { name: 'load-balancer', what: 'its gateways are behind a load balancer', isOn: false },
  { name: 'air-gapped', what: 'it cannot ask the Internet for its public address', isOn: false },
  { name: 'health-check', what: 'do not ping the remotes through the cables', isOn: true },
  { name: 'globalnet', what: 'take no part in Globalnet when the broker has it', isOn: true },
  { name: 'enable-clusterset-ip', what: 'its services get clusterset IPs', isOn: undefined },
  { name: 'label-gateway', what: 'choose no gateway node when none is labelled', isOn: true },
  { name: 'check-broker-certificate', what: 'believe any server', isOn: true },
  { name: 'ignore-requirements', what: 'go on with an unknown Kubernetes', isOn: false },
  { name: 'pod-debug', what: 'components log more', isOn: false },
]

const drivers = ['wireguard', 'vxlan', 'libreswan'] as const

export function joinCommand(): Command {
  const command = withKubeconfig(new Command('join'))
    .description('make a cluster a member of a clusterset; it may be run again after a failure')
    .argument('<file>', 'the join file of the broker; "-" is standard input')
    .option('--clusterid <id>', "its name in the clusterset (the kubeconfig's for it)")
    .option('--namespace <name>', 'where its components run', objectName.operatorNamespace)
  return withSwitches(broker(network(cable(command))), switches).action(run)
}

function network(command: Command): Command {
  return command
    .option('--clustercidr <cidrs>', 'subnets of its pods (found out)', prefixesOf)
    .option('--servicecidr <cidrs>', 'subnets of its Services (found out)', prefixesOf)
    .option('--globalnet-cidr <cidr>', 'its global CIDR (the next free one)', prefixOf)
    .option('--globalnet-cluster-size <n>', 'addresses of it', integerWithin(2, 1 << 24))
    .option('--clusterset-ip-cidr <cidr>', 'what those are cut from', prefixOf)
    .option(
      '--custom-domains <list>',
      'domains of service discovery (those of the broker)',
      namesOf,
    )
}

function cable(command: Command): Command {
  return command
    .addOption(
      new Option('--cable-driver <name>', 'preferred cable driver')
        .choices(drivers)
        .default('wireguard'),
    )
    .option('--natt-port <port>', 'UDP port of the cables', integerWithin(1, 65_535), 4500)
    .addOption(new Option('--nattport <port>').argParser(integerWithin(1, 65_535)).hideHelp())
    .option('--health-check-interval <s>', 'seconds between pings', integerWithin(1, 3600), 1)
    .option(
      '--health-check-max-packet-loss-count <n>',
      'pings lost in a row that make a connection an error',
      integerWithin(1, 1000),
      5,
    )
}

function broker(command: Command): Command {
  return command
    .option('--broker-url <url>', 'how this cluster reaches the broker (as in the file)')
    .option('--gateway-node <name>', 'the node that becomes a gateway')
}

async function run(file: string, flags: Flags): Promise<void> {
  const info = readBrokerFile(file)
  const progress = terminalProgress()
  const { client: local, cluster } = await openCluster(flags)
  const settings = settingsOf(info, flags, clusterIdOf(flags, cluster))
  const remote = openBroker(
    {
      server: settings.brokerUrl,
      namespace: info.token.namespace,
      token: new TextDecoder().decode(info.token.token),
      ca: new TextDecoder().decode(info.token.ca),
      trustsSystemRoots: true,
      isInsecure: settings.isBrokerInsecure,
    },
    'hawser deploy-broker on the cluster of the broker: it writes a join file with a token that is valid',
  )
  try {
    const joined = await join(info, settings, { local, broker: remote }, progress)
    progress.note(`${settings.clusterId} has joined: ${cidrLine(joined.plan.subnets)}`)
    const [node] = joined.gatewayNodes
    if (node !== undefined) progress.note(`next: hawser gateway on the node ${node}`)
  } finally {
    local.close()
    remote.close()
  }
}

function clusterIdOf({ clusterid }: Flags, cluster: string): string {
  const id = clusterid ?? ensureValidName(cluster).replaceAll('.', '-')
  const problem = clusterIdProblem(id)
  if (problem === undefined) return id
  throw new GatewayError('USAGE', problem, { hint: '--clusterid NAME', exit: exitCode.usage })
}

function settingsOf(info: BrokerInfo, flags: Flags, clusterId: string): JoinSettings {
  return {
    clusterId,
    operatorNamespace: flags.namespace,
    brokerUrl: flags.brokerUrl ?? info.brokerUrl,
    clusterCidrs: flags.clustercidr ?? [],
    serviceCidrs: flags.servicecidr ?? [],
    wantsGlobalnet: flags.globalnet,
    globalCidr: flags.globalnetCidr,
    globalnetSize: flags.globalnetClusterSize,
    wantsClustersetIp: flags.enableClustersetIp,
    clustersetIpCidr: flags.clustersetIpCidr,
    cable: {
      driver: flags.cableDriver,
      driverOptions: {},
      isNatEnabled: flags.natt,
      psk: undefined,
      pskSecretName: '',
      ikePort: undefined,
      nattPort: flags.nattport ?? flags.nattPort,
      isPreferredServer: flags.preferredServer,
      wantsUdpEncapsulation: flags.forceUdpEncaps,
      isDebugging: false,
      hasLoadBalancer: flags.loadBalancer,
    },
    healthCheck: {
      isEnabled: flags.healthCheck,
      intervalSeconds: flags.healthCheckInterval,
      packetLossMost: flags.healthCheckMaxPacketLossCount,
    },
    customDomains: flags.customDomains ?? info.customDomains,
    isAirGapped: flags.airGapped,
    isDebugging: flags.podDebug,
    isBrokerInsecure: !flags.checkBrokerCertificate,
    gateway: gatewayWish(flags),
    ignoresRequirements: flags.ignoreRequirements,
  }
}

function gatewayWish({ gatewayNode, labelGateway }: Flags): GatewayWish {
  if (gatewayNode !== undefined) return { kind: 'node', name: gatewayNode }
  if (!labelGateway) return { kind: 'none' }
  const hasPerson = process.stdin.isTTY === true && process.stderr.isTTY === true
  return hasPerson ? { kind: 'choose', ask: askForNode } : { kind: 'choose' }
}

async function askForNode(names: readonly string[]): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    process.stderr.write(`\nWhich node is to be the gateway?\n`)
    for (const [index, name] of names.entries()) process.stderr.write(`  ${index + 1}  ${name}\n`)
    for (;;) {
      const answer = (await lines.question(`number or name [${names[0]}]: `)).trim()
      const chosen = answer === '' ? names[0] : (names[Number(answer) - 1] ?? answer)
      if (names.includes(chosen)) return chosen
    }
  } finally {
    lines.close()
  }
}
