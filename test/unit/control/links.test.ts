// Every branch and threshold of the stock WireGuard driver's state machine, as steps: what the counters
// say at an instant, and what is then said of the cable.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CableLinks } from '../../../src/control/links.ts'
import type { LinkReport } from '../../../src/control/world.ts'
import type { CableStatus, DatapathStatus } from '../../../src/tables/status.ts'
import { nowMs, statusOf } from '../../support/control-world.ts'

interface Step {
  /** Seconds since the first look. */
  readonly at: number
  readonly tx?: number
  readonly rx?: number
  /** When the last handshake was, in seconds since the first look; absent: never. */
  readonly handshake?: number
  readonly state: LinkReport['state']
  readonly message: string | RegExp
}

interface Case {
  readonly name: string
  readonly steps: readonly Step[]
}

const cases: readonly Case[] = [
  {
    name: 'a new cable is connecting',
    steps: [{ at: 0, state: 'connecting', message: '' }],
  },
  {
    name: 'less than 10.002 s: as it was',
    steps: [
      { at: 0, tx: 148, state: 'connecting', message: '' },
      { at: 10.001, tx: 296, state: 'connecting', message: '' },
      { at: 10.002, tx: 296, state: 'connecting', message: 'no initial handshake yet' },
    ],
  },
  {
    name: 'no handshake and no bytes: still connecting',
    steps: [
      { at: 0, state: 'connecting', message: '' },
      { at: 130, state: 'connecting', message: '' },
    ],
  },
  {
    name: 'no handshake for more than 130 s',
    steps: [
      { at: 0, state: 'connecting', message: '' },
      { at: 130, tx: 148, state: 'connecting', message: 'no initial handshake yet' },
      { at: 130.001, tx: 148, state: 'error', message: 'no initial handshake for 130.0 seconds' },
      { at: 200, tx: 296, state: 'error', message: 'no initial handshake for 200.0 seconds' },
    ],
  },
  {
    name: 'the first handshake counts at once',
    steps: [
      { at: 0, state: 'connecting', message: '' },
      ...[
        {
          at: 1,
          tx: 148,
          rx: 92,
          handshake: 1,
          state: 'connected' as const,
          message: 'Rx=92 Bytes, Tx=148 Bytes',
        },
      ],
    ],
  },
  {
    name: 'a handshake that comes late is as good',
    steps: [
      { at: 0, state: 'connecting', message: '' },
      { at: 140, tx: 1480, state: 'error', message: /no initial handshake/ },
      { at: 150, tx: 1628, rx: 92, handshake: 150, state: 'connected', message: /^Rx=92/ },
    ],
  },
  {
    name: 'bytes either way keep it connected, and are told at most every ten seconds',
    steps: [
      { at: 0, tx: 1, rx: 1, handshake: 0, state: 'connected', message: 'Rx=1 Bytes, Tx=1 Bytes' },
      { at: 10, tx: 2, rx: 1, handshake: 0, state: 'connected', message: 'Rx=1 Bytes, Tx=1 Bytes' },
      { at: 11, tx: 2, rx: 1, handshake: 0, state: 'connected', message: 'Rx=1 Bytes, Tx=2 Bytes' },
      { at: 22, tx: 2, rx: 2, handshake: 0, state: 'connected', message: 'Rx=2 Bytes, Tx=2 Bytes' },
    ],
  },
  {
    name: 'quiet for 20.004 s',
    steps: [
      { at: 0, tx: 1, rx: 1, handshake: 0, state: 'connected', message: /^Rx=1/ },
      { at: 20.003, tx: 1, rx: 1, handshake: 0, state: 'connected', message: /^Rx=1/ },
      {
        ...{ at: 20.004, tx: 1, rx: 1, handshake: 0, state: 'error' },
        message: 'no bytes sent or received for 20.0 seconds',
      },
      { at: 30, tx: 2, rx: 1, handshake: 0, state: 'connected', message: /^Rx=1/ },
    ],
  },
  {
    name: 'no handshake for more than 130 s, and nothing passes',
    steps: [
      { at: 0, tx: 1, rx: 1, handshake: -100, state: 'connected', message: /^Rx=1/ },
      {
        at: 31,
        tx: 1,
        rx: 1,
        handshake: -100,
        state: 'error',
        message: 'no handshake for 131.0 seconds',
      },
    ],
  },
  {
    name: 'an old handshake, and bytes pass: connected',
    steps: [
      { at: 0, tx: 1, rx: 1, handshake: -100, state: 'connected', message: /^Rx=1/ },
      { at: 40, tx: 2, rx: 1, handshake: -100, state: 'connected', message: /^Rx=1/ },
    ],
  },
  {
    name: 'we are new, and the cable is old: its handshake does not count at once',
    steps: [
      { at: 0, tx: 9, rx: 9, handshake: -131, state: 'connecting', message: '' },
      { at: 11, tx: 9, rx: 9, handshake: -131, state: 'connected', message: /^Rx=9/ },
    ],
  },
  {
    name: 'counters that fell are of another data path or peer',
    steps: [
      { at: 0, tx: 900, rx: 900, handshake: 0, state: 'connected', message: /^Rx=900/ },
      { at: 2, tx: 148, rx: 0, state: 'connecting', message: '' },
      { at: 3, tx: 148, rx: 92, handshake: 3, state: 'connected', message: /^Rx=92/ },
    ],
  },
  {
    name: 'a clock that was set back an hour is no hour of silence later',
    steps: [
      { at: 0, tx: 1, rx: 1, handshake: 0, state: 'connected', message: /^Rx=1/ },
      { at: -3600, tx: 1, rx: 1, handshake: 0, state: 'connected', message: /^Rx=1/ },
      { at: -3590, tx: 2, rx: 2, handshake: 0, state: 'connected', message: /^Rx=1/ },
      { at: -3589, tx: 2, rx: 2, handshake: 0, state: 'connected', message: /^Rx=2/ },
    ],
  },
]

