// Numbers from /proc: CPU time and peak memory of processes, busy time of the machine, byte and
// packet counters of devices. Parsing is pure and tested; reading is one line each.
//
// CPU times are in seconds. The kernel gives clock ticks of 1/100 s to user space on every
// architecture that Hawser runs on (USER_HZ), whatever CONFIG_HZ is.

import { readdirSync, readFileSync } from 'node:fs'

const ticksPerSecond = 100

export interface ProcessTimes {
  readonly command: string
  /** utime + stime of all threads, the ended ones included. */
  readonly ownSeconds: number
  /** cutime + cstime: children that ended and were waited for, with theirs. */
  readonly childrenSeconds: number
}

export interface DeviceCounters {
  readonly receivedBytes: number
  readonly receivedPackets: number
  readonly sentBytes: number
  readonly sentPackets: number
  /** Before they were sent: the device's queue was full. */
  readonly sentDropped: number
}

/** /proc/PID/stat. The command is in parentheses and may hold spaces and parentheses itself. */
export function parseProcessStat(text: string): ProcessTimes {
  const open = text.indexOf('(')
  const close = text.lastIndexOf(')')
  const fields = text.slice(close + 2).split(' ')
  // proc_pid_stat(5): utime is field 14; `fields` begins with field 3, the state.
  const seconds = (field: number) => Number(fields[field - 3]) / ticksPerSecond
  return {
    command: text.slice(open + 1, close),
    ownSeconds: seconds(14) + seconds(15),
    childrenSeconds: seconds(16) + seconds(17),
  }
}

/**
 * The first line of /proc/stat: seconds that the CPUs were not idle, in all. Time stolen by the
 * hypervisor counts (it disturbs a run as much); guest time is in user already.
 */
export function parseBusySeconds(text: string): number {
  const fields = text.slice(0, text.indexOf('\n')).trim().split(/\s+/).slice(1).map(Number)
  const [user, nice, system, , , irq, softirq, steal] = fields
  return (user + nice + system + irq + softirq + steal) / ticksPerSecond
}

/** /proc/PID/task/TID/schedstat: the seconds that a thread has run, to the nanosecond. */
export function parseScheduledSeconds(text: string): number {
  return Number(text.split(' ')[0]) / 1e9
}

/** The same file: the ms that it could have run, and had no core. */
export function parseWaitedMs(text: string): number {
  return Number(text.split(' ')[1]) / 1e6
}

/** A field of /proc/PID/status in bytes: VmHWM is the peak of resident memory. */
export function parseMemoryBytes(text: string, field: 'VmHWM' | 'VmRSS' | 'RssAnon'): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)
  if (match === null) throw new Error(`no ${field} in /proc/PID/status`)
  return Number(match[1]) * 1024
}

/** /proc/net/dev by device name. */
export function parseDeviceCounters(text: string): Map<string, DeviceCounters> {
  const devices = new Map<string, DeviceCounters>()
  for (const line of text.split('\n').slice(2)) {
    const colon = line.indexOf(':')
    if (colon < 0) continue
    const fields = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(Number)
    devices.set(line.slice(0, colon).trim(), {
      receivedBytes: fields[0],
      receivedPackets: fields[1],
      sentBytes: fields[8],
      sentPackets: fields[9],
      sentDropped: fields[11],
    })
  }
  return devices
}

export function readProcess(pid: number | 'self'): ProcessTimes {
  return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))
}

/** What the living threads of a process have run, finer than the clock ticks of `readProcess`. */
export function readScheduledSeconds(pid: number): number {
  let sum = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')
    sum += parseScheduledSeconds(text)
  }
  return sum
}

export function readBusySeconds(): number {
  return parseBusySeconds(readFileSync('/proc/stat', 'utf8'))
}

export function readPeakMemoryBytes(pid: number): number {
  return parseMemoryBytes(readFileSync(`/proc/${pid}/status`, 'utf8'), 'VmHWM')
}
