// Each offload can be switched off by itself and all of them together, at either end: everything
// still arrives.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Content, contentAt, ping, serveIperf, transfer } from '../support/interop/traffic.ts'
import { layWire, openTunnel } from '../support/interop/tunnel.ts'
import { worldOfFile } from '../support/interop/world.ts'

let content: Content
const world = worldOfFile('offloads', ['left', 'right'], async () => {
  await layWire(world)
  content = await contentAt(world, 3_000_001, 'left', 'right')
  await serveIperf(world.site('right'))
})

const switchOf = {
  tunTso: 'HAWSER_NO_TUN_TSO',
  tunUso: 'HAWSER_NO_TUN_USO',
  udpSegmentation: 'HAWSER_NO_UDP_SEGMENT',
  udpGro: 'HAWSER_NO_UDP_GRO',
} as const
const switches: readonly string[] = Object.values(switchOf)

for (const [what, variables] of [
  ...switches.map(name => [`without ${name.replace('HAWSER_NO_', '')}`, [name]] as const),
  ['without any offload', switches] as const,
]) {
  for (const side of ['left', 'right'] as const) {
    test(`traffic goes ${what} on the ${side}`, async t => {
      const environment = Object.fromEntries(variables.map(name => [name, '1']))
      const kinds = { left: 'observed', right: 'observed' } as const
      const tunnel = await openTunnel(t, world, { ...kinds, environment: { [side]: environment } })
      const { left, right } = tunnel
      const { offloads } = await tunnel[side].daemon.status()
      for (const [mode, name] of Object.entries(switchOf)) {
        if (variables.includes(name)) assert.equal(offloads[mode as keyof typeof switchOf], false)
      }
      for (const family of [4, 6] as const) {
        await ping(left.site, right.inner[family], { sizes: [0, 1, 1372, 4000] })
        await content.exchange(left.site, right.inner[family])
      }
      await transfer(left.site, right.inner[4], { megabytes: 50 })
      await transfer(left.site, right.inner[4], { megabytes: 50, reverse: true })
    })
  }
}
