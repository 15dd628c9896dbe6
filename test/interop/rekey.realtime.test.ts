// The re-key that a session's initiator makes after 120 s (whitepaper 6.2), waited for: a ping every
// 200 ms goes on over it without a loss, and both ends tell of a newer handshake.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ping } from '../support/interop/traffic.ts'
import { layWire, openTunnel } from '../support/interop/tunnel.ts'
import { worldOfFile } from '../support/interop/world.ts'

const world = worldOfFile('rekey', ['left', 'right'], () => layWire(world))

const rekeyAfterSeconds = 120
const pings = 680
const pingIntervalSeconds = 0.2

const pairs = [
  ['hawser', 'wireguard-go'],
  ['wireguard-go', 'hawser'],
  ['hawser', 'hawser'],
] as const

describe('re-key after 120 s', { concurrency: true }, () => {
  for (const [number, [left, right]] of pairs.entries()) {
    test(`${left} renews its session with ${right} and no ping is lost`, async t => {
      const tunnel = await openTunnel(t, world, { left, right, number, knowing: ['left'] })
      const ends = [tunnel.left, tunnel.right]
      await ping(tunnel.left.site, tunnel.right.inner[4])
      const before = await Promise.all(ends.map(end => tunnel.peer(end)))

      const command = ['ping', '-q', '-n', '-W', '20', '-c', String(pings)]
      const interval = ['-i', String(pingIntervalSeconds), tunnel.right.inner[4]]
      const options = { timeoutMs: (pings * pingIntervalSeconds + 60) * 1000 }
      const { stdout } = await tunnel.left.site.run([...command, ...interval], options)
      assert.match(stdout, new RegExp(`${pings} packets transmitted, ${pings} received`))

      const after = await Promise.all(ends.map(end => tunnel.peer(end)))
      for (const [i, end] of ends.entries()) {
        const apart = after[i].latestHandshake - before[i].latestHandshake
        // Whole seconds of the wall clock, hence one less.
        const what = `${end.side}: handshakes ${apart} s apart`
        assert.ok(apart >= rekeyAfterSeconds - 1 && apart <= pings * pingIntervalSeconds + 1, what)
      }
      await ping(tunnel.right.site, tunnel.left.inner[6])
    })
  }
})
