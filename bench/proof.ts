// The proof that the bytes of a run went the way that the run is named after: pod -> tunnel device
// -> wire -> tunnel device -> pod. It compares the kernel's counters of the tunnel devices and of
// the wire with what iperf3 says that it moved. A run whose counters disagree is invalid: it is
// kept, and printed with the reason, and counts nowhere.
//
// Bytes are compared, not packets: a superpacket counts once, with one set of headers. So the far
// tunnel device hands over 1.00 (superpackets) to 1.04 (packets of 1 420 bytes) times the TCP
// payload, and the wire carries a little more than the tunnel.

import { deviceCounters, wireDevice } from './network.ts'

/** Bytes that passed, since the begin of a run. */
export interface Passed {
  /** Read from the tunnel device of node-a, written to that of node-b; null without a tunnel. */
  readonly tunnel: { readonly intoBytes: number; readonly outOfBytes: number } | null
  readonly wireSentBytes: number
  readonly wireReceivedBytes: number
}

export interface Proof {
  readonly tunnelOverPayload: number | null
  readonly wireOverTunnel: number | null
  readonly problems: readonly string[]
}

/** What may be in flight or in a socket when iperf3 stops counting. */
const slackBytes = 8 * 2 ** 20
const mostTcpOverhead = 1.06
const mostWireOverhead = 1.15
/** IPv4 and UDP header of a datagram that is alone. */
const udpHeaderBytes = 28

type TunnelDevices = { readonly a: string; readonly b: string } | null

/** Reads all counters of a way through the network. Subtract two readings with `passedBetween`. */
export function readPassed(devices: TunnelDevices): Passed {
  return {
    tunnel: devices && {
      intoBytes: deviceCounters('a', devices.a).sentBytes,
      outOfBytes: deviceCounters('b', devices.b).receivedBytes,
    },
    wireSentBytes: deviceCounters('a', wireDevice).sentBytes,
    wireReceivedBytes: deviceCounters('b', wireDevice).receivedBytes,
  }
}

export function passedBetween(before: Passed, after: Passed): Passed {
  return {
    tunnel: before.tunnel &&
      after.tunnel && {
        intoBytes: after.tunnel.intoBytes - before.tunnel.intoBytes,
        outOfBytes: after.tunnel.outOfBytes - before.tunnel.outOfBytes,
      },
    wireSentBytes: after.wireSentBytes - before.wireSentBytes,
    wireReceivedBytes: after.wireReceivedBytes - before.wireReceivedBytes,
  }
}

export function proveTcp(passed: Passed, receivedBytes: number): Proof {
  const out = passed.tunnel?.outOfBytes ?? passed.wireReceivedBytes
  const problems: string[] = []
  if (out < receivedBytes * 0.99) problems.push(tooFew('the far tunnel device', out, receivedBytes))
  if (out > receivedBytes * mostTcpOverhead + slackBytes) {
    problems.push(tooMany('the far tunnel device', out, receivedBytes))
  }
  return { ...ratios(passed, receivedBytes), problems: [...problems, ...wireProblems(passed)] }
}

/** UDP loses packets on the way and in sockets: each side is bounded by what it can have seen. */
export function proveUdp(
  passed: Passed,
  payloadBytes: number,
  sentPackets: number,
  receivedPackets: number,
): Proof {
  const into = passed.tunnel?.intoBytes ?? passed.wireSentBytes
  const out = passed.tunnel?.outOfBytes ?? passed.wireReceivedBytes
  const received = receivedPackets * payloadBytes
  const most = sentPackets * (payloadBytes + udpHeaderBytes) * 1.02 + slackBytes
  const linkHeaders = passed.tunnel === null ? sentPackets * 14 : 0
  const problems: string[] = []
  if (out < received * 0.99) problems.push(tooFew('the far tunnel device', out, received))
  if (into > most + linkHeaders) problems.push(tooMany('the near tunnel device', into, most))
  return { ...ratios(passed, received), problems: [...problems, ...wireProblems(passed, received)] }
}

function ratios(passed: Passed, payloadBytes: number) {
  const out = passed.tunnel?.outOfBytes ?? null
  return {
    tunnelOverPayload: out === null ? null : out / payloadBytes,
    wireOverTunnel: out === null ? null : passed.wireReceivedBytes / out,
  }
}

/**
 * Everything that came out of the far tunnel crossed the wire, in a larger form. How much larger is
 * bounded for TCP only: 60 bytes of tunnel around a small datagram may be more than its payload.
 */
function wireProblems(passed: Passed, udpPayloadBytes?: number): string[] {
  const wire = passed.wireReceivedBytes
  const out = passed.tunnel?.outOfBytes ?? udpPayloadBytes ?? wire
  if (wire < out) return [tooFew('the wire', wire, out)]
  const bounded = passed.tunnel !== null && udpPayloadBytes === undefined
  if (bounded && wire > out * mostWireOverhead + slackBytes) return [tooMany('the wire', wire, out)]
  return []
}

function tooFew(where: string, bytes: number, expected: number): string {
  return `${where} carried ${mib(bytes)} MiB, less than the ${mib(expected)} that arrived`
}

function tooMany(where: string, bytes: number, expected: number): string {
  return `${where} carried ${mib(bytes)} MiB for ${mib(expected)} MiB of payload`
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}
