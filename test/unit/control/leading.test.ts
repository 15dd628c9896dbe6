import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasSuccessor, publishedHost, whoLeads } from '../../../src/control/leading.ts'
import { KubeError } from '../../../src/kube/errors.ts'
import type { Leadership } from '../../../src/kube/lease-state.ts'
import { endpointOf, known } from '../../support/control-world.ts'

const error = new KubeError('UNAVAILABLE', 'no answer')
const leader: Leadership = { state: 'leader', epoch: 3, sinceMs: 0, renewedAtMs: 0 }
const alone: Leadership = { state: 'leader-without-api', epoch: 3, sinceMs: 0, error }
const standby = (holder: string | undefined): Leadership => ({
  ...{ state: 'standby', holder, error: undefined },
})

test('who leads: known once somebody has the lease, and over with the right to it', () => {
  const held = { what: 'epoch', epoch: 3 }
  const asItIs = { what: 'as-it-is' }
  const nothing = { what: 'nothing' }
  for (const before of [undefined, false, true]) {
    assert.deepEqual(whoLeads(before, leader, 'me'), { isActive: true, keeps: held })
    assert.deepEqual(whoLeads(before, alone, 'me'), { isActive: true, keeps: held })
    assert.deepEqual(whoLeads(before, standby('b'), 'me'), { isActive: false, keeps: nothing })
    // Nobody, nobody any more, or we ourselves before this start.
    for (const holder of [undefined, '', 'me']) {
      const isActive = before === undefined ? undefined : false
      assert.deepEqual(whoLeads(before, standby(holder), 'me'), { isActive, keeps: asItIs })
    }
  }
})

test('the Endpoint names a successor only to one that it has named, and that has no API', () => {
  assert.equal(hasSuccessor(alone, 'b', 'me', true), true)
  assert.equal(hasSuccessor(alone, 'b', 'me', false), false)
  assert.equal(hasSuccessor(alone, 'me', 'me', true), false)
  assert.equal(hasSuccessor(alone, undefined, 'me', true), false)
  assert.equal(hasSuccessor(leader, 'b', 'me', true), false)
  assert.equal(hasSuccessor(standby('b'), 'b', 'me', true), false)
})

test('whom our Endpoint names: us, if any of ours does', () => {
  const of = (hostname: string) => endpointOf(1, { hostname })
  assert.equal(publishedHost(known([]), 'c1', 'me'), undefined)
  assert.equal(publishedHost(known([endpointOf(2, { hostname: 'me' })]), 'c1', 'me'), undefined)
  assert.equal(publishedHost(known([of('b')]), 'c1', 'me'), 'b')
  assert.equal(publishedHost(known([of('b'), of('me')]), 'c1', 'me'), 'me')
})
