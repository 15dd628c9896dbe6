// What a plan is made from, and what its parts share: the world as it is, who counts in it, and this
// node's own addresses in it.

import type { Interfaces, NetworkInterface } from '../host/interfaces.ts'
import type { Endpoint, FamilyAddresses } from '../kube/resources/endpoint.ts'
import type { Node } from '../kube/resources/node.ts'
import { type Address, equalBytes, type Family } from '../net/address.ts'
import { hostPrefix, isLinkLocal, overlaps } from '../net/prefix.ts'
import { overlayDevice } from './overlay.ts'
import type { AgentProblem, Remote } from './remotes.ts'
import type { AgentSettings } from './settings.ts'

export interface AgentWorld {
  readonly settings: AgentSettings
  readonly endpoints: readonly Endpoint[]
  readonly nodes: readonly Node[]
  readonly interfaces: Interfaces
}

export type Role = 'gateway' | 'worker' | 'none'

export interface Scene {
  readonly world: AgentWorld
  readonly local: Endpoint
  readonly remotes: readonly Remote[]
  readonly role: Role
  /** Parts add to it. */
  readonly problems: AgentProblem[]
}

/** An address of this machine, and the interface that has it. */
export interface OwnAddress {
  readonly address: Address
  readonly on: NetworkInterface
}

/**
 * By which the other nodes reach this one: of its Node object if an interface has it, else the first of
 * the default interface, as for stock. On the gateway the one in the Endpoint comes first, since the
 * others route to that.
 */
export function underlayOf(scene: Scene, family: Family): OwnAddress | undefined {
  const { world, local, role, problems } = scene
  const { settings, nodes, interfaces } = world
  const node = nodes.find(({ meta }) => meta.name === settings.nodeName)
  const published = role === 'gateway' ? familyAddress(local.privateIps, family) : undefined
  const named = (node?.internalIps ?? []).filter(ip => ip.family === family)
  for (const address of published === undefined ? named : [published, ...named]) {
    const on = interfaces.list.find(each => holds(each, address))
    if (on !== undefined) return { address, on }
  }
  const on = interfaces.list.find(({ name }) => name === interfaces.defaults[family])
  const first = on?.addresses.find(
    ({ address }) => address.family === family && !isLinkLocal(address),
  )
  if (on !== undefined && first !== undefined) return { address: first.address, on }
  problems.push({
    code: 'no-node-address',
    message: `this node has no IPv${family} address: neither its Node object nor a default route names one`,
  })
  return undefined
}

/** Among the pods: what is sent from there is answered by other clusters. */
export function cniAddress(world: AgentWorld, family: Family): OwnAddress | undefined {
  const { settings, interfaces } = world
  for (const cidr of settings.clusterCidrs.filter(prefix => prefix.family === family)) {
    for (const on of interfaces.list) {
      if (Object.values(overlayDevice).includes(on.name)) continue
      const found = on.addresses.find(({ address }) => overlaps(cidr, hostPrefix(address)))
      if (found !== undefined) return { address: found.address, on }
    }
  }
  return undefined
}

export function familyAddress(
  { ipv4, ipv6 }: FamilyAddresses,
  family: Family,
): Address | undefined {
  return family === 4 ? ipv4 : ipv6
}

function holds({ addresses }: NetworkInterface, { bytes }: Address): boolean {
  return addresses.some(({ address }) => equalBytes(address.bytes, bytes))
}
