// Table 150 of a gateway for one family: each remote subnet into the cables' device. Pure.
//
// Stock falls back to the default interface when the device is missing; here the routes become
// unreachable, so what belongs in the tunnel never leaves in the clear. A gateway's own address in one
// of its subnets (submariner#1106) gets no next hop of its own, as in stock, but is thrown out of the
// table: the tunnel's packets go by the main table like everything else between the gateways.

import type { Route } from '../host/routes.ts'
import type { Endpoint } from '../kube/resources/endpoint.ts'
import type { Address, Family, Prefix } from '../net/address.ts'
import { hostPrefix, overlaps } from '../net/prefix.ts'
import { familyAddress, type Scene } from './scene.ts'

/** `source`: this node's address among the pods; without one the kernel chooses. */
export function cableRoutes(
  { world, local, remotes, problems }: Scene,
  family: Family,
  subnets: readonly Prefix[],
  source: Address | undefined,
): Route[] {
  const { interfaces } = world
  const named = local.backendConfig.interfaceName
  const device = named ?? interfaces.defaults[family]
  const isThere = interfaces.list.some(each => each.name === device && each.isUp)
  if (!isThere && subnets.length > 0) {
    problems.push({
      code: 'no-cable-device',
      message:
        named === undefined
          ? `there is no default IPv${family} route for the cables to leave by`
          : `the cables' device ${named} is not there or not up: the remote subnets are unreachable`,
    })
  }
  const routes = subnets.map((destination): Route => {
    if (!isThere || device === undefined) return { kind: 'unreachable', destination }
    return { kind: 'unicast', destination, device, ...(source === undefined ? {} : { source }) }
  })
  const outside = remotes.flatMap(({ endpoint }) => addressesOf(endpoint, family))
  const thrown = outside
    .map(hostPrefix)
    .filter(host => subnets.some(subnet => overlaps(subnet, host)))
    .map((destination): Route => ({ kind: 'throw', destination }))
  return [...thrown, ...routes]
}

function addressesOf({ privateIps, publicIps }: Endpoint, family: Family): Address[] {
  const all = [privateIps, publicIps].map(ips => familyAddress(ips, family))
  return all.filter(ip => ip !== undefined)
}
