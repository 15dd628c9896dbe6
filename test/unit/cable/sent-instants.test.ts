// What outbound workers of several pairs have sent, as the owner of a cable sees it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sentInstants } from '../../../src/cable/sent-instants.ts'
import { createSharedMemory } from '../../../src/tables/memory.ts'
import { INSTANT } from '../../../src/tables/shared.ts'

const cable = 5
const at = cable * INSTANT.WORDS

test('of several pairs the latest send counts', () => {
  const memory = createSharedMemory(4)
  const sent = sentInstants(memory)
  memory.sent.forEach((block, pair) => {
    block[at + INSTANT.SENT] = [10, 40, 20, 0][pair]
    block[at + INSTANT.DATA_SENT] = [5, 0, 35, 1][pair]
  })
  assert.equal(sent.sentMs(cable), 40)
  assert.equal(sent.dataSentMs(cable), 35)
  assert.equal(sent.sentMs(cable + 1), 0)
})

test('the first data without an answer is the earliest behind the last answer', () => {
  const cases: [received: number, unanswered: number[], expected: (ms: number) => boolean][] = [
    [0, [0, 0], ms => ms === 0],
    [0, [0, 7], ms => ms === 7],
    [10, [12, 15], ms => ms === 12],
    [10, [15, 12], ms => ms === 12],
    [10, [3, 12], ms => ms === 12],
    [10, [12, 3], ms => ms === 12],
    [10, [3, 4], ms => ms <= 10],
  ]
  for (const [received, unanswered, expected] of cases) {
    const memory = createSharedMemory(2)
    memory.instants[at + INSTANT.RECEIVED] = received
    unanswered.forEach((ms, pair) => {
      memory.sent[pair][at + INSTANT.UNANSWERED] = ms
    })
    const found = sentInstants(memory).unansweredMs(cable)
    assert.ok(expected(found), `received ${received}, ${unanswered}: ${found}`)
  }
})
