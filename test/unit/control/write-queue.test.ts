import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Write } from '../../../src/control/world.ts'
import { WriteQueue, writeTimes } from '../../../src/control/write-queue.ts'
import { newNote, notes } from '../../support/kube-kinds.ts'

function create(name: string, text = 'x'): Write {
  const object = newNote('ns', name, text)
  return { server: 'local', key: `Note/${name}`, reason: '', verb: 'create', type: notes, object }
}

function remove(name: string): Write {
  return {
    ...{ server: 'local', key: `Note/${name}`, reason: '', verb: 'delete', type: notes },
    ...{ name, namespace: 'ns', uid: 'u' },
  }
}

function names(queue: WriteQueue, nowMs: number): string[] {
  const found: string[] = []
  for (let step = queue.next(nowMs); step.kind === 'write'; step = queue.next(nowMs))
    found.push(`${step.write.verb} ${step.write.key}`)
  return found
}

test('in the order of the plan, once each, and one at a time for an object', () => {
  const queue = new WriteQueue(0)
  queue.plan(0, [create('a'), remove('b'), create('b')])
  assert.deepEqual(names(queue, 0), ['create Note/a', 'delete Note/b'])
  assert.deepEqual(names(queue, 1000), [])
  queue.done(1000, 'local Note/b', remove('b'))
  queue.plan(1000, [create('b')])
  assert.deepEqual(names(queue, 1000), ['create Note/b'])
  assert.deepEqual(queue.waiting(), ['local Note/b'])
})

test('a failure is tried again later and later, up to half a minute', () => {
  const queue = new WriteQueue(0)
  queue.plan(0, [create('a')])
  let nowMs = 0
  const delays: number[] = []
  for (let i = 0; i < 13; i++) {
    const step = queue.next(nowMs)
    assert.equal(step.kind, 'write')
    queue.failed(nowMs, 'local Note/a')
    queue.plan(nowMs, [create('a')])
    const wait = queue.next(nowMs)
    assert.ok(wait.kind === 'wait')
    delays.push(wait.untilMs - nowMs)
    nowMs = wait.untilMs
  }
  assert.deepEqual(delays.slice(0, 4), [50, 100, 200, 400])
  assert.deepEqual(delays.slice(9, 12), [25_600, 30_000, 30_000])
})

test('what was done is not done again before the watch may have brought it', () => {
  const queue = new WriteQueue(0)
  queue.plan(0, [create('a')])
  names(queue, 0)
  queue.done(10, 'local Note/a', create('a'))
  queue.plan(20, [create('a')])
  assert.deepEqual(queue.waiting(), [])
  assert.deepEqual(queue.next(20), { kind: 'wait', untilMs: 10 + writeTimes.settleMs })
  // Something else is wanted of it: at once.
  queue.plan(20, [create('a', 'y')])
  assert.deepEqual(names(queue, 20), ['create Note/a'])
  queue.failed(20, 'local Note/a')
  // It was undone by somebody.
  queue.plan(10_000, [create('a')])
  assert.deepEqual(names(queue, 10_000), ['create Note/a'])
})

test('what is not in the plan any more is not begun, and forgotten', () => {
  const queue = new WriteQueue(0)
  queue.plan(0, [create('a'), create('b')])
  const first = queue.next(0)
  assert.ok(first.kind === 'write')
  queue.plan(0, [])
  assert.deepEqual(names(queue, 0), [])
  queue.failed(0, first.id)
  queue.plan(0, [create('a')])
  assert.deepEqual(names(queue, 0), ['create Note/a'])
})

test('no more at once, and no faster, than a server is glad of', () => {
  const times = { ...writeTimes, burst: 20, atOnceMost: 5 }
  const queue = new WriteQueue(0, times)
  const plan = Array.from({ length: 100 }, (_, i) => create(`n${String(i).padStart(3, '0')}`))
  queue.plan(0, plan)
  let done = 0
  const serve = (nowMs: number) => {
    for (let step = queue.next(nowMs); ; step = queue.next(nowMs)) {
      if (step.kind === 'wait') return step.untilMs
      queue.done(nowMs, step.id, step.write)
      done++
    }
  }
  const nextMs = serve(0)
  assert.equal(done, 20)
  assert.equal(nextMs, 100)
  serve(1000)
  assert.equal(done, 30)
  const busy = new WriteQueue(0, times)
  busy.plan(0, plan)
  assert.equal(names(busy, 0).length, 5)
})
