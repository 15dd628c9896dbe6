// As many allowed IPs as the Linux driver's own test sets (netns.sh): all host addresses of 512
// networks, in one `wg setconf`, read back whole; and the routes are in force.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { ping } from '../support/interop/traffic.ts'
import { configOf, layWire, openTunnel } from '../support/interop/tunnel.ts'
import { worldOfFile } from '../support/interop/world.ts'

const world = worldOfFile('allowed-ips', ['left', 'right'], () => layWire(world))

const networks = 512
const hostsOfNetwork = 255

function* manyPrefixes(): Generator<string> {
  for (let network = 0; network < networks / 2; network++) {
    for (let host = 0; host < hostsOfNetwork; host++) {
      yield `172.16.${network}.${host}/32`
      yield `fd55:${network.toString(16)}::${host.toString(16)}/128`
    }
  }
}

test('130 560 allowed IPs are set at once and read back whole', async t => {
  const tunnel = await openTunnel(t, world, { left: 'hawser', right: 'hawser' })
  const { left, right } = tunnel
  const many = [...manyPrefixes()]
  assert.equal(many.length, networks * hostsOfNetwork)
  const own = [`${right.inner[4]}/32`, `${right.inner[6]}/128`]
  const expected = [...own, ...many].map(canonical)
  const config = configOf(tunnel, left, true).replace(
    /^AllowedIPs = .*$/m,
    [...own, ...many].map(prefix => `AllowedIPs = ${prefix}`).join('\n'),
  )
  writeFileSync(left.site.outside('/run/many.conf'), config)

  const startedMs = performance.now()
  await left.daemon.wg('setconf', 'wg0', '/run/many.conf')
  const shown = await left.daemon.wg('show', 'wg0', 'allowed-ips')
  t.diagnostic(`set and read in ${(performance.now() - startedMs).toFixed(0)} ms`)

  const [key, ...told] = shown.trim().split(/\s+/)
  assert.equal(key, right.keys.publicKey)
  assertSame(told, expected)

  // The first and the last of both families lead to the peer.
  await right.site.sh('for a in 172.16.0.0 172.16.255.254; do ip address add $a/32 dev wg0; done')
  await right.site.sh('for a in fd55:: fd55:ff::fe; do ip address add $a/128 dev wg0 nodad; done')
  await left.site.sh('ip route add 172.16.0.0/16 dev wg0; ip route add fd55::/16 dev wg0')
  for (const address of ['172.16.0.0', '172.16.255.254', 'fd55::', 'fd55:ff::fe']) {
    await ping(left.site, address)
  }

  // Set again, they are the same; without them, those two routes are all that is left.
  await left.daemon.wg('syncconf', 'wg0', '/run/many.conf')
  const again = (await left.daemon.wg('show', 'wg0', 'allowed-ips')).trim().split(/\s+/).slice(1)
  assertSame(again, expected)
  await tunnel.setPeer(left, 'allowed-ips', own.join(','))
  assert.equal(
    await left.daemon.wg('show', 'wg0', 'allowed-ips'),
    `${right.keys.publicKey}\t${own.join(' ')}\n`,
  )
  const { code } = await left.site.run(['ping', '-c', '1', '-W', '1', '172.16.255.254'])
  assert.equal(code, 1)
  await ping(left.site, right.inner[4])
})

/** The same prefixes in any order. */
function assertSame(told: readonly string[], expected: readonly string[]): void {
  assert.equal(told.length, expected.length)
  const missing = new Set(expected)
  for (const prefix of told) assert.ok(missing.delete(prefix), `${prefix} was not set`)
  assert.equal(missing.size, 0, `missing: ${[...missing].slice(0, 10).join(', ')}`)
}

/** As `wg` writes it. */
function canonical(prefix: string): string {
  return prefix.replace(/^fd55:0::/, 'fd55::').replace(/::0\/128$/, '::/128')
}
