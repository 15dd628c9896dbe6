// The matrix that every pair of implementations has to hold: who begins, the family of the datagrams,
// with and without preshared key; and in each of its cells all that an inner packet can be.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Kind } from './daemon.ts'
import { type Content, contentAt, ping } from './traffic.ts'
import { type Family, layWire, openTunnel, type Side, type Tunnel } from './tunnel.ts'
import { worldOfFile } from './world.ts'

const mtuBytes = 1420
const icmpBytes = { 4: 28, 6: 48 } as const
/** Around the block of the cipher and at both ends of what fits. */
const sizesOf = (family: Family) => [0, 1, 15, 16, 17, mtuBytes - icmpBytes[family]]

/** Tests `left` against `right` in every cell of the matrix. */
export function testMatrix(left: Kind, right: Kind): void {
  let content: Content
  const world = worldOfFile(`matrix-${left}-${right}`, ['left', 'right'], async () => {
    await layWire(world)
    content = await contentAt(world, 3_000_001, 'left', 'right')
  })
  const kinds = { left, right }
  for (const begins of ['left', 'right'] as const) {
    const other = begins === 'left' ? 'right' : 'left'
    for (const outer of [4, 6] as const) {
      for (const withPresharedKey of [false, true]) {
        const who = `${begins} ${kinds[begins]} begins with ${other} ${kinds[other]}`
        const how = `over IPv${outer} with${withPresharedKey ? '' : 'out'} preshared key`
        test(`${who}, ${how}`, async t => {
          const options = { ...kinds, outer, withPresharedKey, knowing: [begins] }
          await exercise(await openTunnel(t, world, options), begins, content)
        })
      }
    }
  }
}

async function exercise(tunnel: Tunnel, begins: Side, content: Content): Promise<void> {
  const first = tunnel[begins]
  const second = tunnel.other(first)
  for (const [from, to] of [
    [first, second],
    [second, first],
  ]) {
    for (const family of [4, 6] as const) {
      await ping(from.site, to.inner[family], { sizes: sizesOf(family) })
      await content.exchange(from.site, to.inner[family])
    }
  }
  for (const end of [first, second]) {
    const peer = await tunnel.peer(end)
    assert.ok(peer.latestHandshake > 0, `${end.side} tells of the handshake`)
    assert.ok(peer.rxBytes > 6_000_000 && peer.txBytes > 6_000_000, JSON.stringify(peer))
  }
  // wireguard-go drops what comes too fast for it; Hawser must not lose what it is sent.
  for (const end of [first, second]) {
    if (end.daemon.kind !== 'hawser') continue
    const [sent, received] = [await tunnel.peer(tunnel.other(end)), await tunnel.peer(end)]
    assert.ok(received.rxBytes > 0.9 * sent.txBytes, `${received.rxBytes} of ${sent.txBytes}`)
  }
}
