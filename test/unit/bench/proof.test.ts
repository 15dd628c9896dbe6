import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Passed, passedBetween, proveTcp, proveUdp } from '../../../bench/proof.ts'

const gib = 2 ** 30

/** Bytes that passed where a tunnel carried `tunnel` and the wire `wire`. */
function passed(tunnel: number | null, wire: number): Passed {
  return {
    tunnel: tunnel === null ? null : { intoBytes: tunnel, outOfBytes: tunnel },
    wireSentBytes: wire,
    wireReceivedBytes: wire,
  }
}

const tcpRows: readonly [name: string, passed: Passed, problems: RegExp | null][] = [
  ['superpackets', passed(1.001 * gib, 1.063 * gib), null],
  ['packets', passed(1.039 * gib, 1.1 * gib), null],
  ['plain routing', passed(null, 1.046 * gib), null],
  ['nothing went through the tunnel', passed(0, 1.05 * gib), /far tunnel device carried 0.0/],
  ['half went another way', passed(0.5 * gib, 0.6 * gib), /less than the 1024.0/],
  ['twice through the tunnel', passed(2 * gib, 2.1 * gib), /2048.0 MiB for 1024.0 MiB/],
  ['tunnel, but not the wire', passed(1.01 * gib, 0.01 * gib), /the wire carried 10.2/],
  ['something else on the wire', passed(1.01 * gib, 2 * gib), /the wire carried 2048.0/],
  ['plain routing by another way', passed(null, 0.2 * gib), /carried 204.8/],
]

test('TCP: the counters of the tunnel and of the wire must fit the bytes that arrived', () => {
  for (const [name, counters, problems] of tcpRows) {
    const proof = proveTcp(counters, gib)
    if (problems === null) assert.deepEqual(proof.problems, [], name)
    else assert.match(proof.problems.join('; '), problems, name)
  }
})

test('TCP: the ratios are those of the far tunnel device, and absent without a tunnel', () => {
  const proof = proveTcp(passed(1.04 * gib, 1.04 * 1.05 * gib), gib)
  assert.equal(proof.tunnelOverPayload?.toFixed(3), '1.040')
  assert.equal(proof.wireOverTunnel?.toFixed(3), '1.050')
  assert.equal(proveTcp(passed(null, 1.04 * gib), gib).tunnelOverPayload, null)
})

test('UDP: lost packets are no problem, packets that nobody carried are', () => {
  const [sent, received, payload] = [10_000_000, 4_000_000, 64]
  const carried = (into: number, outOf: number, wire: number): Passed => ({
    tunnel: { intoBytes: into * 92, outOfBytes: outOf * 92 },
    wireSentBytes: wire * 166,
    wireReceivedBytes: wire * 166,
  })
  const check = (counters: Passed) => proveUdp(counters, payload, sent, received).problems.join()
  assert.equal(check(carried(sent, received, received)), '')
  assert.equal(check(carried(received, received, received)), '')
  assert.match(check(carried(sent, 1000, received)), /far tunnel device/)
  assert.match(check(carried(sent * 2, received, received)), /near tunnel device/)
  assert.match(check(carried(sent, received, 1000)), /the wire/)
})

test('what passed is the difference of two readings', () => {
  const difference = passedBetween(passed(100, 1000), passed(300, 4000))
  assert.deepEqual(difference, passed(200, 3000))
  assert.equal(passedBetween(passed(null, 0), passed(null, 5)).tunnel, null)
})
