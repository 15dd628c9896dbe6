import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import {
  type Collection,
  parseCollections,
  pausedBetween,
  summarizePauses,
} from '../../../bench/collections.ts'

const mu = '(average mu = 1.000, current mu = 1.000)'

/** A line as --trace-gc writes it. */
function line(isolate: string, atMs: number, what: string, pauseMs: number, rest: string): string {
  const sizes = `${what} 4.6 (6.0) -> 4.4 (7.0) MB, pooled: 0 MB`
  return `[17:${isolate}] ${String(atMs).padStart(8)} ms: ${sizes}, ${pauseMs} / 0.00 ms ${rest}\n`
}

const young = (isolate: string, atMs: number, pauseMs: number) =>
  line(isolate, atMs, 'Scavenge', pauseMs, ` ${mu} allocation failure; `)
const forced = (isolate: string, atMs: number) =>
  line(isolate, atMs, 'Scavenge', 0.2, ` ${mu} testing; `)
const whole = (isolate: string, atMs: number, pauseMs: number) =>
  line(
    isolate,
    atMs,
    'Mark-Compact (reduce)',
    pauseMs,
    ` (+ 5.6 ms in 52 steps since start of marking, biggest step 0.8 ms, walltime since start of ` +
      `marking 10 ms) ${mu} finalize incremental marking via task; GC in old space requested`,
  )
const mark = (number: number, name: string, collectedMs: number) =>
  `${JSON.stringify({ kind: 'thread', number, name, collectedMs })}\n`

const main = '0x7305000'
const outbound = '0x7f3ed8001000'
const inbound = '0x7f3ecc001000'

test('the number of forced collections names the thread, and the last of them sets its clock', () => {
  const output =
    young(outbound, 20, 0.5) +
    forced(main, 47) +
    forced(inbound, 31) +
    forced(outbound, 30) +
    forced(inbound, 32) +
    forced(outbound, 33) +
    forced(inbound, 34) +
    young(main, 900, 1.5) +
    whole(outbound, 1033, 3.1) +
    young(inbound, 2034, 0.25) +
    whole(inbound, 2035, 9)
  const errors =
    mark(1, 'hawser-outbound', 5033) +
    'a line of the log\n' +
    mark(0, 'main', 4047) +
    mark(2, 'hawser-inbound', 6034)
  const told = parseCollections({ output, errors }, 4500, 8034)
  assert.deepEqual(told.threads, ['hawser-inbound', 'hawser-outbound', 'main'])
  assert.equal(told.unplaced, 0)
  const behind = told.collections.filter(({ endMs }) => endMs > 6034)
  assert.deepEqual(
    told.collections.filter(({ thread }) => thread === 'main').map(({ endMs }) => endMs),
    [4900],
  )
  assert.deepEqual(behind, [
    {
      thread: 'hawser-inbound',
      kind: 'Scavenge',
      endMs: 8034,
      pauseMs: 0.25,
      marking: { wallMs: 0, stepsMs: 0, longestStepMs: 0 },
      heapMib: 4.4,
    },
  ])
  const compacted = told.collections.find(({ kind }) => kind === 'Mark-Compact (reduce)')
  assert.equal(compacted?.endMs, 6033)
  assert.deepEqual(compacted?.marking, { wallMs: 10, stepsMs: 5.6, longestStepMs: 0.8 })
})

test('an isolate that no mark explains is counted, not placed', () => {
  const output = forced(main, 47) + young(outbound, 90, 1) + young(outbound, 91, 1)
  const told = parseCollections({ output, errors: mark(0, 'main', 1000) }, 0, 5000)
  assert.equal(told.unplaced, 2)
  assert.deepEqual(told.threads, ['main'])
})

function collection(thread: string, endMs: number, pauseMs: number, step = 0): Collection {
  const marking = { wallMs: step * 20, stepsMs: step * 3, longestStepMs: step }
  return {
    thread,
    kind: step > 0 ? 'Mark-Compact' : 'Scavenge',
    endMs,
    pauseMs,
    marking,
    heapMib: 9,
  }
}

test('a thread is held by what meets the time, steps of marking included, and pauses add up', () => {
  const rows: readonly [
    collections: readonly Collection[],
    expected: ReturnType<typeof pausedBetween>,
  ][] = [
    [[], null],
    [[collection('a', 900, 50)], null],
    [[collection('a', 1200, 50)], null],
    [[collection('a', 1005, 50)], { thread: 'a', pausedMs: 50 }],
    [[collection('a', 1120, 50)], { thread: 'a', pausedMs: 50 }],
    [[collection('a', 999, 1)], { thread: 'a', pausedMs: 1 }],
    [
      [collection('a', 1010, 3), collection('a', 1020, 4), collection('b', 1015, 5)],
      { thread: 'a', pausedMs: 7 },
    ],
    // Over before the time, the marking that went before it too.
    [[collection('a', 990, 5, 2)], null],
    // Behind the time; a step of its marking may have been in it.
    [[collection('a', 1130, 5, 2)], { thread: 'a', pausedMs: 2 }],
    [[collection('a', 1050, 5, 2)], { thread: 'a', pausedMs: 7 }],
  ]
  for (const [collections, expected] of rows) {
    assert.deepEqual(pausedBetween(collections, 1000, 1100), expected)
  }
})

test('the pauses of a thread in sum', () => {
  const collections = [collection('a', 10, 1), collection('a', 20, 2, 6), collection('b', 30, 1)]
  const threads = ['a', 'b', 'c']
  assert.deepEqual(summarizePauses({ collections, threads, unplaced: 0 }), [
    { thread: 'a', scavenges: 1, markCompacts: 1, longestMs: 6, totalMs: 21, heapMib: 9 },
    { thread: 'b', scavenges: 1, markCompacts: 0, longestMs: 1, totalMs: 1, heapMib: 9 },
    { thread: 'c', scavenges: 0, markCompacts: 0, longestMs: 0, totalMs: 0, heapMib: null },
  ])
})

test('the trace of this Node is read, a worker told from the main thread', t => {
  const folder = mkdtempSync(`${tmpdir()}/hawser-trace-`)
  t.after(() => rmSync(folder, { recursive: true }))
  const program = `${folder}/main.cjs`
  writeFileSync(
    program,
    `const { Worker, isMainThread } = require('node:worker_threads')
    if (isMainThread) new Worker(__filename, { name: 'hawser-demo' })
    else gc({ type: 'major' })`,
  )
  const mark = new URL('../../../bench/support/thread-mark.ts', import.meta.url).pathname
  const argv = ['--trace-gc', '--expose-gc', `--import=${mark}`, program]
  const run = spawnSync(process.execPath, argv, { encoding: 'utf8' })
  assert.equal(run.status, 0, run.stderr)
  const told = parseCollections(
    { output: run.stdout, errors: run.stderr },
    0,
    Number.POSITIVE_INFINITY,
  )
  assert.deepEqual(told.threads, ['hawser-demo', 'main'])
  assert.equal(told.unplaced, 0)
  const major = told.collections.filter(({ kind }) => kind.startsWith('Mark-Compact'))
  assert.ok(major.some(({ thread }) => thread === 'hawser-demo'))
})
