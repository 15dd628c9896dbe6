// Roaming and the source of what is sent: who changes its address in the midst of traffic is followed,
// a gateway with several addresses answers from the one that it was spoken to, and neither an
// address nor a link that is gone keeps it from being heard (whitepaper 2.1; sticky sockets of the
// Linux driver, socket.c).

import assert from 'node:assert/strict'
import { afterEach, type TestContext, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import type { Kind } from '../support/interop/daemon.ts'
import { ping, RunningPing } from '../support/interop/traffic.ts'
import {
  type End,
  type Family,
  layWire,
  openTunnel,
  resetWire,
  type Side,
  type Tunnel,
  wireAddress,
  wireName,
} from '../support/interop/tunnel.ts'
import { type Site, worldOfFile } from '../support/interop/world.ts'

const world = worldOfFile('roaming', ['left', 'right'], () => layWire(world))
afterEach(() => resetWire(world))

const prefixBits = { 4: 24, 6: 64 } as const
const hostBits = { 4: 32, 6: 128 } as const
const spare = { 4: '192.0.2.77', 6: 'fd00:2::77' } as const

async function addAddress(site: Site, family: Family, address: string): Promise<void> {
  const duplicates = family === 6 ? ' nodad' : ''
  await site.ip(`address add ${address}/${prefixBits[family]} dev ${wireName}${duplicates}`)
}

async function deleteAddress(site: Site, family: Family, address: string): Promise<void> {
  await site.ip(`address delete ${address}/${prefixBits[family]} dev ${wireName}`)
}

function endpoint(family: Family, address: string, { port }: End): string {
  return family === 4 ? `${address}:${port}` : `[${address}]:${port}`
}

/**
 * wireguard-go expects EINVAL for a source that is gone; newer kernels answer ENETUNREACH for IPv4,
 * and it forgets the source only when it has not been answered for 15 s. A new mark has it do so.
 */
async function forgetSources({ daemon }: End): Promise<void> {
  await daemon.wg('set', daemon.interfaceName, 'fwmark', '1')
  await daemon.wg('set', daemon.interfaceName, 'fwmark', '0')
}

async function sees(tunnel: Tunnel, end: End, wanted: string): Promise<void> {
  let now = ''
  const look = async () => {
    now = (await tunnel.peer(end)).endpoint
    return now === wanted
  }
  await eventually(look, () => `${end.side} speaks to ${now}, not to ${wanted}`)
}

for (const [left, right] of [
  ['hawser', 'wireguard-go'],
  ['hawser', 'hawser'],
] as const) {
  for (const mover of ['left', 'right'] as const) {
    for (const outer of [4, 6] as const) {
      const kinds = { left, right }
      const other = mover === 'left' ? 'right' : 'left'
      test(`${other} ${kinds[other]} follows ${mover} ${kinds[mover]} to another address, IPv${outer}`, t =>
        moves(t, kinds, mover, outer))
    }
  }
}

async function moves(
  t: TestContext,
  kinds: Readonly<Record<Side, Kind>>,
  mover: Side,
  outer: Family,
): Promise<void> {
  const tunnel = await openTunnel(t, world, { ...kinds, outer })
  const end = tunnel[mover]
  const other = tunnel.other(end)
  const home = wireAddress[mover][outer]
  const running = new RunningPing(end.site, other.inner[4], 0.05)
  await running.more(5)
  await addAddress(end.site, outer, spare[outer])
  await deleteAddress(end.site, outer, home)
  if (end.daemon.kind === 'wireguard-go') await forgetSources(end)
  await running.more(10)
  await sees(tunnel, other, endpoint(outer, spare[outer], end))
  await ping(other.site, end.inner[6])

  await addAddress(end.site, outer, home)
  await deleteAddress(end.site, outer, spare[outer])
  if (end.daemon.kind === 'wireguard-go') await forgetSources(end)
  await running.more(10)
  await sees(tunnel, other, endpoint(outer, home, end))
  const { sent, received } = await running.stop()
  t.diagnostic(`${received} of ${sent} answered`)
}

for (const left of ['wireguard-go', 'hawser'] as const) {
  for (const outer of [4, 6] as const) {
    test(`Hawser answers ${left} from the address that it was spoken to, IPv${outer}`, async t => {
      const tunnel = await openTunnel(t, world, { left, right: 'hawser', outer, knowing: [] })
      const { left: asking, right: answering } = tunnel
      await addAddress(answering.site, outer, spare[outer])
      const second = endpoint(outer, spare[outer], answering)
      await tunnel.setPeer(asking, 'endpoint', second)
      const running = new RunningPing(asking.site, answering.inner[4], 0.05)
      await running.more(10)
      // An answer from the first address would have taken the endpoint there.
      assert.equal((await tunnel.peer(asking)).endpoint, second)

      await deleteAddress(answering.site, outer, spare[outer])
      await ping(answering.site, asking.inner[4])
      const first = endpoint(outer, wireAddress.right[outer], answering)
      await sees(tunnel, asking, first)
      await running.more(10)
      await running.stop()
    })
  }
}

const secondName = 'second'
const secondAddress = {
  left: { 4: '192.0.3.1', 6: 'fd00:3::1' },
  right: { 4: '192.0.3.2', 6: 'fd00:3::2' },
} as const
/** Addresses of the hosts, not of a link: either link may carry them. */
const hostAddress = {
  left: { 4: '198.51.100.1', 6: 'fd00:9::1' },
  right: { 4: '198.51.100.2', 6: 'fd00:9::2' },
} as const

for (const family of [4, 6] as const) {
  test(`Hawser sends by the route, not by the link that it heard the peer on, IPv${family}`, async t => {
    await laySecond(t, family)
    const options = { left: 'hawser', right: 'hawser', outer: family, knowing: [] } as const
    const tunnel = await openTunnel(t, world, options)
    const { left, right } = tunnel
    await tunnel.setPeer(left, 'endpoint', endpoint(family, hostAddress.right[family], right))
    const running = new RunningPing(left.site, right.inner[4], 0.05)
    await running.more(5)
    // The way back moves to the other link, the way there stays.
    await routeBy('right', family, wireName)
    await left.site.must(['nft', lostFrom(secondName)])
    t.after(() => left.site.must(['nft', 'flush ruleset']))
    await running.more(10)
    await routeBy('left', family, wireName)
    await left.site.ip(`link delete ${secondName}`)
    await running.more(10)
    await running.stop()
  })
}

/** A second link, by which the hosts reach each other. */
async function laySecond(t: TestContext, family: Family): Promise<void> {
  await world.wire(world.site('left'), world.site('right'), secondName)
  t.after(() => world.site('left').run(['ip', 'link', 'delete', secondName]))
  for (const side of ['left', 'right'] as const) {
    const site = world.site(side)
    const duplicates = family === 6 ? ' nodad' : ''
    const second = `${secondAddress[side][family]}/${prefixBits[family]}`
    await site.ip(`address add ${second} dev ${secondName}${duplicates}`)
    const host = `${hostAddress[side][family]}/${hostBits[family]}`
    await site.ip(`address add ${host} dev lo`)
    t.after(() => site.ip(`address delete ${host} dev lo`))
  }
  for (const side of ['left', 'right'] as const) await routeBy(side, family, secondName)
}

/** Sends what goes from a host to the other one by this link. */
async function routeBy(side: Side, family: Family, device: string): Promise<void> {
  const other = side === 'left' ? 'right' : 'left'
  const via = (device === wireName ? wireAddress : secondAddress)[other][family]
  const to = `${hostAddress[other][family]}/${hostBits[family]}`
  const how = `via ${via} dev ${device} src ${hostAddress[side][family]}`
  await world.site(side).ip(`-${family} route replace ${to} ${how}`)
}

/** Datagrams that arrive by a link are lost, and their sender does not hear of it. */
function lostFrom(link: string): string {
  return `
    add table inet lost
    add chain inet lost input { type filter hook input priority 0; }
    add rule inet lost input iifname "${link}" meta l4proto udp counter drop`
}
