// What two ends have in common becomes a cable; else there is a reason why not, which the Gateway's
// connection shows. One cable for a remote cluster, with the subnets of both families: its outer
// packets take IPv4 where both ends have it.
//
// Both ends find the same driver without asking: the order of the cluster whose id is lower decides.
// Where a remote is reached is what stock falls back to without NAT discovery (spec 4.8): its public
// address when it says so or stands behind a load balancer, else its private one.

import { defaultUdpPort } from '../kube/resources/backend-config.ts'
import type { Endpoint, EndpointSpec, FamilyAddresses } from '../kube/resources/endpoint.ts'
import { type Address, equalRemote, formatAddress, type Remote } from '../net/address.ts'
import { isLinkLocal } from '../net/prefix.ts'
import { type CipherTable, cipherNames } from '../tables/cipher.ts'
import type { CableTable, VxlanTable } from '../tables/tables.ts'
import type { AcceptedCluster } from './acceptance.ts'
import { cut } from './problems.ts'
import type { CableDriverName, ControlSettings, PlannedTables, World } from './world.ts'

/** A remote cluster that has an Endpoint, and what came of it. */
export interface CablePlan {
  readonly clusterId: string
  readonly endpoint: Endpoint
  readonly outcome: Outcome
}

export type Outcome =
  | {
      readonly ok: true
      readonly cable: CableTable
      readonly usingIp: Address
      readonly isUsingNat: boolean
    }
  /** `code` as of a problem. */
  | { readonly ok: false; readonly code: string; readonly reason: string }

const keepaliveSeconds = 10
const vxlanVni = 1000

/** In the order of the remotes: of two that cannot both be had, the first gets its cable. */
export function planCables(
  world: World,
  remotes: readonly AcceptedCluster[],
): readonly CablePlan[] {
  const before = new Map(world.posted?.cables.map(cable => [cable.name, cable]))
  const taken = new Map<string, string>()
  const own = vxlanEnd(world.self.privateIps)
  if (own !== undefined) taken.set(formatAddress(own.address), world.settings.clusterId)
  return remotes.flatMap(({ clusterId, endpoint }) => {
    if (endpoint === undefined) return []
    const outcome = connect(world, endpoint, before.get(clusterId), taken)
    return [{ clusterId, endpoint, outcome }]
  })
}

/** What the data path forwards by. */
export function tablesOf(
  { settings, keys, self, isActive }: World,
  listenPort: number,
  plans: readonly CablePlan[],
): PlannedTables {
  const cables = isActive ? plans.flatMap(({ outcome }) => (outcome.ok ? [outcome.cable] : [])) : []
  const vxlan = cables.some(isVxlan) ? vxlanEnd(self.privateIps) : undefined
  const hasWireguard = settings.drivers.includes('wireguard')
  const device = {
    ...(hasWireguard && { privateKey: keys.privateKey }),
    listenPort,
    fwmark: 0,
    ...(vxlan && { vxlan }),
  }
  return { device, cables }
}

export function isVxlan({ driver }: CableTable): boolean {
  return driver === 'vxlan'
}

/** Our end of VXLAN cables, as every gateway with that private address has it. */
function vxlanEnd(privateIps: FamilyAddresses): VxlanTable | undefined {
  const address = tunnelAddressOf(privateIps)
  if (address === undefined || privateIps.ipv4 === undefined) return undefined
  // Locally administered, and the same at every start.
  const mac = Uint8Array.of(0x02, 0xf1, ...privateIps.ipv4.bytes)
  return { vni: vxlanVni, address, mac }
}

/** 241 and the last three octets of the private address, as stock has it. */
function tunnelAddressOf({ ipv4 }: FamilyAddresses): Address | undefined {
  return ipv4 && { family: 4, bytes: Uint8Array.of(241, ...ipv4.bytes.subarray(1)) }
}

function connect(
  world: World,
  endpoint: Endpoint,
  before: CableTable | undefined,
  taken: Map<string, string>,
): Outcome {
  const { clusterId, subnets } = endpoint
  if (subnets.length === 0) return failed('no-subnets', 'none of its subnets is accepted')
  const driver = commonDriver(world.settings, endpoint)
  if (driver === undefined) return failed('no-common-driver', noDriverText(world, endpoint))
  const place = placeOf(world, endpoint)
  if ('reason' in place) return failed('no-address', place.reason)
  const { usingIp, isUsingNat } = place
  const port = endpoint.backendConfig.udpPort ?? defaultUdpPort
  const remote: Remote = { address: usingIp, port, scope: 0 }
  const base = {
    name: clusterId,
    remote,
    remoteSerial: serialOf(before, remote),
    allowedIps: subnets,
  }
  if (driver === 'vxlan') return vxlanCable(world, endpoint, { base, usingIp, isUsingNat }, taken)
  const { publicKey } = endpoint.backendConfig
  if (publicKey === undefined) return failed('no-key', 'it publishes no publicKey for WireGuard')
  const cable: CableTable = {
    ...base,
    driver,
    publicKey,
    presharedKey: world.keys.presharedKey,
    keepaliveSeconds,
    ciphers: ciphersOf(world, endpoint),
  }
  return { ok: true, cable, usingIp, isUsingNat }
}

