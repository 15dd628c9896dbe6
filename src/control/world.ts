// What the gateway's control loop looks at and what it makes of it. `reconcile(world)` is pure: the loop
// collects a World, gets a Plan, carries it out, and begins again when anything is different. Level
// triggered: a plan says how things should be now, never what has happened.
//
// Remote clusters are taken from the broker's objects while the broker has been listed, else from what
// was remembered on disk: the copies in our own namespace are for route agents and people, and are
// never read back.

import type { Known, Write } from '../broker/writes.ts'
import type { Cluster } from '../kube/resources/cluster.ts'
import type { Latency } from '../kube/resources/connection.ts'
import type { Endpoint, EndpointSpec, FamilyAddresses } from '../kube/resources/endpoint.ts'
import type { Gateway } from '../kube/resources/gateway.ts'
import type { Node } from '../kube/resources/node.ts'
import type { Submariner } from '../kube/resources/submariner.ts'
import type { Address, Prefix } from '../net/address.ts'
import type { CipherChoice } from '../tables/cipher.ts'
import type { DatapathStatus } from '../tables/status.ts'
import type { Tables } from '../tables/tables.ts'

export type { Known, Write } from '../broker/writes.ts'

export type CableDriverName = 'wireguard' | 'vxlan'

/** What flags, environment and the Submariner resource say; the same for the life of the process. */
export interface ControlSettings {
  readonly clusterId: string
  /** Of our own objects: the operator's namespace. */
  readonly namespace: string
  /** On the broker. */
  readonly brokerNamespace: string
  /** The node, as Gateway and Endpoint name it. */
  readonly hostname: string
  readonly version: string
  readonly clusterCidrs: readonly Prefix[]
  readonly serviceCidrs: readonly Prefix[]
  /** Empty without Globalnet. */
  readonly globalCidrs: readonly Prefix[]
  readonly colorCodes: readonly string[]
  /** By preference; the first is published as `backend`. Never empty. */
  readonly drivers: readonly CableDriverName[]
  /** A driver that was asked for and that we do not have, by name: shown as a failure, no exit. */
  readonly missingDriver: string | undefined
  /** Enabled for WireGuard cables, chacha20-poly1305 always among them. */
  readonly ciphers: CipherChoice
  readonly isNatEnabled: boolean
  readonly isPreferredServer: boolean
  /** Of the cables; a Node may override it. */
  readonly udpPort: number
  /** The TUN device. */
  readonly interfaceName: string
  readonly healthCheck: { readonly isEnabled: boolean; readonly packetLossMost: number }
  /**
   * Beside route agents of stock Submariner, which act when Endpoints are made and deleted and never
   * when they change: stock's cable name, deleted and made anew (control.md, keys and fail-over).
   */
  readonly hasStockAgents: boolean
}

/** What this machine is, found out at the start and looked at again now and then. */
export interface SelfFacts {
  readonly privateIps: FamilyAddresses
  readonly publicIps: FamilyAddresses
  /** Of the interface inside a cluster CIDR; what the others ping. */
  readonly healthCheckIps: FamilyAddresses
}

/** Secrets of the cables; a World is never logged. */
export interface CableKeys {
  readonly privateKey: Uint8Array
  readonly publicKey: Uint8Array
  /** 32 bytes, derived as stock does. */
  readonly presharedKey: Uint8Array
}

/**
 * What the broker had when it was last listed, and our own Endpoint: from the state directory. Ages
 * decide who owns a subnet, so `createdAtMs` and labels have to be kept with the objects.
 */
export interface Remembered {
  readonly clusters: readonly Cluster[]
  readonly endpoints: readonly Endpoint[]
}

/** What WireGuard's state machine (spec 4.6) says of a cable. */
export interface LinkReport {
  readonly state: 'connected' | 'connecting' | 'error'
  readonly message: string
  /** As they were when bytes last moved; undefined for a driver that has none. */
  readonly traffic:
    | { readonly checkedAtMs: number; readonly txBytes: number; readonly rxBytes: number }
    | undefined
}

/** What the pings of one remote's health check say. */
export interface PingReport {
  /** `unknown` before the first answer or loss. */
  readonly state: 'ok' | 'failed' | 'unknown'
  readonly message: string
  readonly latency: Latency | undefined
}

export interface World {
  /** Wall clock. */
  readonly nowMs: number
  readonly settings: ControlSettings
  readonly self: SelfFacts
  readonly keys: CableKeys
  readonly isActive: boolean
  /** Our own Node, for its overrides. */
  readonly node: Node | undefined
  readonly local: {
    readonly clusters: Known<Cluster>
    readonly endpoints: Known<Endpoint>
    readonly gateways: Known<Gateway>
    readonly submariner: Submariner | undefined
  }
  readonly broker: {
    readonly clusters: Known<Cluster>
    readonly endpoints: Known<Endpoint>
  }
  readonly remembered: Remembered
  readonly datapath: DatapathStatus | undefined
  /**
   * What was last posted, or read back from a data path that was there before us: whether a cable's
   * remote is another one now is seen by comparing. Undefined: nothing has been posted.
   */
  readonly posted: PlannedTables | undefined
  /** By cable name: ciphers that somebody has set by hand (`hawser cable set`); absent: none. */
  readonly handCiphers?: ReadonlyMap<string, CipherChoice>
  /** By cable name. */
  readonly links: ReadonlyMap<string, LinkReport>
  /** By `pingKey`. */
  readonly pings: ReadonlyMap<string, PingReport>
}

export type PlannedTables = Omit<Tables, 'generation'>

export interface PingTarget {
  /** `CLUSTER/4` or `CLUSTER/6`. */
  readonly key: string
  readonly clusterId: string
  readonly from: Address
  readonly to: Address
}

/** What is wrong, with what, and what to do. Shown in the Gateway's status, a metric and the log. */
export interface Problem {
  /** A word for the metric: `foreign-subnet`, `malformed-object`, `no-common-driver`, … */
  readonly code: string
  /** Of the cluster that it is about; empty when it is ours or of none. */
  readonly clusterId: string
  /** `endpoints/c2-…` and the like. */
  readonly object: string
  readonly message: string
}

/** A remote cluster that is connected to, or would be. */
export interface RemoteCluster {
  readonly clusterId: string
  /** Its subnets are those that are accepted. */
  readonly endpoint: EndpointSpec
  readonly createdAtMs: number
}

export interface Plan {
  /** What the data path should forward by; the loop numbers it. A passive gateway has no cables. */
  readonly tables: PlannedTables
  readonly writes: readonly Write[]
  readonly pings: readonly PingTarget[]
  readonly problems: readonly Problem[]
  readonly remotes: readonly RemoteCluster[]
  /** Our Gateway as of now; written every five seconds and when it is different. */
  readonly gateway: Gateway
  /** To be written to the state directory when it is different. */
  readonly remember: Remembered
  /** Of the gateway's Pod. */
  readonly podStatus: 'active' | 'passive'
  /**
   * Our Endpoint is made anew, beside stock agents, with a key that it had before: others would not
   * notice. Make and keep another key first, then carry out the plan's writes.
   */
  readonly wantsNewKey: boolean
  /** Subnets behind VXLAN cables, which need routes of the gateway's own (rule 100, table 100). */
  readonly vxlanSubnets: readonly Prefix[]
}
