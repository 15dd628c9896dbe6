// Where the settings of `hawser gateway` come from: flags, then the environment of Submariner's gateway
// pod, then the Submariner resource. Each setting is looked for under its names in that order and is a
// text with the name under which it was found, so that what is wrong with it is said in the words of
// whoever wrote it. An empty variable counts as absent, as everywhere in Submariner.

import type { Submariner } from '../kube/resources/submariner.ts'
import { formatPrefix, type Prefix } from '../net/address.ts'

export type Environment = Readonly<Record<string, string | undefined>>

interface Names {
  /** Absent: secrets, and what only a pod has to say. */
  readonly flag?: string
  readonly variable: string
  /** Shown by --help. */
  readonly what: string
}

/** By setting. The flags' values come in under these names, too. */
export const settingNames = {
  clusterId: names('cluster-id', 'SUBMARINER_CLUSTERID', 'id of this cluster'),
  namespace: names('namespace', 'SUBMARINER_NAMESPACE', 'of our objects (submariner-operator)'),
  clusterCidr: names('cluster-cidr', 'SUBMARINER_CLUSTERCIDR', 'of pods, comma list'),
  serviceCidr: names('service-cidr', 'SUBMARINER_SERVICECIDR', 'of services, comma list'),
  globalCidr: names('global-cidr', 'SUBMARINER_GLOBALCIDR', 'with Globalnet, comma list'),
  colorCodes: { variable: 'SUBMARINER_COLORCODES', what: 'written and never read (blue)' },
  cableDriver: names(
    'cable-driver',
    'SUBMARINER_CABLEDRIVER',
    'wireguard, vxlan or both, the preferred one first (wireguard)',
  ),
  ciphers: names(
    'ciphers',
    'HAWSER_CIPHERS',
    'of wireguard cables: auto, or a comma list by preference (auto)',
  ),
  isNatEnabled: names('nat-enabled', 'SUBMARINER_NATENABLED', 'true or false (false)'),
  isAirGapped: names('air-gapped', 'AIR_GAPPED_DEPLOYMENT', 'true or false (false)'),
  apiServer: names('api-server', 'HAWSER_API_SERVER', 'of this cluster, without a kubeconfig'),
  apiSecret: names('api-secret', 'HAWSER_API_SECRET', 'directory with its token and ca.crt'),
  broker: { variable: 'SUBMARINER_BROKER', what: 'k8s' },
  brokerServer: names('broker-server', 'BROKER_K8S_APISERVER', 'API server of the broker'),
  brokerNamespace: names(
    'broker-namespace',
    'BROKER_K8S_REMOTENAMESPACE',
    'there (submariner-k8s-broker)',
  ),
  brokerSecret: names(
    'broker-secret',
    'BROKER_K8S_SECRET',
    'mounted Secret with token and ca.crt: a name, or a directory',
  ),
  brokerToken: { variable: 'BROKER_K8S_APISERVERTOKEN', what: 'token, without a Secret' },
  brokerCa: { variable: 'BROKER_K8S_CA', what: 'CA as PEM or base64, without a Secret' },
  isBrokerInsecure: names(
    'broker-insecure',
    'BROKER_K8S_INSECURE',
    'true: its certificate is not looked at',
  ),
  brokerKubeconfig: names(
    'broker-kubeconfig',
    'HAWSER_BROKER_KUBECONFIG',
    'in place of server and Secret',
  ),
  pskSecret: names('psk-secret', 'CE_IPSEC_PSKSECRET', 'mounted Secret with psk, or a directory'),
  udpPort: names('udp-port', 'CE_IPSEC_NATTPORT', 'of the cables (4500)'),
  isPreferredServer: names(
    'preferred-server',
    'CE_IPSEC_PREFERREDSERVER',
    'true: the others initiate (false)',
  ),
  isHealthCheckEnabled: names('health-check', 'SUBMARINER_HEALTHCHECKENABLED', 'ping (true)'),
  healthCheckInterval: names(
    'health-check-interval',
    'SUBMARINER_HEALTHCHECKINTERVAL',
    'seconds between pings (1)',
  ),
  healthCheckLoss: names(
    'health-check-loss',
    'SUBMARINER_HEALTHCHECKMAXPACKETLOSSCOUNT',
    'lost pings until a connection is an error (5)',
  ),
  metricsPort: names('metrics-port', 'SUBMARINER_METRICSPORT', 'of /metrics, /healthz (32780)'),
  publicIp: names('public-ip', 'SUBMARINER_PUBLICIP', 'ipv4:ADDRESS, ipv6:ADDRESS, comma list'),
  hostname: names('hostname', 'HAWSER_HOSTNAME', 'as Gateway and Endpoint name it (hostname)'),
  nodeName: names('node-name', 'NODE_NAME', 'of the Node that we run on'),
  podName: names('pod-name', 'POD_NAME', 'of our Pod, for its labels'),
  leaseDuration: { variable: 'LEADERSHIP_LEASEDURATION', what: 'seconds (15)' },
  renewDeadline: { variable: 'LEADERSHIP_RENEWDEADLINE', what: 'seconds (10)' },
  retryPeriod: { variable: 'LEADERSHIP_RETRYPERIOD', what: 'seconds (2)' },
  stateDirectory: names(
    'state-dir',
    'HAWSER_STATE_DIR',
    'keys and what a cold start needs (/var/lib/hawser)',
  ),
  interfaceName: names('interface', 'HAWSER_INTERFACE', 'TUN device of the data path (hawser0)'),
  socketPath: names('socket', 'HAWSER_SOCKET', 'of the data path (/run/hawser/INTERFACE.sock)'),
  hasStockAgents: names(
    'stock-agents',
    'HAWSER_STOCK_AGENTS',
    'true beside route agents of Submariner (false)',
  ),
} as const satisfies Readonly<Record<string, Names>>

