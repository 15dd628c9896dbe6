import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandFailed } from '../../../bench/commands.ts'
import { parsePingMicros, parseTcp, parseUdp } from '../../../bench/load.ts'

test('TCP counts what the receiver got, in its time', () => {
  const end = {
    sum_sent: { seconds: 4, bytes: 1100, retransmits: 7 },
    sum_received: { seconds: 4.01, bytes: 1000 },
  }
  assert.deepEqual(parseTcp(JSON.stringify({ end })), {
    seconds: 4.01,
    receivedBytes: 1000,
    retransmits: 7,
  })
})

test('UDP counts packets by bytes, since the receiver’s packet count holds the lost ones', () => {
  const end = {
    sum_sent: { seconds: 2, bytes: 64_000, packets: 1000 },
    sum_received: { seconds: 2.1, bytes: 32_000, packets: 990, lost_packets: 490 },
  }
  assert.deepEqual(parseUdp(JSON.stringify({ end }), 64), {
    seconds: 2.1,
    payloadBytes: 64,
    sentPackets: 1000,
    receivedPackets: 500,
  })
})

const failures: readonly [json: string, words: RegExp][] = [
  ['{"start":{},"end":{},"error":"unable to connect to server"}', /unable to connect/],
  ['{"end":{}}', /holds no sums/],
  ['{}', /holds no sums/],
]

test('a test that iperf3 could not finish is a failure with its words', () => {
  for (const [json, words] of failures) {
    assert.throws(
      () => parseTcp(json),
      (error: unknown) => error instanceof CommandFailed && words.test(error.message),
      json,
    )
  }
})

test('round-trip times are read from the answers, and from them alone', () => {
  const output = [
    'PING 10.71.2.2 (10.71.2.2) 56(84) bytes of data.',
    '64 bytes from 10.71.2.2: icmp_seq=1 ttl=62 time=0.226 ms',
    'From 10.71.1.1 icmp_seq=2 Destination Host Unreachable',
    '64 bytes from 10.71.2.2: icmp_seq=3 ttl=62 time=12 ms',
    '',
    '3 packets transmitted, 2 received, 33% packet loss, time 20ms',
    'rtt min/avg/max/mdev = 0.226/6.113/12.000/5.887 ms',
  ].join('\n')
  assert.deepEqual(parsePingMicros(output), [226, 12_000])
})
