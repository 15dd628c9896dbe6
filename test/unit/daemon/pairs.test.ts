import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choosePairs, claimDevice } from '../../../src/daemon/pairs.ts'

test('a pair for every two cores, a power of two, eight at most', () => {
  const expected = { 1: 1, 2: 1, 3: 1, 4: 2, 6: 2, 8: 4, 12: 4, 16: 8, 64: 8 }
  for (const [cores, pairs] of Object.entries(expected))
    assert.equal(choosePairs({}, Number(cores)), pairs, `${cores} cores`)
})

test('HAWSER_PAIRS says how many; what no data path has is a usage error', () => {
  for (const pairs of [1, 2, 4, 8])
    assert.equal(choosePairs({ HAWSER_PAIRS: `${pairs}` }, 2), pairs)
  assert.equal(choosePairs({ HAWSER_PAIRS: '' }, 4), 2)
  for (const text of ['0', '3', '16', '-1', '2 ', 'many', '1e0'])
    assert.throws(() => choosePairs({ HAWSER_PAIRS: text }, 2), { code: 'EINVAL', exit: 2 })
})

test('a device has one claimant', async () => {
  const name = `claim${process.pid}`
  const claim = await claimDevice(name)
  await assert.rejects(claimDevice(name), { code: 'EBUSY', message: /is busy/ })
  await claim.close()
  const again = await claimDevice(name)
  await again.close()
})