export type SettingName = keyof typeof settingNames

/** Flags as they were given. */
export type GatewayFlags = Readonly<Partial<Record<SettingName, string>>>

export interface Found {
  readonly text: string
  /** `--udp-port`, `CE_IPSEC_NATTPORT`, or a field of the resource. */
  readonly where: string
}

export class Sources {
  readonly environment: Environment
  readonly submariner: Submariner | undefined
  readonly #flags: GatewayFlags
  readonly #resource: ReturnType<typeof resourceTexts>

  constructor(flags: GatewayFlags, environment: Environment, submariner?: Submariner) {
    this.#flags = flags
    this.environment = environment
    this.submariner = submariner
    this.#resource = submariner === undefined ? {} : resourceTexts(submariner)
  }

  find(name: SettingName): Found | undefined {
    const { flag, variable }: Names = settingNames[name]
    const given = this.#flags[name]
    if (given !== undefined && flag !== undefined) return { text: given, where: `--${flag}` }
    const text = this.environment[variable]
    if (text !== undefined && text !== '') return { text, where: variable }
    const field = this.#resource[name]
    if (field === undefined || field.text === '') return undefined
    return { text: field.text, where: `Submariner ${field.where}` }
  }
}

/** What to set when a setting is missing. */
export function namesOf(name: SettingName): string {
  const { flag, variable }: Names = settingNames[name]
  return flag === undefined ? variable : `--${flag} or ${variable}`
}

function names(flag: string, variable: string, what: string): Names {
  return { flag, variable, what }
}

/** What the resource says, as texts like those of the variables that the operator makes of it. */
function resourceTexts(submariner: Submariner): Partial<Record<SettingName, Found>> {
  const { broker, cable, healthCheck, status } = submariner
  const field = (where: string, text: string | undefined): Found => ({ text: text ?? '', where })
  const flag = (where: string, value: boolean): Found => field(where, value ? 'true' : undefined)
  const cidrs = (name: string, spec: readonly Prefix[], found: readonly Prefix[] = []): Found =>
    spec.length > 0
      ? field(`spec.${name}`, spec.map(formatPrefix).join())
      : field(`status.${name}`, found.map(formatPrefix).join())
  return {
    clusterId: field('spec.clusterID', submariner.clusterId),
    namespace: field('spec.namespace', submariner.componentNamespace),
    clusterCidr: cidrs('clusterCIDR', submariner.clusterCidrs, status?.clusterCidrs),
    serviceCidr: cidrs('serviceCIDR', submariner.serviceCidrs, status?.serviceCidrs),
    globalCidr: cidrs('globalCIDR', submariner.globalCidrs),
    colorCodes: field('spec.colorCodes', submariner.colorCodes.join()),
    cableDriver: field('spec.cableDriver', cable.driver),
    isNatEnabled: flag('spec.natEnabled', cable.isNatEnabled),
    isAirGapped: flag('spec.airGappedDeployment', submariner.isAirGapped),
    brokerServer: field('spec.brokerK8sApiServer', broker.apiServer),
    brokerNamespace: field('spec.brokerK8sRemoteNamespace', broker.namespace),
    brokerSecret: field('spec.brokerK8sSecret', broker.secretName),
    brokerToken: field('spec.brokerK8sApiServerToken', broker.token),
    brokerCa: field('spec.brokerK8sCA', broker.ca),
    isBrokerInsecure: flag('spec.brokerK8sInsecure', broker.isInsecure),
    pskSecret: field('spec.ceIPSecPSKSecret', cable.pskSecretName),
    udpPort: field('spec.ceIPSecNATTPort', cable.nattPort?.toString()),
    isPreferredServer: flag(
      'spec.ceIPSecPreferredServer',
      cable.isPreferredServer || cable.hasLoadBalancer,
    ),
    isHealthCheckEnabled: field(
      'spec.connectionHealthCheck.enabled',
      healthCheck?.isEnabled.toString(),
    ),
    healthCheckInterval: field(
      'spec.connectionHealthCheck.intervalSeconds',
      healthCheck?.intervalSeconds.toString(),
    ),
    healthCheckLoss: field(
      'spec.connectionHealthCheck.maxPacketLossCount',
      healthCheck?.packetLossMost.toString(),
    ),
  }
}
