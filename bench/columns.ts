// The columns of the report's tables, in groups: a literal list.

import type { Figure, RecordedCase } from './run-record.ts'

interface Column {
  readonly title: string
  readonly case: RecordedCase
  readonly figure: Figure
  /** Show the difference to plain routing instead of the figure. */
  readonly abovePlain?: boolean
}

export interface ColumnGroup {
  readonly title: string
  readonly columns: readonly Column[]
}

export const columnGroups: readonly ColumnGroup[] = [
  {
    title: 'TCP',
    columns: [
      { title: '1 stream, Gb/s', case: 'tcp1', figure: 'gbitPerSecond' },
      { title: 'CPU-s per Gbit', case: 'tcp1', figure: 'cpuSecondsPerGbit' },
      { title: '4 streams, Gb/s', case: 'tcp4', figure: 'gbitPerSecond' },
      { title: 'CPU-s per Gbit', case: 'tcp4', figure: 'cpuSecondsPerGbit' },
    ],
  },
  {
    title: 'UDP',
    columns: [
      { title: '64 B, kpps', case: 'udp64', figure: 'receivedKpps' },
      { title: 'loss %', case: 'udp64', figure: 'lossPercent' },
      { title: 'CPU µs per sent', case: 'udp64', figure: 'cpuMicrosPerPacketSent' },
      { title: 'per received', case: 'udp64', figure: 'cpuMicrosPerPacketReceived' },
      { title: '1372 B, kpps', case: 'udp1372', figure: 'receivedKpps' },
      { title: 'loss %', case: 'udp1372', figure: 'lossPercent' },
      { title: 'CPU µs per sent', case: 'udp1372', figure: 'cpuMicrosPerPacketSent' },
      { title: 'per received', case: 'udp1372', figure: 'cpuMicrosPerPacketReceived' },
    ],
  },
  {
    title: 'Round trip, idle cost and memory',
    columns: [
      { title: 'RTT µs, median', case: 'rtt', figure: 'rttMedianMicros' },
      { title: 'above plain', case: 'rtt', figure: 'rttMedianMicros', abovePlain: true },
      { title: 'RTT µs, p99', case: 'rtt', figure: 'rttP99Micros' },
      { title: 'idle CPU %', case: 'idle', figure: 'idleCpuPercent' },
      { title: 'peak memory, MiB', case: 'memory', figure: 'peakMemoryMib' },
    ],
  },
  {
    title: 'Round trip under load',
    columns: [
      { title: 'RTT µs, median', case: 'loaded-rtt', figure: 'rttMedianMicros' },
      { title: 'RTT µs, p99', case: 'loaded-rtt', figure: 'rttP99Micros' },
      { title: 'TCP beside it, Gb/s', case: 'loaded-rtt', figure: 'gbitPerSecond' },
    ],
  },
]
