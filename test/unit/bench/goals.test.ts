import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boundColumn, goalLines } from '../../../bench/goals.ts'
import type { Result, Run } from '../../../bench/run-record.ts'
import { benchMachine, resultOf, run, tcp } from '../../support/bench-result.ts'

const avx512 = { ...benchMachine, features: { avx512ifma: true, vaes: true, vpclmulqdq: true } }

/** The one line of the goals that names what is asked for. */
function goalLine(result: Result, words: RegExp): string {
  const found = goalLines(result).filter(line => words.test(line))
  assert.equal(found.length, 1, goalLines(result).join('\n'))
  return found[0]
}

test('the column is that of AVX-512 only with all that its kernels need', () => {
  assert.equal(boundColumn(benchMachine), 'avx2')
  assert.equal(boundColumn(avx512), 'avx512')
  for (const name of ['avx512ifma', 'vaes', 'vpclmulqdq']) {
    const features = { ...avx512.features, [name]: false }
    assert.equal(boundColumn({ ...avx512, features }), 'avx2', name)
  }
})

test('the processor decides what is wanted', () => {
  const runs = [tcp(1, 'hawser', 9, 0.2), tcp(1, 'wg-tailscale', 5, 0.4)]
  const onAvx2 = goalLine(resultOf(runs), /Gb\/s.*hawser to wg-tailscale/)
  assert.match(onAvx2, /^- ✓ TCP 1 stream, .*: 1.80, at least 1.7 wanted$/)
  const onAvx512 = goalLine({ ...resultOf(runs), machine: avx512 }, /Gb\/s.*hawser to wg-tailscale/)
  assert.match(onAvx512, /^- ✗ .*: 1.80, at least 2 wanted$/)
})

test('ratios are taken within the rounds, and their median decides', () => {
  const runs = [1, 2, 3].flatMap(round => [
    tcp(round, 'hawser-aes', 30 * round, 0.1),
    tcp(round, 'wg-newest', [5, 20, 40][round - 1], 0.5),
  ])
  const line = goalLine(resultOf(runs), /hawser-aes to wg-newest/)
  assert.match(line, /^- ✓ .*: 3.00 \(2.25-6.00\), at least 3 wanted$/)
})

const relations: readonly [cpu: number, reached: string][] = [
  [0.23, '✓'],
  [0.232, '✓'],
  [0.24, '✗'],
]

test('less is better for CPU time, and the bound itself is in', () => {
  for (const [cpu, reached] of relations) {
    const runs = [tcp(1, 'hawser', 9, cpu), tcp(1, 'wg-tailscale', 5, 0.4)]
    const line = goalLine(resultOf(runs), /CPU per Gbit.*hawser to wg-tailscale/)
    assert.match(line, new RegExp(`^- ${reached} .*at most 0.58 wanted$`), String(cpu))
  }
})

function udp(round: number, contestant: Run['contestant'], kpps: number, micros: number): Run {
  const figures = { receivedKpps: kpps, cpuMicrosPerPacketReceived: micros }
  return run(round, contestant, 'udp64', figures)
}

test('the best of several is another one in each round and for each figure', () => {
  const runs = [
    ...[udp(1, 'hawser', 180, 4), udp(1, 'boringtun', 60, 8), udp(1, 'gotatun', 90, 10)],
    ...[udp(2, 'hawser', 180, 4), udp(2, 'boringtun', 90, 10), udp(2, 'gotatun', 60, 8)],
  ]
  const received = goalLine(resultOf(runs), /packets received/)
  assert.match(received, /^- ✓ .*hawser to the best of boringtun, gotatun: 2.00 \(2.00-2.00\)/)
  const cpu = goalLine(resultOf(runs), /CPU per packet received/)
  assert.match(cpu, /^- ✓ .*: 0.500 \(0.500-0.500\), at most 0.6 wanted$/)
})

test('one claim of several is enough', () => {
  const slow = [udp(1, 'hawser', 100, 4), udp(1, 'gotatun', 90, 10)]
  assert.match(goalLine(resultOf([...slow, udp(1, 'plain', 105, 0)]), /packets received/), /✓/)
  const line = goalLine(resultOf([...slow, udp(1, 'plain', 190, 0)]), /packets received/)
  assert.match(line, /^- ✗ .*gotatun: 1.11, .*; or hawser to plain: 0.526, at least 0.9 wanted$/)
})

test('what is added to plain routing is compared, not the round trips themselves', () => {
  const rtt = (contestant: Run['contestant'], micros: number) =>
    run(1, contestant, 'rtt', { rttMedianMicros: micros })
  const runs = [rtt('plain', 50), rtt('hawser', 140), rtt('wg-newest', 200)]
  assert.match(
    goalLine(resultOf(runs), /median above plain/),
    /^- ✓ .*hawser to wg-newest: 0.600, at most 0.6 wanted$/,
  )
})

test('what one thing costs is taken from both wires, against the same without it', () => {
  const runs = (['superpackets', 'packets'] as const).flatMap((wire, index) => [
    tcp(1, 'hawser-aes', 9, 0.1, wire),
    tcp(1, 'hawser-noop', 10, 0.09, wire),
    tcp(1, 'hawser-capture', 8, 0.1 + index * 0.02, wire),
  ])
  const result = resultOf(runs)
  assert.match(
    goalLine(result, /hawser-aes to hawser-noop/),
    /^- ✗ .*wire of superpackets and of packets: .*: 0.900 \(0.900-0.900\), at least 0.92 wanted$/,
  )
  assert.match(
    goalLine(result, /hawser-capture to hawser-aes/),
    /^- ✗ .*: 1.10 \(1.00-1.20\), below 1.05 wanted$/,
  )
})

test('a goal whose other side could not be had is not reached; one of others is not shown', () => {
  const invalid = run(1, 'wg-newest', 'tcp1', {}, ['it died'])
  const absent = { contestant: 'wg-debian', reason: 'not installed' } as const
  const result = resultOf([tcp(1, 'hawser', 9, 0.2), invalid], [absent])
  assert.match(goalLine(result, /hawser to wg-newest/), /^- ✗ .*: not measured, /)
  assert.match(goalLine(result, /hawser to wg-debian/), /^- ✗ .*: not measured, /)
  assert.deepEqual(
    goalLines(result).filter(line => /wg-tailscale|plain|UDP/.test(line)),
    [],
  )
})
