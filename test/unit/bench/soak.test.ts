import assert from 'node:assert/strict'
import { test } from 'node:test'
import { receiveErrors } from '../../../bench/overflows.ts'
import { parsePings } from '../../../bench/soak-run.ts'

test('the end of ping -q', () => {
  const output = `PING 10.71.2.2 (10.71.2.2) 56(84) bytes of data.

--- 10.71.2.2 ping statistics ---
1736 packets transmitted, 1727 received, 0.518433% packet loss, time 179936ms
rtt min/avg/max/mdev = 0.051/1.203/276.343/9.001 ms, pipe 3
`
  assert.deepEqual(parsePings(output), { sent: 1736, received: 1727, longestMs: 276.343 })
  assert.throws(() => parsePings('PING 10.71.2.2'))
})

test('receive errors stand under their name', () => {
  const snmp = `Icmp: InMsgs InErrors
Icmp: 1 2
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors
Udp: 10 1 7 20 7 0
UdpLite: InDatagrams RcvbufErrors
UdpLite: 1 99
`
  assert.equal(receiveErrors(snmp), 7)
  assert.throws(() => receiveErrors('Udp: InDatagrams\nUdp: 1'), /RcvbufErrors/)
})
