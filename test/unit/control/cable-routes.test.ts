import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CableNetwork } from '../../../src/control/cable-routes.ts'
import type { CableRoutes } from '../../../src/control/parts.ts'
import { prefixes } from '../../support/control-world.ts'

const routesTo = (...subnets: readonly string[]): CableRoutes => ({
  ...{ interfaceName: 'gw0', subnets: prefixes(...subnets), sources: [] },
})

test('routes are applied when they are others, after a failure, and now and then', async () => {
  let nowMs = 0
  let failure = ''
  const done: string[] = []
  const network = new CableNetwork(
    {
      bringUp: async () => void done.push('up'),
      applyCableRoutes: async ({ subnets }) => {
        if (failure !== '') throw new Error(failure)
        done.push(`routes ${subnets.length}`)
      },
    },
    { monotonicMs: () => nowMs, wallMs: () => nowMs },
  )
  const look = async (routes: CableRoutes, isUp: boolean | 'unknown' = true) => {
    done.length = 0
    network.look(routes, isUp === 'unknown' ? undefined : isUp)
    await new Promise(resolve => setImmediate(resolve))
    return done.join()
  }
  const [none, one] = [routesTo(), routesTo('10.2.0.0/16')]
  // Nobody knows of a device.
  assert.equal(await look(one, 'unknown'), '')
  assert.equal(await look(one, false), 'up,routes 1')
  assert.equal(await look(one), '')
  assert.equal(await look(none), 'up,routes 0')
  // Made anew.
  assert.equal(await look(none, false), 'up,routes 0')
  failure = 'no room'
  assert.equal(await look(one), 'up')
  assert.deepEqual(
    network.problems().map(({ code, message }) => [code, message]),
    [['cable-network', 'no room']],
  )
  failure = ''
  assert.equal(await look(none), '')
  nowMs += 5000
  // Those of before it failed: part of it may have been done.
  assert.equal(await look(none), 'up,routes 0')
  assert.deepEqual(network.problems(), [])
  nowMs += 29_999
  assert.equal(await look(none), '')
  nowMs += 1
  assert.equal(await look(none), 'up,routes 0')
})
