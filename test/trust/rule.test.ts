// The trust suite on the roles and the rule as functions.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Attempt, attempts, roleAttempts, titleOf } from '../support/trust/attempts.ts'
import { refusalByRule } from '../support/trust/rule-broker.ts'

for (const attempt of [...attempts, ...roleAttempts]) {
  test(titleOf(attempt), () => {
    const refusal = refusalByRule(attempt)
    assert.equal(refusal === undefined ? 'allowed' : 'refused', attempt.is, refusal)
  })
}

test('every verb that writes is refused to somebody, for each kind that members write', () => {
  const verbs = ['create', 'update', 'patch', 'delete', 'deletecollection']
  const resources = ['clusters', 'endpoints', 'endpointslices', 'serviceimports']
  const isThere = (verb: string, resource: string) =>
    attempts.some(
      (each: Attempt) => each.is === 'refused' && each.verb === verb && each.resource === resource,
    )
  const missing = resources.flatMap(resource =>
    verbs.filter(verb => !isThere(verb, resource)).map(verb => `${verb} ${resource}`),
  )
  assert.deepEqual(missing, [])
})
