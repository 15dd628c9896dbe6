// A gateway with several remotes, in spaces of a sandbox that ends with its test:
//
//   hub ──┬── spoke1, spoke2, …    WireGuard; cables 0, 1, … of the hub, so of its pairs in turn
//         └── flat                 VXLAN
//
// They share a segment, 192.0.2.0/24: the hub is .1, spoke n is .1n, flat is .20. Inside the hub is
// 10.10.0.1 and fd10::1, spoke n is 10.10.n.1 and fd10::n:1, flat is 10.10.20.1. There are no pods: what
// is sent and received is the gateways' own.

import type { TestContext } from 'node:test'
import { parseAddress, parsePrefix, parseRemote } from '../../../src/net/address.ts'
import type { CableTable, DeviceTable, WireguardCable } from '../../../src/tables/tables.ts'
import { makeSpaces, type Spaces } from '../namespaces.ts'
import { type KeyPair, newKeyPair } from '../sim/pair.ts'
import { device, Gateway } from './gateway.ts'

export const port = 4500

export interface Node {
  readonly space: string
  readonly address: string
  readonly inner: string
  readonly inner6: string
  /** What it has inside, as another node's cable to it carries it. */
  readonly prefixes: readonly [string, string]
  readonly keys: KeyPair
}

export interface Star {
  readonly spaces: Spaces
  readonly hub: Gateway
  readonly hubNode: Node
  readonly spokes: readonly Node[]
  readonly gateways: readonly Gateway[]
  readonly flat: Node
  /** The hub's, when all of them are joined. */
  readonly hubDevice: DeviceTable
  readonly hubCables: readonly CableTable[]
}

function node(space: string, number: number, last: number): Node {
  return {
    space,
    address: `192.0.2.${last}`,
    inner: `10.10.${number}.1`,
    inner6: `fd10::${number}:1`,
    prefixes: [`10.10.${number}.0/24`, `fd10::${number}:0/112`],
    keys: newKeyPair(),
  }
}

/** Starts all of them and joins them to the hub, whose data path has so many pairs. */
export async function makeStar(
  context: TestContext,
  options: { readonly spokes: number; readonly pairs: number },
): Promise<Star> {
  const hubNode = node('hub', 0, 1)
  const numbers = Array.from({ length: options.spokes }, (_, index) => index + 1)
  const spokes = numbers.map(number => node(`spoke${number}`, number, 10 + number))
  const flat = node('flat', 20, 20)
  const nodes = [hubNode, ...spokes, flat]
  const spaces = await makeSpaces(context, ['bridge', ...nodes.map(({ space }) => space)])
  await spaces.configure('bridge', [
    'link add bridge type bridge mcast_snooping 0',
    'link set bridge up',
    ...nodes.flatMap(({ space }) => [
      `link add ${space} type veth peer name wire netns ${space}`,
      `link set ${space} master bridge up`,
    ]),
  ])
  for (const { space, address } of nodes) {
    await spaces.configure(space, ['link set wire up', `address add ${address}/24 dev wire`])
  }
  const start = async (own: Node, tables: [DeviceTable, readonly CableTable[]], pairs: number) => {
    const gateway = await Gateway.start(spaces, own.space, device, '--pairs', String(pairs))
    await gateway.apply(...tables)
    await spaces.configure(own.space, [
      `link set ${device} up`,
      `address add ${own.inner}/16 dev ${device}`,
      `address add ${own.inner6}/64 dev ${device} nodad`,
    ])
    return gateway
  }
  const hubDevice = { ...deviceOf(hubNode), vxlan: vxlanOf(hubNode) }
  const hubCables = [...spokes.map(spoke => wireguardTo(spoke)), vxlanTo(flat)]
  const hub = await start(hubNode, [hubDevice, hubCables], options.pairs)
  const gateways = await Promise.all(
    spokes.map(spoke => start(spoke, [deviceOf(spoke), [wireguardTo(hubNode)]], 1)),
  )
  await start(flat, [{ ...deviceOf(flat), vxlan: vxlanOf(flat) }, [vxlanTo(hubNode)]], 1)
  return { spaces, hub, hubNode, spokes, gateways, flat, hubDevice, hubCables }
}

function deviceOf({ keys }: Node): DeviceTable {
  return { privateKey: keys.privateKey, listenPort: port, fwmark: 0 }
}

const macOf = ({ address }: Node) => Uint8Array.of(2, 0, 0, 0, 0, Number(address.split('.')[3]))

const tunnelAddressOf = ({ address }: Node) => parseAddress(address.replace(/^\d+/, '241'))

function vxlanOf(own: Node) {
  return { vni: 1000, address: tunnelAddressOf(own), mac: macOf(own) }
}

function commonOf({ space, address, prefixes }: Node) {
  return {
    name: space,
    remote: parseRemote(`${address}:${port}`),
    remoteSerial: 1,
    allowedIps: prefixes.map(parsePrefix),
  }
}

export function wireguardTo(other: Node, changes: Partial<WireguardCable> = {}): WireguardCable {
  const { publicKey } = other.keys
  return { driver: 'wireguard', publicKey, keepaliveSeconds: 0, ...commonOf(other), ...changes }
}

export function vxlanTo(other: Node): CableTable {
  return { driver: 'vxlan', tunnelAddress: tunnelAddressOf(other), ...commonOf(other) }
}
