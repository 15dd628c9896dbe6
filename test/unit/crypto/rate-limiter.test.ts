import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RateLimiter } from '../../../src/crypto/rate-limiter.ts'
import { remoteRecord } from '../../support/protocol-deps.ts'

const one = remoteRecord([192, 0, 2, 1], 1000)

function countAllowed(limiter: RateLimiter, remote: Uint8Array, atMs: number[]): number {
  return atMs.filter(ms => limiter.allow(remote, ms)).length
}

test('five at once, then twenty a second', () => {
  const limiter = new RateLimiter()
  assert.equal(countAllowed(limiter, one, Array<number>(50).fill(1_000)), 5)
  const everyMs = Array.from({ length: 10_000 }, (_, i) => 1_001 + i)
  assert.equal(countAllowed(limiter, one, everyMs), 200)
})

test('a quiet source has its burst again', () => {
  const limiter = new RateLimiter()
  countAllowed(limiter, one, Array<number>(9).fill(0))
  assert.equal(countAllowed(limiter, one, Array<number>(9).fill(250)), 5)
})

test('bug catalogue: the limit is per source address, not global', () => {
  const limiter = new RateLimiter()
  countAllowed(limiter, one, Array<number>(50).fill(0))
  assert.ok(!limiter.allow(one, 0))
  assert.ok(limiter.allow(remoteRecord([192, 0, 2, 2], 1000), 0))
  assert.ok(
    !limiter.allow(remoteRecord([192, 0, 2, 1], 2000), 0),
    'another port is the same source',
  )
})

test('an IPv6 source is its /64', () => {
  const limiter = new RateLimiter()
  const prefix = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 1]
  for (let host = 0; host < 5; host++) {
    assert.ok(limiter.allow(remoteRecord([...prefix, 0, 0, 0, 0, 0, 0, 0, host], 1), 0))
  }
  assert.ok(!limiter.allow(remoteRecord([...prefix, 9, 9, 9, 9, 9, 9, 9, 9], 1), 0))
  prefix[7] = 2
  assert.ok(limiter.allow(remoteRecord([...prefix, 0, 0, 0, 0, 0, 0, 0, 0], 1), 0))
})

test('the table is capped, and forgets sources that were quiet for a second', () => {
  const limiter = new RateLimiter(10)
  for (let host = 0; host < 10; host++)
    assert.ok(limiter.allow(remoteRecord([10, 0, 0, host], 1), 0))
  assert.ok(!limiter.allow(remoteRecord([10, 0, 1, 0], 1), 500))
  assert.equal(limiter.size, 10)
  assert.ok(limiter.allow(remoteRecord([10, 0, 1, 0], 1), 1_000))
  assert.equal(limiter.size, 1)
})