function failed(code: string, reason: string): Outcome {
  return { ok: false, code, reason: cut(reason) }
}

function vxlanCable(
  world: World,
  endpoint: Endpoint,
  place: {
    readonly base: Pick<CableTable, 'name' | 'remoteSerial' | 'allowedIps'> & { remote: Remote }
    readonly usingIp: Address
    readonly isUsingNat: boolean
  },
  taken: Map<string, string>,
): Outcome {
  const tunnelAddress = tunnelAddressOf(endpoint.privateIps)
  if (tunnelAddress === undefined || vxlanEnd(world.self.privateIps) === undefined) {
    const whose = tunnelAddress === undefined ? 'it has none' : 'this gateway has none'
    return failed('no-address', `a vxlan cable needs a private IPv4 address at both ends: ${whose}`)
  }
  const { base, usingIp, isUsingNat } = place
  // Frames are told apart by where they come from, and ARP by the address inside.
  for (const text of [formatAddress(tunnelAddress), formatAddress(usingIp)]) {
    const other = taken.get(text)
    if (other !== undefined) {
      const reason = `a vxlan cable needs an address of its own, and ${text} is cluster ${other}'s`
      return failed('address-taken', reason)
    }
  }
  taken.set(formatAddress(tunnelAddress), endpoint.clusterId)
  taken.set(formatAddress(usingIp), endpoint.clusterId)
  return { ok: true, cable: { ...base, driver: 'vxlan', tunnelAddress }, usingIp, isUsingNat }
}

/** Higher than before when the remote is another; the address of a roamed peer is kept else. */
function serialOf(before: CableTable | undefined, remote: Remote): number {
  if (before === undefined) return 1
  return equalRemote(before.remote, remote) ? before.remoteSerial : before.remoteSerial + 1
}

function commonDriver(
  { clusterId, drivers }: ControlSettings,
  remote: EndpointSpec,
): CableDriverName | undefined {
  const theirs = driversOf(remote)
  if (clusterId < remote.clusterId) return drivers.find(driver => theirs.includes(driver))
  const found = theirs.find(name => drivers.some(driver => driver === name))
  return drivers.find(driver => driver === found)
}

function driversOf({ backend, backendConfig }: EndpointSpec): readonly string[] {
  return backendConfig.cables ?? [backend]
}

function noDriverText({ settings }: World, remote: EndpointSpec): string {
  const theirs = cut(driversOf(remote).join(', '), 80)
  return `no cable driver in common: it has ${theirs}, we have ${settings.drivers.join(', ')}`
}

function ciphersOf({ settings, handCiphers }: World, remoteEnd: EndpointSpec): CipherTable {
  const { clusterId, backendConfig } = remoteEnd
  const enabled = handCiphers?.get(clusterId) ?? settings.ciphers
  const remote = cipherNames.filter(name => backendConfig.ciphers?.includes(name))
  return remote.length === 0 ? { enabled } : { enabled, remote }
}

type Place =
  | { readonly usingIp: Address; readonly isUsingNat: boolean }
  | { readonly reason: string }

function placeOf({ self }: World, remote: EndpointSpec): Place {
  const wantsPublic = remote.backendConfig.isUsingLoadBalancer || remote.isNatEnabled
  const publicIp = wantsPublic ? commonAddress(self.privateIps, remote.publicIps) : undefined
  if (publicIp !== undefined) return checked(publicIp, true)
  const privateIp = commonAddress(self.privateIps, remote.privateIps)
  if (privateIp !== undefined) return checked(privateIp, false)
  return { reason: 'no address of a family that both ends have' }
}

function commonAddress(ours: FamilyAddresses, theirs: FamilyAddresses): Address | undefined {
  return (ours.ipv4 && theirs.ipv4) ?? (ours.ipv6 && theirs.ipv6)
}

function checked(usingIp: Address, isUsingNat: boolean): Place {
  if (isUnicast(usingIp)) return { usingIp, isUsingNat }
  return { reason: `${formatAddress(usingIp)} is no address that a gateway can have` }
}

/** Neither unspecified, multicast, broadcast nor link-local. */
function isUnicast(address: Address): boolean {
  const { family, bytes } = address
  if (family === 6) {
    return bytes[0] !== 0xff && !isLinkLocal(address) && bytes.some(byte => byte !== 0)
  }
  return bytes[0] !== 0 && bytes[0] < 224
}
