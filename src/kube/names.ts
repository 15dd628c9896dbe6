// Names that several programs have to agree on: those of objects, labels, annotations and finalizers
// as stock Submariner and Lighthouse write and look for them. What a key means stands beside it. The
// spellings are not ours: `submariner-io/` and `submariner.io/` are both right, each in its place.

import { type Address, formatAddress } from '../net/address.ts'

export const label = {
  /** On every object of the broker: the cluster that it comes from. What is synced is chosen by it. */
  clusterId: 'submariner-io/clusterID',
  /** Beside it: the namespace that the object has in its own cluster. */
  originatingNamespace: 'submariner-io/originatingNamespace',
  /** On a Node, `true`: it may become a gateway. */
  gatewayNode: 'submariner.io/gateway',
  /** On a gateway's Pod: its node; and `active` or `passive`, which load balancers select by. */
  gatewayPodNode: 'gateway.submariner.io/node',
  gatewayPodStatus: 'gateway.submariner.io/status',
  /**
   * On EndpointSlices and ServiceImports of one cluster: the service, its namespace, the exporter. On an
   * aggregated ServiceImport the first two are annotations.
   */
  serviceName: 'multicluster.kubernetes.io/service-name',
  sourceNamespace: 'lighthouse.submariner.io/sourceNamespace',
  sourceCluster: 'multicluster.kubernetes.io/source-cluster',
  /** On those EndpointSlices: who keeps them (`lighthouseAgent`); DNS and sync select by it. */
  managedBy: 'endpointslice.kubernetes.io/managed-by',
  /** On them: `true` or `false`; and, of a headless service, the EndpointSlice it was copied from. */
  isHeadless: 'lighthouse.submariner.io/is-headless',
  sourceName: 'lighthouse.submariner.io/source-name',
  /** On a GlobalIngressIP: its Service. On the Service made for it: the exported one. */
  serviceRef: 'submariner.io/serviceRef',
  exportedServiceRef: 'submariner.io/exportedServiceRef',
  /** On the ConfigMaps of the broker that hold allocations. */
  component: 'component',
  /** On a Calico IPPool: made for remote subnets; and taken care of by Submariner. */
  calicoPool: 'submariner.io/ippool',
  calicoManaged: 'submariner-managed',
  /** On what subctl makes for a while (Pods), and for good (token Secrets, with `subctl`). */
  transient: 'submariner.io/transient',
  createdBy: 'kubernetes.io/created-by',
} as const

/** The value of `label.managedBy`. */
export const lighthouseAgent = 'lighthouse-agent.submariner.io'

export const annotation = {
  /** On a Gateway: when it was last written, in seconds since 1970. Old ones are deleted by it. */
  updateTimestamp: 'update-timestamp',
  /** On a Gateway, by Globalnet: its global IP, which remotes ping. */
  globalIp: 'submariner.io/globalIp',
  /** On a Node: an MSS to clamp to, in bytes, in place of what is worked out. */
  tcpClampMss: 'submariner.io/tcp-clamp-mss',
  /** On EndpointSlices: DNS filters by it; DNS takes the slices of the local Service instead. */
  publishNotReadyAddresses: 'lighthouse.submariner.io/publish-not-ready-addresses',
  globalnetEnabled: 'lighthouse.submariner.io/globalnet-enabled',
  /** On a ServiceExport and its aggregated ServiceImport: wants a clusterset IP, or wants none. */
  useClustersetIp: 'lighthouse.submariner.io/use-clusterset-ip',
  /** On that ServiceImport: the cluster whose range the IP is from. */
  clustersetIpAllocatedBy: 'lighthouse.submariner.io/clusterset-ip-allocated-by',
  /** On a GlobalIngressIP: the address that it stands for. */
  headlessPodIp: 'submariner.io/headless-svc-pod-ip',
  headlessEndpointsIp: 'submariner.io/headless-svc-endpoints-ip',
  /** On a copy of Endpoints: what it was copied from. */
  clonedFrom: 'endpoints.submariner.io/cloned-from',
  /** On a Calico IPPool: its IPIP mode before it was changed. */
  calicoPreviousIpipMode: 'submariner-prev-ipipmode',
  /** On a member's ServiceAccount on the broker, ours: which cluster it is, and what subnets it will have. */
  member: 'hawser.io/member',
  memberSubnets: 'hawser.io/member-subnets',
  /** On a member's broker Secret, ours: what leaving has to know. */
  joinedAs: 'hawser.io/joined-as',
  joinedAt: 'hawser.io/joined-at',
  /** On Broker and Submariner, ours: `enforced` or `unenforced`. */
  brokerTrust: 'hawser.io/broker-trust',
  /** On a Node, ours: its gateway label was set by `join`, and goes with it. */
  labelledByJoin: 'hawser.io/labelled-by-join',
  /** On a token Secret: the ServiceAccount that it belongs to. Kubernetes' own. */
  serviceAccountName: 'kubernetes.io/service-account.name',
} as const

