import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pinger } from '../../../src/control/pinger.ts'
import { parseAddress } from '../../../src/net/address.ts'

const most = 5

function pingerWith(firstSequence = 0): Pinger {
  const to = parseAddress('10.2.0.1')
  return new Pinger({ to, packetLossMost: most, intervalMs: 1000, firstSequence })
}

/** Sends at `atMs`, which must be due. */
function send(pinger: Pinger, atMs: number): number {
  const next = pinger.tick(atMs)
  assert.ok(next, `nothing to send at ${atMs}`)
  return next.sequence
}

test('one request each second, the first at once', () => {
  const pinger = pingerWith(65_535)
  assert.equal(send(pinger, 50_000), 65_535)
  assert.equal(pinger.tick(50_999), undefined)
  assert.equal(pinger.dueMs, 51_000)
  assert.equal(send(pinger, 51_000), 0)
})

test('nothing is known before the first answer or failure', () => {
  const pinger = pingerWith()
  send(pinger, 0)
  assert.deepEqual(pinger.report(), { state: 'unknown', message: '', latency: undefined })
})

test('an answer makes it good, and gives its round trip', () => {
  const pinger = pingerWith()
  pinger.onReply(send(pinger, 0), 400_000)
  const { state, latency } = pinger.report()
  assert.equal(state, 'ok')
  assert.equal(latency?.lastNs, 400_000)
})

test('more than five without an answer is a failure, until one answers', () => {
  const pinger = pingerWith()
  pinger.onReply(send(pinger, 0), 400_000)
  for (let second = 1; second <= most + 1; second++) {
    send(pinger, second * 1000)
    assert.equal(pinger.report().state, 'ok')
  }
  const last = send(pinger, 7000)
  const failed = pinger.report()
  assert.equal(failed.state, 'failed')
  assert.equal(failed.message, 'Failed to successfully ping the remote endpoint IP "10.2.0.1"')
  assert.equal(failed.latency?.lastNs, 400_000)
  pinger.onReply(last, 500_000)
  assert.deepEqual([pinger.report().state, pinger.report().message], ['ok', ''])
})

test('five without an answer are none, and an answer begins the count anew', () => {
  const pinger = pingerWith()
  for (let round = 0; round < 10; round++) {
    for (let lost = 0; lost < most; lost++) send(pinger, (round * 6 + lost) * 1000)
    pinger.onReply(send(pinger, (round * 6 + most) * 1000), 1)
    assert.equal(pinger.report().state, 'ok')
  }
})

test('a failure lasts while nothing answers', () => {
  const pinger = pingerWith()
  for (let second = 0; second < 60; second++) send(pinger, second * 1000)
  assert.equal(pinger.report().state, 'failed')
})

test('answers that were not asked for, come twice or come too late count for nothing', () => {
  const pinger = pingerWith()
  const first = send(pinger, 0)
  pinger.onReply(first + 1, 1)
  assert.equal(pinger.report().state, 'unknown')
  pinger.onReply(first, 7)
  pinger.onReply(first, 9)
  assert.equal(pinger.report().latency?.lastNs, 7)
})

test('round trips longer than the interval are all counted', () => {
  const pinger = pingerWith()
  let before = send(pinger, 0)
  for (let second = 1; second < 50; second++) {
    const next = send(pinger, second * 1000)
    pinger.onReply(before, 1_500_000_000 + second)
    assert.equal(pinger.report().latency?.lastNs, 1_500_000_000 + second)
    before = next
  }
})

test('what cannot be sent says nothing of the remote, and is tried again after five seconds', () => {
  const pinger = pingerWith()
  for (let attempt = 0; attempt < 20; attempt++) {
    send(pinger, attempt * 5000)
    pinger.onSendError('ENETUNREACH', attempt * 5000)
    assert.equal(pinger.tick(attempt * 5000 + 4999), undefined)
  }
  const { state, message } = pinger.report()
  assert.deepEqual([state, message], ['unknown', 'cannot ping 10.2.0.1: ENETUNREACH'])
})
