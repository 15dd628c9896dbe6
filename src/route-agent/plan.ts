// What the network of a node should be: pure. Endpoints, Nodes and this machine's interfaces go in; the
// devices, routes, rules, settings and NAT rules come out, whole, never as steps. The order in which
// objects were heard of makes no difference.
//
//   worker    vx-submariner leads to the gateway; each remote subnet is routed to the gateway's address
//             on it, in the main table
//   gateway   vx-submariner leads to every node; rule 150 and table 150 lead each remote subnet into the
//             cable's device. Pods' packets come in by the overlay and go out by the cable
//   none      no gateway is known: nothing of ours is there
//
// The way back to a worker's pod is the network plugin's own: it comes in on another interface than the
// one it would leave by, so strict reverse path filters are loosened.
// A named cable device that is missing makes its routes unreachable: what belongs in the tunnel never
// leaves by the default route instead. The gateways' own addresses are thrown out of table 150, since
// a tunnel's packets must not enter the tunnel (submariner#1106).

import type { Route, RoutePlace, Rule, RuleName } from '../host/routes.ts'
import type { Sysctl } from '../host/sysctls.ts'
import type { VxlanDevice } from '../host/vxlan.ts'
import type { Endpoint } from '../kube/resources/endpoint.ts'
import { type Address, type Family, formatPrefix } from '../net/address.ts'
import { cableRoutes } from './cable-routes.ts'
import { type FilterPlan, filterPlan } from './filter.ts'
import { overlayAddress } from './overlay.ts'
import { overlayOf } from './overlay-device.ts'
import { type AgentProblem, chooseEndpoints, type Remote } from './remotes.ts'
import {
  type AgentWorld,
  cniAddress,
  familyAddress,
  type Role,
  type Scene,
  underlayOf,
} from './scene.ts'
import { type AgentSettings, ovnKubernetes } from './settings.ts'

export interface NodePlan {
  readonly role: Role
  /** Those of other names of ours are to go. */
  readonly devices: readonly VxlanDevice[]
  readonly routes: readonly { readonly place: RoutePlace; readonly routes: readonly Route[] }[]
  readonly rules: readonly Rule[]
  /** `rp_filter` is only ever loosened, where it is strict. */
  readonly sysctls: readonly Sysctl[]
  readonly filter: FilterPlan | undefined
  readonly remotes: readonly Remote[]
  readonly problems: readonly AgentProblem[]
}

/** RouteAgentHostNetworkTableID of Submariner, and the priority of its rule. */
export const cableTable: RoutePlace & { kind: 'table' } = { kind: 'table', table: 150 }
export const cableRule: RuleName = { priority: 150, table: 150 }

/** rp_filter 2 of Documentation/networking/ip-sysctl.rst. */
const looseMode = 2

export function planNode(world: AgentWorld): NodePlan {
  const { settings, endpoints, nodes } = world
  const { local, remotes, problems } = chooseEndpoints(settings, endpoints, nodes)
  const role = roleOf(settings, local)
  const isForOthers = settings.networkPlugin === ovnKubernetes
  if (local === undefined || isForOthers) {
    const all = isForOthers ? [...problems, noOvn] : problems
    return { ...nothing, role: isForOthers ? 'none' : role, remotes, problems: all }
  }
  const scene: Scene = { world, local, remotes, role, problems: [...problems] }
  const parts = familiesOf(settings, local).map(family => planFamily(scene, family))
  const table = parts.flatMap(part => part.cableRoutes)
  return {
    role,
    devices: parts.flatMap(part => part.devices),
    routes: [
      ...parts.flatMap(part =>
        part.devices.map(({ name }) => ({
          place: { kind: 'device', device: name } as const,
          routes: part.overlayRoutes,
        })),
      ),
      { place: cableTable, routes: table },
    ],
    rules: parts.flatMap(part => part.rules),
    sysctls: parts.flatMap(part => part.sysctls),
    filter: filterPlan(
      settings,
      remotes.flatMap(({ subnets }) => subnets),
      parts.flatMap(part => part.cniAddress ?? []),
    ),
    remotes,
    problems: scene.problems,
  }
}

const nothing = {
  devices: [],
  routes: [{ place: cableTable, routes: [] }],
  rules: [],
  sysctls: [],
  filter: undefined,
} as const

const noOvn: AgentProblem = {
  code: 'network-plugin',
  message: 'routes for OVN-Kubernetes are not made yet: its pods reach no other cluster',
}

interface FamilyPart {
  readonly devices: readonly VxlanDevice[]
  readonly overlayRoutes: readonly Route[]
  readonly cableRoutes: readonly Route[]
  readonly rules: readonly Rule[]
  readonly sysctls: readonly Sysctl[]
  readonly cniAddress: Address | undefined
}

export function roleOf(settings: AgentSettings, local: Endpoint | undefined): Role {
  if (local === undefined) return 'none'
  const isHere = local.hostname === settings.hostname || local.hostname === settings.nodeName
  return isHere ? 'gateway' : 'worker'
}

function familiesOf({ clusterCidrs }: AgentSettings, local: Endpoint): Family[] {
  const subnets = clusterCidrs.length > 0 ? clusterCidrs : local.subnets
  return ([4, 6] as const).filter(family => subnets.some(subnet => subnet.family === family))
}

function planFamily(scene: Scene, family: Family): FamilyPart {
  const { world, local, role } = scene
  const cni = cniAddress(world, family)
  const underlay = underlayOf(scene, family)
  const isGateway = role === 'gateway'
  const gatewayIp = familyAddress(local.privateIps, family)
  const device = underlay && overlayOf(scene, underlay, gatewayIp)
  const subnets = scene.remotes.flatMap(remote =>
    remote.subnets.filter(subnet => subnet.family === family),
  )
  return {
    devices: device === undefined ? [] : [device],
    overlayRoutes:
      isGateway || device === undefined || gatewayIp === undefined
        ? []
        : subnets.map(destination => ({
            kind: 'unicast' as const,
            destination,
            device: device.name,
            via: overlayAddress(gatewayIp),
          })),
    cableRoutes: isGateway ? cableRoutes(scene, family, subnets, cni?.address) : [],
    rules: isGateway ? [{ family, ...cableRule }] : [],
    sysctls: sysctlsOf(scene, family, device, [cni?.on.name, underlay?.on.name]),
    cniAddress: cni?.address,
  }
}

function sysctlsOf(
  { local, role, world }: Scene,
  family: Family,
  device: VxlanDevice | undefined,
  foreign: readonly (string | undefined)[],
): Sysctl[] {
  const sysctls: Sysctl[] = []
  const add = (interfaceName: string, name: string, value: number) =>
    sysctls.push({ family, interfaceName, name, value })
  if (device !== undefined) add(device.name, 'forwarding', 1)
  const cable = role === 'gateway' ? local.backendConfig.interfaceName : undefined
  if (cable !== undefined && world.interfaces.list.some(({ name }) => name === cable)) {
    add(cable, 'forwarding', 1)
  }
  // There is no such filter for IPv6.
  if (family === 4) {
    for (const name of new Set([device?.name, ...foreign])) {
      if (name !== undefined) add(name, 'rp_filter', looseMode)
    }
  }
  return sysctls
}

/** For a log: what a plan is about, in a line. */
export function describePlan({ role, remotes }: NodePlan): string {
  const text = remotes.map(({ endpoint, subnets }) => {
    const list = subnets.map(formatPrefix).join(', ')
    return `${endpoint.clusterId} (${list || 'nothing'})`
  })
  return `${role}: routes to ${text.length === 0 ? 'no other cluster' : text.join(', ')}`
}
