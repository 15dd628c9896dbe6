// A tunnel: two daemons of either kind at the two ends of a wire, configured with `wg` and `ip` as an
// administrator would. Several tunnels may share a wire; their number tells them apart.

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import { type Daemon, type Kind, startDaemon } from './daemon.ts'
import type { Site, World } from './world.ts'

export interface Keys {
  readonly privateKey: string
  readonly publicKey: string
}

/** A key pair as `wg genkey` and `wg pubkey` make it, by an implementation that is not ours. */
export function newKeys(): Keys {
  const { privateKey } = generateKeyPairSync('x25519')
  const { d, x } = privateKey.export({ format: 'jwk' })
  return { privateKey: base64Of(d), publicKey: base64Of(x) }
}

export function newPresharedKey(): string {
  return randomBytes(32).toString('base64')
}

function base64Of(text: string | undefined): string {
  return Buffer.from(text ?? '', 'base64url').toString('base64')
}

export type Side = 'left' | 'right'

export type Family = 4 | 6

/** The addresses of both ends of the wire. */
export const wireAddress = {
  left: { 4: '192.0.2.1', 6: 'fd00:2::1' },
  right: { 4: '192.0.2.2', 6: 'fd00:2::2' },
} as const

export const wireName = 'wire'

/** Joins the sites `left` and `right` by a wire with addresses of both families. */
export async function layWire(world: World): Promise<void> {
  await world.wire(world.site('left'), world.site('right'), wireName)
  await resetWire(world)
}

/** Gives both ends of the wire their addresses, and takes all others. */
export async function resetWire(world: World): Promise<void> {
  for (const side of ['left', 'right'] as const) {
    const address = wireAddress[side]
    // Deleting an address of IPv4 must not take the others of its network along.
    await world.site(side).sh(`
      echo 1 >/proc/sys/net/ipv4/conf/${wireName}/promote_secondaries
      ip address flush dev ${wireName} scope global
      ip address add ${address[4]}/24 dev ${wireName}
      ip address add ${address[6]}/64 dev ${wireName} nodad`)
  }
}

export interface TunnelOptions {
  readonly left: Kind
  readonly right: Kind
  /** Family of the datagrams between them. */
  readonly outer?: Family
  readonly withPresharedKey?: boolean
  /** Who knows where the other is; only they can begin. */
  readonly knowing?: readonly Side[]
  /** Tells tunnels that share a wire apart. */
  readonly number?: number
  /** Variables of the daemons. */
  readonly environment?: Partial<Record<Side, Readonly<Record<string, string>>>>
  /** More lines for the [Peer] sections, such as PersistentKeepalive. */
  readonly peerLines?: string
}

/** One end of a tunnel. */
export interface End {
  readonly side: Side
  readonly site: Site
  readonly daemon: Daemon
  readonly keys: Keys
  readonly port: number
  /** Its addresses inside. */
  readonly inner: Readonly<Record<Family, string>>
}

export interface Peer {
  readonly endpoint: string
  readonly latestHandshake: number
  readonly rxBytes: number
  readonly txBytes: number
}

export class Tunnel {
  readonly left: End
  readonly right: End
  readonly presharedKey: string | undefined
  readonly outer: Family

  constructor(left: End, right: End, presharedKey: string | undefined, outer: Family) {
    this.left = left
    this.right = right
    this.presharedKey = presharedKey
    this.outer = outer
  }

  other(end: End): End {
    return end === this.left ? this.right : this.left
  }

  /** `wg set` for the peer that an end has. */
  async setPeer(end: End, ...settings: readonly string[]): Promise<void> {
    const { daemon } = end
    const peer = ['peer', this.other(end).keys.publicKey]
    await daemon.wg('set', daemon.interfaceName, ...peer, ...settings)
  }

  /** What an end tells of its peer, by `wg show dump`. */
  async peer(end: End): Promise<Peer> {
    const text = await end.daemon.wg('show', end.daemon.interfaceName, 'dump')
    const wanted = this.other(end).keys.publicKey
    const line = text.split('\n').find(each => each.startsWith(wanted)) ?? ''
    const [, , endpoint, , latestHandshake, rxBytes, txBytes] = line.split('\t')
    return {
      endpoint,
      latestHandshake: Number(latestHandshake),
      rxBytes: Number(rxBytes),
      txBytes: Number(txBytes),
    }
  }

  async stop(): Promise<void> {
    await Promise.all([this.left.daemon.stop(), this.right.daemon.stop()])
  }

  /** What both daemons have said: for the message of a failed test. */
  get logs(): string {
    const { left, right } = this
    return [left, right].map(({ side, daemon }) => `${side}:\n${daemon.log}`).join('\n')
  }
}

/** Where an end listens, as `wg` writes it. */
export function endpointOf(end: Pick<End, 'side' | 'port'>, outer: Family): string {
  const address = wireAddress[end.side][outer]
  return outer === 4 ? `${address}:${end.port}` : `[${address}]:${end.port}`
}

/** Starts and configures both ends; the test's end stops them. */
export async function openTunnel(
  t: TestContext,
  world: World,
  options: TunnelOptions,
): Promise<Tunnel> {
  const { outer = 4, number = 0, knowing = ['left', 'right'], environment = {} } = options
  const start = async (side: Side): Promise<End> => {
    const site = world.site(side)
    const daemon = await startDaemon(site, options[side], `wg${number}`, environment[side])
    t.after(() => daemon.stop())
    const host = side === 'left' ? 1 : 2
    const inner = { 4: `10.77.${number}.${host}`, 6: `fd77:${number + 1}::${host}` }
    return { side, site, daemon, keys: newKeys(), port: 51_820 + number, inner }
  }
  const [left, right] = await Promise.all([start('left'), start('right')])
  const presharedKey = options.withPresharedKey ? newPresharedKey() : undefined
  const tunnel = new Tunnel(left, right, presharedKey, outer)
  for (const end of [left, right]) {
    const knows = knowing.includes(end.side)
    const config = configOf(tunnel, end, knows, options.peerLines ?? '')
    await end.daemon.configure('setconf', config)
  }
  for (const { site, inner } of [left, right]) {
    await site.sh(`
      ip address add ${inner[4]}/24 dev wg${number}
      ip address add ${inner[6]}/64 dev wg${number} nodad
      ip link set wg${number} up mtu 1420`)
  }
  return tunnel
}

/** The configuration of an end, as for `wg setconf`. */
export function configOf(tunnel: Tunnel, end: End, knows: boolean, peerLines = ''): string {
  const other = tunnel.other(end)
  const { presharedKey } = tunnel
  return `[Interface]
PrivateKey = ${end.keys.privateKey}
ListenPort = ${end.port}
[Peer]
PublicKey = ${other.keys.publicKey}
${presharedKey === undefined ? '' : `PresharedKey = ${presharedKey}`}
AllowedIPs = ${other.inner[4]}/32, ${other.inner[6]}/128
${knows ? `Endpoint = ${endpointOf(other, tunnel.outer)}` : ''}
${peerLines}
`
}
