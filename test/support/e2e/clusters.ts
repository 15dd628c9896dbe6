// Two clusters on one network segment, in spaces of a sandbox that ends with its test:
//
//   epod ── east ──┬── west ── wpod        pods 10.1.0.7, fd00:1::7 and 10.2.0.7, fd00:2::7
//                  │                       wire 192.0.2.1, .2 and .3, 2001:db8::1, ::2 and ::3
//               stranger
//
// The wire is a bridge in a space of its own. It passes superpackets as long as nobody has called
// `plainWire`. Nothing of a cable is there yet: `cableRoutes` adds the routes once a device is.

import type { TestContext } from 'node:test'
import { makeSpaces, type Spaces } from '../namespaces.ts'
import { device } from './gateway.ts'

export interface Side {
  readonly gateway: string
  readonly pod: string
  readonly address: string
  readonly address6: string
  readonly podAddress: string
  readonly podAddress6: string
  /** The gateway's own address in its pod network. */
  readonly router: string
  readonly prefixes: readonly [string, string]
}

function side(number: number, gateway: string, pod: string): Side {
  return {
    gateway,
    pod,
    address: `192.0.2.${number}`,
    address6: `2001:db8::${number}`,
    podAddress: `10.${number}.0.7`,
    podAddress6: `fd00:${number}::7`,
    router: `10.${number}.0.1`,
    prefixes: [`10.${number}.0.0/16`, `fd00:${number}::/32`],
  }
}

export const east = side(1, 'east', 'epod')
export const west = side(2, 'west', 'wpod')
export const stranger = { space: 'stranger', address: '192.0.2.3', address6: '2001:db8::3' }

const wire = 'wire'

export async function makeClusters(context: TestContext): Promise<Spaces> {
  const names = [
    wire,
    stranger.space,
    ...[east, west].flatMap(({ gateway, pod }) => [gateway, pod]),
  ]
  const spaces = await makeSpaces(context, names)
  const sides = [...[east, west].map(({ gateway }) => gateway), stranger.space]
  await spaces.configure(wire, [
    'link add bridge type bridge mcast_snooping 0',
    'link set bridge up',
    ...sides.flatMap(space => [
      `link add ${space} type veth peer name wire netns ${space}`,
      `link set ${space} master bridge up`,
    ]),
  ])
  const own = ({ address, address6 }: { address: string; address6: string }) => [
    'link set wire up',
    `address add ${address}/24 dev wire`,
    `address add ${address6}/64 dev wire nodad`,
  ]
  await spaces.configure(stranger.space, own(stranger))
  for (const cluster of [east, west]) {
    const { gateway, pod, podAddress, podAddress6, router } = cluster
    const router6 = podAddress6.replace('7', '1')
    await spaces.configure(gateway, [
      ...own(cluster),
      `link add pod type veth peer name eth0 netns ${pod}`,
      'link set pod up',
      `address add ${router}/24 dev pod`,
      `address add ${router6}/64 dev pod nodad`,
    ])
    await spaces.configure(pod, [
      'link set eth0 up',
      `address add ${podAddress}/24 dev eth0`,
      `address add ${podAddress6}/64 dev eth0 nodad`,
      `route add default via ${router}`,
      `route add default via ${router6}`,
    ])
    const forward =
      'cd /proc/sys/net; echo 1 >ipv4/conf/all/forwarding; echo 1 >ipv6/conf/all/forwarding'
    await spaces.mustRun(gateway, ['sh', '-ec', forward])
  }
  return spaces
}

/** The other cluster's prefixes, and what else is wanted, by way of the cable. */
export async function cableRoutes(
  spaces: Spaces,
  { gateway, router }: Side,
  prefixes: readonly string[],
): Promise<void> {
  await spaces.configure(gateway, [
    `link set ${device} up`,
    ...prefixes.map(prefix =>
      prefix.includes(':')
        ? `route replace ${prefix} dev ${device}`
        : `route replace ${prefix} dev ${device} src ${router}`,
    ),
  ])
}

/** From now on the wire carries single packets, as most networks do. */
export async function plainWire(spaces: Spaces): Promise<void> {
  const off = ['tso', 'off', 'gso', 'off', 'tx-udp-segmentation', 'off']
  for (const { gateway } of [east, west])
    await spaces.mustRun(gateway, ['ethtool', '-K', 'wire', ...off])
}
