import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Collection } from '../../../bench/collections.ts'
import { type Evidence, explainHoles } from '../../../bench/hole-causes.ts'
import type { Hole } from '../../../bench/holes.ts'
import { type Look, seenBetween } from '../../../bench/path-watch.ts'

const none = { deviceQueue: 0, gatewaySocket: 0, streamSocket: 0 }
/** 100 packets lost of 10 000 a second: 10 ms of the stream. */
const hole: Hole = { kind: 'hole', atMs: 50_000, lost: 100, gapMs: 1, sinceMs: 1000, seenMs: 1020 }

function collection(thread: string, endMs: number, pauseMs: number): Collection {
  const marking = { wallMs: 0, stepsMs: 0, longestStepMs: 0 }
  return { thread, kind: 'Scavenge', endMs, pauseMs, marking, heapMib: 5 }
}

function explain(evidence: Partial<Evidence>) {
  const [explained] = explainHoles([hole], {
    ...{ perSecond: 10_000, deeds: [], looks: [], collections: [] },
    isOnPath: thread => thread === 'a outbound',
    ...evidence,
  })
  return explained
}

test("a hole is a collection's when it held a worker of the path for half of the hole", () => {
  const rows: readonly [collections: readonly Collection[], isCollections: boolean][] = [
    [[], false],
    [[collection('a outbound', 1015, 4.9)], false],
    [[collection('a outbound', 1015, 5)], true],
    [[collection('a outbound', 1010, 3), collection('a outbound', 1015, 3)], true],
    [[collection('a outbound', 1100, 50)], false],
    [[collection('a main', 1015, 50)], false],
  ]
  for (const [collections, isCollections] of rows) {
    assert.equal(explain({ collections }).isCollections, isCollections)
  }
})

test('a thread off the path is named all the same', () => {
  const collections = [collection('a main', 1015, 50), collection('a outbound', 1015, 2)]
  assert.deepEqual(explain({ collections }).held, { thread: 'a main', pausedMs: 50 })
  assert.equal(explain({}).held, null)
})

test('a hole has its length in the stream, and the deed right before it', () => {
  assert.equal(explain({}).streamMs, 10)
  const deeds = [
    { atMs: 48_000, what: 'cipher' },
    { atMs: 49_500, what: 'snapshot' },
    { atMs: 50_500, what: 'cipher' },
  ] as const
  assert.equal(explain({ deeds }).deed, 'snapshot')
  assert.equal(explain({ deeds: deeds.slice(0, 1) }).deed, null)
})

test('the looks around a time are added up', () => {
  const looks: Look[] = [0, 1, 2, 3].map(i => ({
    sinceMs: 900 + i * 100,
    atMs: 1000 + i * 100,
    overflows: { ...none, deviceQueue: 10 ** i },
    waitedMs: 1,
  }))
  const rows: readonly [fromMs: number, untilMs: number, dropped: number, waitedMs: number][] = [
    [1010, 1020, 10, 1],
    [950, 1020, 11, 2],
    [1100, 1150, 110, 2],
    [0, 5000, 1111, 4],
    [1301, 1400, 0, 0],
    [0, 800, 0, 0],
  ]
  for (const [fromMs, untilMs, dropped, waitedMs] of rows) {
    const seen = seenBetween(looks, fromMs, untilMs)
    assert.deepEqual([seen.overflows.deviceQueue, seen.waitedMs], [dropped, waitedMs])
  }
  assert.deepEqual(explain({ looks }).overflows, { ...none, deviceQueue: 11 })
})
