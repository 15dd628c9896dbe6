import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  parseBusySeconds,
  parseDeviceCounters,
  parseMemoryBytes,
  parseProcessStat,
  parseScheduledSeconds,
  parseWaitedMs,
  readBusySeconds,
  readPeakMemoryBytes,
  readProcess,
  readScheduledSeconds,
} from '../../../bench/proc.ts'

const times = '1 42 42 0 -1 4194560 900 0 3 0 150 25 300 12 20 0 7 0 1234 1000 200'

const stats: readonly [command: string][] = [['node'], ['a) b (c'], ['two words'], ['()']]

test('CPU times are found behind any command, parentheses and spaces in it included', () => {
  for (const [command] of stats) {
    const parsed = parseProcessStat(`42 (${command}) S ${times}\n`)
    assert.deepEqual(parsed, { command, ownSeconds: 1.75, childrenSeconds: 3.12 })
  }
})

test('busy time is all but idle, iowait and guest', () => {
  const text = 'cpu  100 20 300 5000 700 1 2 4 50 60\ncpu0 1 2 3 4 5 6 7 8 9 10\n'
  assert.equal(parseBusySeconds(text), 4.27)
})

test('a thread’s running time, and its waiting time, are in nanoseconds', () => {
  assert.equal(parseScheduledSeconds('1500000000 20 3\n'), 1.5)
  assert.equal(parseWaitedMs('1500000000 2500000 3\n'), 2.5)
})

test('memory is found by its name, in bytes', () => {
  const text = 'Name:\tx\nVmPeak:\t 900 kB\nVmHWM:\t   16 kB\nRssAnon:\t   3 kB\n'
  assert.equal(parseMemoryBytes(text, 'VmHWM'), 16_384)
  assert.equal(parseMemoryBytes(text, 'RssAnon'), 3072)
  assert.throws(() => parseMemoryBytes('Name:\tkthreadd\n', 'VmRSS'), /no VmRSS/)
})

test('device counters are found by name, also where no space follows the colon', () => {
  const text = [
    'Inter-|   Receive                            |  Transmit',
    ' face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs',
    '    lo:       1       2    0    0    0     0          0         0     3    4 0 0 0 0 0 0',
    '  wire:123456789012 20 0 0 0 0 0 0 5 6 0 7 0 0 0 0',
    '',
  ].join('\n')
  const devices = parseDeviceCounters(text)
  assert.deepEqual([...devices.keys()], ['lo', 'wire'])
  assert.deepEqual(devices.get('wire'), {
    receivedBytes: 123_456_789_012,
    receivedPackets: 20,
    sentBytes: 5,
    sentPackets: 6,
    sentDropped: 7,
  })
})

test("this process's own files can be read", () => {
  assert(readProcess('self').ownSeconds > 0)
  assert(readPeakMemoryBytes(process.pid) > 2 ** 20)
  assert(readBusySeconds() > 0)
  assert(readScheduledSeconds(process.pid) > 0)
})
