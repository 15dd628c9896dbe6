// The timers by themselves, where the order of two instants decides. What they lead to is tested with
// two engines in protocol.test.ts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Timers } from '../../../src/crypto/timers.ts'

const second = 1_000
const never = Number.POSITIVE_INFINITY

function make() {
  const sent = { at: 0, data: 0, unanswered: 0 }
  const timers = new Timers(4, {
    sentMs: cable => (cable === 4 ? sent.at : 0),
    dataSentMs: cable => (cable === 4 ? sent.data : 0),
    unansweredMs: cable => (cable === 4 ? sent.unanswered : 0),
  })
  return { sent, timers }
}

test('nothing is due on a new peer', () => {
  assert.equal(make().timers.deadlineMs(), never)
})

test('an initiation is due at once, then not within 5 s of the one before', () => {
  const { timers } = make()
  timers.handshakeWanted(1 * second)
  assert.equal(timers.initiateAtMs, 1 * second)
  assert.ok(!timers.isRetry)
  timers.initiationTried(1 * second, 300)
  assert.equal(timers.initiateAtMs, 6_300)
  assert.ok(timers.isRetry)
  timers.handshakeCompleted()
  assert.equal(timers.initiateAtMs, never)
  timers.handshakeWanted(2 * second)
  assert.equal(timers.initiateAtMs, 6 * second)
  assert.ok(!timers.isRetry)
})

test('our response puts off an initiation of our own', () => {
  const { timers } = make()
  timers.handshakeWanted(1 * second)
  timers.responseSent(1 * second)
  assert.equal(timers.initiateAtMs, 6 * second)
})

test('only a later send disarms the passive keepalive', () => {
  const { sent, timers } = make()
  sent.at = 5 * second
  timers.dataReceived(5 * second)
  assert.ok(!timers.takePassive(14_999))
  assert.ok(timers.takePassive(15 * second), 'sent at the same instant counts as before')
  timers.dataReceived(20 * second)
  sent.at = 20_001
  assert.ok(!timers.takePassive(30 * second))
  assert.equal(timers.deadlineMs(), never)
})

test('data behind a send arms anew', () => {
  const { sent, timers } = make()
  timers.dataReceived(1 * second)
  sent.at = 2 * second
  timers.dataReceived(3 * second)
  assert.equal(timers.deadlineMs(), 13 * second)
})

test('unanswered data is told once for each 15 s in which more was sent', () => {
  const { sent, timers } = make()
  timers.currentChanged(0)
  timers.authenticatedReceived(1 * second)
  sent.unanswered = 2 * second
  sent.data = 2 * second
  assert.ok(!timers.takeUnanswered(15 * second, 100))
  assert.equal(timers.watchAtMs, 17 * second)
  assert.ok(timers.takeUnanswered(17 * second, 100))
  assert.ok(!timers.takeUnanswered(32 * second, 100), 'nothing more was sent')
  sent.data = 33 * second
  assert.ok(timers.takeUnanswered(47 * second, 100))
})

test('what was received after the data is an answer', () => {
  const { sent, timers } = make()
  timers.currentChanged(0)
  sent.unanswered = 2 * second
  timers.authenticatedReceived(3 * second)
  assert.ok(!timers.takeUnanswered(20 * second, 0))
  assert.equal(timers.watchAtMs, 35 * second)
})

test('a persistent keepalive follows the last traversal in either direction', () => {
  const { sent, timers } = make()
  timers.keepaliveMs = 25 * second
  timers.authenticatedReceived(10 * second)
  assert.equal(timers.deadlineMs(), 35 * second)
  sent.at = 12 * second
  assert.equal(timers.deadlineMs(), 37 * second)
  assert.ok(!timers.takePersistent(36 * second))
  assert.ok(timers.takePersistent(37 * second))
  assert.equal(timers.deadlineMs(), 62 * second, 'tried, even if it could not be sent')
})

test('giving up keeps an earlier instant for zeroing, and sets one where there was none', () => {
  const { timers } = make()
  timers.handshakeWanted(0)
  assert.equal(timers.giveUpAtMs(), 90 * second)
  timers.gaveUp(90 * second)
  assert.equal(timers.zeroAtMs, 630 * second)
  timers.sessionDerived(100 * second)
  timers.gaveUp(200 * second)
  assert.equal(timers.zeroAtMs, 640 * second)
})
