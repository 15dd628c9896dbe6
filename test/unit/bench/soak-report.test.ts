import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ExplainedHole } from '../../../bench/hole-causes.ts'
import {
  flatnessOf,
  judgeSoak,
  notesOnSoak,
  renderSoak,
  type SoakResult,
} from '../../../bench/soak-report.ts'

const none = { deviceQueue: 0, gatewaySocket: 0, streamSocket: 0 }

function holeOf(lost: number, change: Partial<ExplainedHole> = {}): ExplainedHole {
  return {
    ...{ atMs: lost, lost, gapMs: 1, streamMs: lost / 10, deed: null, held: null },
    ...{ isCollections: false, overflows: none, waitedMs: 0 },
    ...change,
  }
}

function resultOf(change: Partial<SoakResult> = {}): SoakResult {
  const memory = [200, 100, 102, 104]
  return {
    ...{
      udpPerSecond: 10_000,
      tcpMbit: 50,
      deeds: [],
      failures: [],
      tcpGbitPerSecond: 0.05,
      drops: [],
    },
    samples: memory.map((mib, i) => ({
      ...{ atSeconds: i * 10, a: mib, b: 100, anonymous: { a: mib / 2, b: 50 } },
    })),
    udp: { sent: 10_000, seconds: 1, received: 9990, lost: 10, longestGapMs: 3 },
    pings: { sent: 10, received: 9, longestMs: 4 },
    handshakes: {
      ...{ seconds: 1, sent: 10, responses: 10, cookies: 0, inboundSeconds: 0, used: 10 },
      ...{ outboundSeconds: 0, withCookie: 0, proved: 5, provable: 5 },
    },
    ...{
      overflows: none,
      foreignCores: 0.1,
      gatewayCores: 0.2,
      holes: [],
      queuePackets: 500,
      longestOnPathMs: 7,
    },
    threads: [
      ...[
        { thread: 'a main', scavenges: 3, markCompacts: 1, longestMs: 7, totalMs: 9, heapMib: 8 },
      ],
      ...[
        {
          thread: 'a inbound',
          scavenges: 0,
          markCompacts: 0,
          longestMs: 0,
          totalMs: 0,
          heapMib: null,
        },
      ],
    ],
    ...{ blind: null, warmupSeconds: 10 },
    ...change,
  }
}

function goalOf(result: SoakResult, words: RegExp) {
  const goal = judgeSoak(result).find(({ what }) => words.test(what))
  assert.ok(goal)
  return goal
}

test('memory is judged behind the warm-up, by what is farthest from the median', () => {
  const flatness = flatnessOf(resultOf(), ({ a }) => a)
  assert.deepEqual(flatness, {
    ...{ medianMib: 102, leastMib: 100, mostMib: 104, percent: (2 / 102) * 100 },
  })
  assert.equal(goalOf(resultOf(), /memory of gateway a/).isReached, true)
  assert.equal(goalOf(resultOf({ warmupSeconds: 0 }), /memory of gateway a/).isReached, false)
  assert.throws(() => flatnessOf(resultOf({ warmupSeconds: 99 }), ({ a }) => a), /warm-up/)
})

test('a hole of a collection misses the goal, and so does not to know', () => {
  const goal = (change: Partial<SoakResult>) => {
    const { measured, isReached } = goalOf(resultOf(change), /collection's/)
    return [measured, isReached]
  }
  assert.deepEqual(goal({}), ['0 of 0', true])
  assert.deepEqual(goal({ holes: [holeOf(3), holeOf(4)] }), ['0 of 2', true])
  const isCollections = { isCollections: true }
  assert.deepEqual(goal({ holes: [holeOf(3, isCollections), holeOf(4)] }), ['1 of 2', false])
  assert.deepEqual(goal({ blind: 'it was killed' }), ['not known, it was killed', false])
})

test('what is reported has no goal', () => {
  assert.match(goalOf(resultOf(), /longest collection/).measured, /^7\.0 ms, .* holds 50 ms$/)
  assert.equal(goalOf(resultOf(), /lost of the UDP/).measured, '10 (0.1000 %) in 0 holes')
  assert.equal(goalOf(resultOf(), /pings/).measured, '1 of 10, longest 4 ms')
})

test('the text has memory, load, collections and holes, those of collections first', () => {
  const text = renderSoak(resultOf())
  assert.match(text, /gateway a +\| +102\.0 \| 100\.0 \| 104\.0/)
  assert.match(text, /of it of no file +\| +51\.0/)
  assert.match(text, /CPU of both gateways +\| +0\.20 of a core/)
  assert.match(text, /a main +\| +3 \| +1 \| +7\.0 \| +9 \| +8\.0/)
  assert.match(text, /a inbound +\| +0 \| +0 \| +0\.0 \| +0 \| +–/)
  assert.match(text, /has no hole/)
  const holes = [
    holeOf(50, { overflows: { ...none, gatewaySocket: 50 }, waitedMs: 80 }),
    holeOf(3, {
      isCollections: true,
      held: { thread: 'b inbound', pausedMs: 2.5 },
      deed: 'cipher',
    }),
  ]
  const lines = renderSoak(resultOf({ holes })).split('\n')
  assert.ok(lines.includes('2 holes, 1 of them right behind a deed; the largest:'))
  assert.match(lines.at(-2) ?? '', /\| +3 \| .*cipher \| +b inbound 2\.5 \| +– \| +0 \|$/)
  assert.match(lines.at(-1) ?? '', /\| +50 \| .*– \| +– \| socket of b 50 \| +80 \|$/)
})

test('the notes say what disturbed the run', () => {
  assert.ok(notesOnSoak(resultOf()).includes('others used 0.10 of a core on average'))
  const notes = notesOnSoak(resultOf({ foreignCores: 1.5, udpPerSecond: 20_000, drops: ['x'] }))
  assert.ok(notes.includes('disturbed: others used 1.50 of a core on average'))
  assert.ok(notes.includes('the UDP sender was kept from running: it sent 10000 of 20000'))
  assert.ok(notes.includes('x'))
  const failing = notesOnSoak(resultOf({ failures: ['one', 'two'] }))
  assert.ok(failing.includes('2 deeds did not come off, the last: two'))
})