/** What Lighthouse before 0.15 wrote; read to migrate, never written. */
export const legacyKey = {
  sourceName: 'lighthouse.submariner.io/sourceName',
  sourceCluster: 'lighthouse.submariner.io/sourceCluster',
  originName: 'origin-name',
  originNamespace: 'origin-namespace',
} as const

export const finalizer = {
  /** On the Service that Globalnet makes for an exported one. */
  globalnetInternalService: 'submariner.io/globalnet-internal-service',
  /** On Submariner and ServiceDiscovery: uninstall before they go. */
  cleanup: 'controllers.submariner.io/cleanup',
} as const

/** What a Node's label or annotation begins with that overrides settings of a gateway on it. */
export const gatewayOverridePrefix = 'gateway.submariner.io/'

/** Names of objects of which there is one. */
export const objectName = {
  brokerNamespace: 'submariner-k8s-broker',
  operatorNamespace: 'submariner-operator',
  broker: 'submariner-broker',
  submariner: 'submariner',
  serviceDiscovery: 'service-discovery',
  pskSecret: 'submariner-ipsec-psk',
  /** In a member: its token for the broker; and, ours, the private key of its WireGuard cables. */
  brokerSecret: 'submariner-broker-secret',
  wireguardSecret: 'hawser-wireguard-key',
  gatewayAccount: 'submariner-gateway',
  routeAgentAccount: 'submariner-routeagent',
  globalnetInfo: 'submariner-globalnet-info',
  clustersetIpInfo: 'submariner-clustersetip-info',
  gatewayLease: 'submariner-gateway-lock',
  brokerAdminAccount: 'submariner-k8s-broker-admin',
  brokerClusterRole: 'submariner-k8s-broker-cluster',
  /** The one ClusterGlobalEgressIP that counts. */
  clusterEgressIp: 'cluster-egress.submariner.io',
} as const

/** Lower case, `-` for whatever a name may not hold, none at either end (admiral's EnsureValidName). */
export function ensureValidName(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9.-]/gu, '-')
    .replace(/^-+|-+$/g, '')
}

const nameBytesMost = 63

/** The most that a label's value and a DNS-1123 label hold. */
export function isDnsLabel(text: string): boolean {
  return text.length <= nameBytesMost && /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(text)
}

/** A label's value that is not empty: what a cluster id on the broker is at least. */
export function isLabelValue(text: string): boolean {
  return text.length <= nameBytesMost && /^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$/.test(text)
}

/** What is wrong with a cluster id, in words; undefined for a good one. It becomes a DNS name. */
export function clusterIdProblem(text: string): string | undefined {
  if (isDnsLabel(text)) return undefined
  const shown = text.length <= nameBytesMost ? JSON.stringify(text) : `${text.length} characters`
  return (
    `${shown} is no cluster id: it has 1 to ${nameBytesMost} lower-case letters, digits and "-", ` +
    'and begins and ends with a letter or digit'
  )
}

/** The cable of a stock gateway: another one for each of its nodes. */
export function stockCableName(clusterId: string, privateIp: Address): string {
  return `submariner-cable-${clusterId}-${formatAddress(privateIp).replace(/[.:]/g, '-')}`
}

/** Ours: the same on every node, so that a fail-over updates the Endpoint in place. */
export function ownCableName(clusterId: string): string {
  return `submariner-cable-${clusterId}-gateway`
}

export function endpointName(clusterId: string, cableName: string): string {
  return ensureValidName(`${clusterId}-${cableName}`)
}

/** The aggregated ServiceImport on the broker. */
export function serviceImportName(service: string, namespace: string): string {
  return `${service}-${namespace}`
}

export function memberAccountName(clusterId: string): string {
  return `cluster-${clusterId}`
}

/** Fixed, where stock appends random letters: field selectors and resourceNames can name it. */
export function memberTokenName(clusterId: string): string {
  return `cluster-${clusterId}-token`
}

export function memberRoleBindingName(clusterId: string): string {
  return `${memberAccountName(clusterId)}-${objectName.brokerClusterRole}`
}

/** Who holds the gateway Lease: a node's name with an ending. */
export function leaseIdentity(hostname: string): string {
  return `${hostname}-submariner-gateway`
}

/** On an aggregated ServiceImport, with a cluster behind it. */
export const exportTimestampPrefix = 'timestamp.submariner.io/'

/** On an aggregated ServiceImport: when that cluster exported it, in nanoseconds since 1970. */
export function exportTimestampAnnotation(clusterId: string): string {
  return `${exportTimestampPrefix}${ensureValidName(clusterId.slice(0, nameBytesMost))}`
}
