// submariner.io/v1alpha1 Submariner: the settings of one member, written by `join` (ours or subctl's),
// and in its status what the active gateway found out. Images, node selectors, tolerations and the
// states of DaemonSets are the operator's: they stay as they are.

import type { Prefix } from '../../net/address.ts'
import { clusterIdProblem } from '../names.ts'
import type { Resource, ResourceType } from '../resource-type.ts'
import {
  type Fields,
  has,
  invalid,
  pathOf,
  readCount,
  readFlag,
  readObject,
  readPrefix,
  readPrefixLine,
  readText,
  readTextRecord,
  readTexts,
  splitCommas,
} from './fields.ts'
import {
  listOrNone,
  overlay,
  parseResource,
  partOf,
  recordOrNone,
  textOrNone,
  trueOrNone,
  writeResource,
} from './resource.ts'
import {
  prefixLine,
  prefixText,
  readSubmarinerStatus,
  type SubmarinerStatus,
  writeSubmarinerStatus,
} from './submariner-status.ts'

export interface Submariner extends Resource {
  readonly clusterId: string
  /** Where the components run. */
  readonly componentNamespace: string
  readonly broker: BrokerAccess
  /** Empty: to be found out. */
  readonly clusterCidrs: readonly Prefix[]
  readonly serviceCidrs: readonly Prefix[]
  /** Empty without Globalnet. */
  readonly globalCidrs: readonly Prefix[]
  readonly cable: CableSettings
  readonly discovery: DiscoverySettings
  /** Undefined: `defaultHealthCheck`. */
  readonly healthCheck: HealthCheck | undefined
  readonly isAirGapped: boolean
  readonly isDebugging: boolean
  readonly wantsHaltOnCertificateError: boolean
  readonly colorCodes: readonly string[]
  /** Of images. */
  readonly repository: string
  readonly version: string
  /** Undefined: there is none, or none that can be read; then the base's is left alone. */
  readonly status: SubmarinerStatus | undefined
}

/** How the broker is reached. */
export interface BrokerAccess {
  /** `host:port`, and a path behind it perhaps; https goes without saying. */
  readonly apiServer: string
  readonly namespace: string
  /** The local Secret with token and CA; empty: the two fields below. */
  readonly secretName: string
  readonly token: string
  /** PEM in base64. */
  readonly ca: string
  readonly isInsecure: boolean
}

/** The fields that begin with `ceIPSec` are of all drivers, whatever their name says. */
export interface CableSettings {
  /** Empty: stock takes `libreswan`. */
  readonly driver: string
  readonly driverOptions: Readonly<Record<string, string>>
  readonly isNatEnabled: boolean
  /** The PSK as base64; undefined when it is not set, which is not the same as empty. */
  readonly psk: string | undefined
  /** The Secret that holds it; empty: there is none. */
  readonly pskSecretName: string
  /** Undefined: the default. */
  readonly ikePort: number | undefined
  readonly nattPort: number | undefined
  readonly isPreferredServer: boolean
  readonly wantsUdpEncapsulation: boolean
  readonly isDebugging: boolean
  readonly hasLoadBalancer: boolean
}

export interface DiscoverySettings {
  readonly isEnabled: boolean
  readonly isClustersetIpEnabled: boolean
  readonly clustersetIpCidr: Prefix | undefined
  readonly customDomains: readonly string[]
}

export interface HealthCheck {
  readonly isEnabled: boolean
  readonly intervalSeconds: number
  readonly packetLossMost: number
}

export const defaultHealthCheck: HealthCheck = {
  isEnabled: true,
  intervalSeconds: 1,
  packetLossMost: 5,
}

const place = {
  group: 'submariner.io',
  version: 'v1alpha1',
  plural: 'submariners',
  kind: 'Submariner',
  namespaced: true,
} as const

export const submarinerType: ResourceType<Submariner> = {
  ...place,
  parse: raw =>
    parseResource(place, raw, (root, meta) => {
      const spec = readObject(root, 'spec')
      return {
        meta,
        clusterId: readOwnClusterId(spec),
        componentNamespace: readText(spec, 'namespace'),
        broker: readBroker(spec),
        clusterCidrs: readPrefixLine(spec, 'clusterCIDR'),
        serviceCidrs: readPrefixLine(spec, 'serviceCIDR'),
        globalCidrs: readPrefixLine(spec, 'globalCIDR'),
        cable: readCable(spec),
        discovery: readDiscovery(spec),
        healthCheck: readHealthCheck(spec),
        isAirGapped: readFlag(spec, 'airGappedDeployment', false),
        isDebugging: readFlag(spec, 'debug', false),
        wantsHaltOnCertificateError: readFlag(spec, 'haltOnCertificateError', false),
        colorCodes: splitCommas(readText(spec, 'colorCodes', '')),
        repository: readText(spec, 'repository', ''),
        version: readText(spec, 'version', ''),
        status: readSubmarinerStatus(root),
      }
    }),
  serialize: (submariner, base) => {
    const status = partOf(base, 'status')
    const parts = {
      spec: overlay(partOf(base, 'spec'), specOf(submariner, partOf(base, 'spec'))),
      status: submariner.status ? writeSubmarinerStatus(submariner.status, status) : status,
    }
    return writeResource(place, submariner.meta, parts, base)
  },
}

/** Our own id: stricter than that of others, for it becomes a DNS name. */
function readOwnClusterId(spec: Fields): string {
  const id = readText(spec, 'clusterID')
  const problem = clusterIdProblem(id)
  if (problem !== undefined) throw invalid(pathOf(spec, 'clusterID'), problem)
  return id
}