function statusWith(cables: readonly CableStatus[]): DatapathStatus {
  const empty = statusOf({ device: { listenPort: 4500, fwmark: 0 }, cables: [] })
  return { ...empty, cables }
}

function cableWith(over: Partial<CableStatus>): CableStatus {
  return {
    ...{ name: 'c2', driver: 'wireguard', lastHandshakeMs: 0, rxBytes: 0, txBytes: 0 },
    ...{ counters: {}, drops: {} },
    ...over,
  }
}

for (const { name, steps } of cases) {
  test(name, () => {
    const links = new CableLinks()
    for (const { at, tx = 0, rx = 0, handshake, state, message } of steps) {
      const lastHandshakeMs = handshake === undefined ? 0 : nowMs + handshake * 1000
      const cable = cableWith({ txBytes: tx, rxBytes: rx, lastHandshakeMs })
      const report = links.look(statusWith([cable]), nowMs + at * 1000).get('c2')
      assert.equal(report?.state, state, `at ${at}`)
      if (typeof message === 'string') assert.equal(report.message, message, `at ${at}`)
      else assert.match(report.message, message, `at ${at}`)
    }
  })
}

test('counters are told as they were when bytes last moved', () => {
  const links = new CableLinks()
  const cable = cableWith({ txBytes: 5, rxBytes: 6, lastHandshakeMs: nowMs })
  links.look(statusWith([cable]), nowMs)
  const report = links.look(statusWith([cable]), nowMs + 15_000).get('c2')
  assert.deepEqual(report?.traffic, { checkedAtMs: nowMs, txBytes: 5, rxBytes: 6 })
})

test('a VXLAN cable is connected once the data path has it', () => {
  const report = new CableLinks()
    .look(statusWith([cableWith({ driver: 'vxlan' })]), nowMs)
    .get('c2')
  assert.deepEqual(report, { state: 'connected', message: '', traffic: undefined })
})

test('a cable that changes its driver begins anew', () => {
  const links = new CableLinks()
  links.look(statusWith([cableWith({ driver: 'vxlan' })]), nowMs)
  assert.equal(links.look(statusWith([cableWith({})]), nowMs).get('c2')?.state, 'connecting')
})

test('a cable that is gone is forgotten; a data path that does not answer has not lost its cables', () => {
  const links = new CableLinks()
  links.look(statusWith([cableWith({ lastHandshakeMs: nowMs })]), nowMs)
  assert.equal(links.look(undefined, nowMs).get('c2')?.state, 'connected')
  assert.equal(links.look(statusWith([]), nowMs).size, 0)
})
