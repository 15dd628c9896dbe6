// Where the kernel drops packets of the UDP stream that nobody took in time, from /proc, which shows
// each process the counters of its own network namespace.

import { readFileSync } from 'node:fs'
import { parseDeviceCounters } from './proc.ts'

/** Packets that the kernel dropped because nobody took them in time. */
export interface Overflows {
  /** In front of gateway a's device: its outbound worker did not read. */
  readonly deviceQueue: number
  /** At gateway b's socket: its inbound worker did not receive. */
  readonly gatewaySocket: number
  /** At the end of the UDP stream. */
  readonly streamSocket: number
}

/** Processes whose network namespaces are those of node-a, node-b and pod-b. */
export interface OverflowPlaces {
  readonly device: string
  readonly inNodeA: number
  readonly inNodeB: number
  readonly inPodB: number
}

export function readOverflows({ device, inNodeA, inNodeB, inPodB }: OverflowPlaces): Overflows {
  const read = (pid: number, file: string) => readFileSync(`/proc/${pid}/net/${file}`, 'utf8')
  const counters = parseDeviceCounters(read(inNodeA, 'dev')).get(device)
  if (counters === undefined) throw new Error(`node-a has no device ${device}`)
  return {
    deviceQueue: counters.sentDropped,
    gatewaySocket: receiveErrors(read(inNodeB, 'snmp')),
    streamSocket: receiveErrors(read(inPodB, 'snmp')),
  }
}

export function overflowsBetween(before: Overflows, after: Overflows): Overflows {
  return {
    deviceQueue: after.deviceQueue - before.deviceQueue,
    gatewaySocket: after.gatewaySocket - before.gatewaySocket,
    streamSocket: after.streamSocket - before.streamSocket,
  }
}

/** RcvbufErrors in the text of /proc/net/snmp. */
export function receiveErrors(snmp: string): number {
  const [names, values] = snmp
    .split('\n')
    .filter(line => line.startsWith('Udp: '))
    .map(line => line.split(' '))
  const column = names?.indexOf('RcvbufErrors') ?? -1
  if (column < 0 || values === undefined) throw new Error('/proc/net/snmp has no RcvbufErrors')
  return Number(values[column])
}