function readBroker(spec: Fields): BrokerAccess {
  const kind = readText(spec, 'broker', 'k8s')
  if (kind !== 'k8s') throw invalid(pathOf(spec, 'broker'), 'expected k8s')
  return {
    apiServer: readText(spec, 'brokerK8sApiServer'),
    namespace: readText(spec, 'brokerK8sRemoteNamespace'),
    secretName: readText(spec, 'brokerK8sSecret', ''),
    token: readText(spec, 'brokerK8sApiServerToken', ''),
    ca: readText(spec, 'brokerK8sCA', ''),
    isInsecure: readFlag(spec, 'brokerK8sInsecure', false),
  }
}

function readCable(spec: Fields): CableSettings {
  return {
    driver: readText(spec, 'cableDriver', ''),
    driverOptions: readTextRecord(spec, 'cableDriverOptions'),
    isNatEnabled: readFlag(spec, 'natEnabled'),
    psk: has(spec, 'ceIPSecPSK') ? readText(spec, 'ceIPSecPSK') : undefined,
    pskSecretName: readText(spec, 'ceIPSecPSKSecret', ''),
    ikePort: readPort(spec, 'ceIPSecIKEPort'),
    nattPort: readPort(spec, 'ceIPSecNATTPort'),
    isPreferredServer: readFlag(spec, 'ceIPSecPreferredServer', false),
    wantsUdpEncapsulation: readFlag(spec, 'ceIPSecForceUDPEncaps', false),
    isDebugging: readFlag(spec, 'ceIPSecDebug', false),
    hasLoadBalancer: readFlag(spec, 'loadBalancerEnabled', false),
  }
}

/** A number here, and not a text as in an Endpoint; 0 counts as absent. */
function readPort(spec: Fields, name: string): number | undefined {
  const port = readCount(spec, name, 0)
  if (port > 65_535) throw invalid(pathOf(spec, name), `${port} is not a port`)
  return port === 0 ? undefined : port
}

function readDiscovery(spec: Fields): DiscoverySettings {
  return {
    isEnabled: readFlag(spec, 'serviceDiscoveryEnabled', false),
    isClustersetIpEnabled: readFlag(spec, 'clustersetIPEnabled', false),
    clustersetIpCidr: readPrefix(spec, 'clustersetIPCIDR'),
    customDomains: readTexts(spec, 'customDomains'),
  }
}

function readHealthCheck(spec: Fields): HealthCheck | undefined {
  if (!has(spec, 'connectionHealthCheck')) return undefined
  const fields = readObject(spec, 'connectionHealthCheck')
  return {
    // As Go reads it: what is there without `enabled` is switched off.
    isEnabled: readFlag(fields, 'enabled', false),
    intervalSeconds: readCount(fields, 'intervalSeconds', 0) || defaultHealthCheck.intervalSeconds,
    packetLossMost: readCount(fields, 'maxPacketLossCount', 0) || defaultHealthCheck.packetLossMost,
  }
}

function specOf(submariner: Submariner, base: unknown): Record<string, unknown> {
  const { broker, cable, discovery, healthCheck } = submariner
  return {
    broker: 'k8s',
    brokerK8sApiServer: broker.apiServer,
    brokerK8sRemoteNamespace: broker.namespace,
    brokerK8sSecret: textOrNone(broker.secretName),
    brokerK8sApiServerToken: textOrNone(broker.token),
    brokerK8sCA: textOrNone(broker.ca),
    brokerK8sInsecure: trueOrNone(broker.isInsecure),
    clusterID: submariner.clusterId,
    namespace: submariner.componentNamespace,
    // Required, if only as an empty string.
    clusterCIDR: prefixLine(submariner.clusterCidrs) ?? '',
    serviceCIDR: prefixLine(submariner.serviceCidrs) ?? '',
    globalCIDR: prefixLine(submariner.globalCidrs),
    cableDriver: textOrNone(cable.driver),
    cableDriverOptions: recordOrNone(cable.driverOptions),
    natEnabled: cable.isNatEnabled,
    ceIPSecPSK: cable.psk,
    ceIPSecPSKSecret: textOrNone(cable.pskSecretName),
    ceIPSecIKEPort: cable.ikePort,
    ceIPSecNATTPort: cable.nattPort,
    ceIPSecPreferredServer: trueOrNone(cable.isPreferredServer),
    ceIPSecForceUDPEncaps: trueOrNone(cable.wantsUdpEncapsulation),
    ceIPSecDebug: cable.isDebugging,
    loadBalancerEnabled: trueOrNone(cable.hasLoadBalancer),
    serviceDiscoveryEnabled: trueOrNone(discovery.isEnabled),
    clustersetIPEnabled: trueOrNone(discovery.isClustersetIpEnabled),
    clustersetIPCIDR: prefixText(discovery.clustersetIpCidr),
    customDomains: listOrNone(discovery.customDomains),
    connectionHealthCheck: healthCheck && healthCheckOf(healthCheck, base),
    airGappedDeployment: trueOrNone(submariner.isAirGapped),
    debug: submariner.isDebugging,
    haltOnCertificateError: trueOrNone(submariner.wantsHaltOnCertificateError),
    colorCodes: textOrNone(submariner.colorCodes.join(',')),
    repository: textOrNone(submariner.repository),
    version: textOrNone(submariner.version),
  }
}

function healthCheckOf(check: HealthCheck, base: unknown): Record<string, unknown> {
  return overlay(partOf(base, 'connectionHealthCheck'), {
    enabled: check.isEnabled,
    intervalSeconds: check.intervalSeconds,
    maxPacketLossCount: check.packetLossMost,
  })
}
