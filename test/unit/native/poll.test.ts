import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { POLL, STATE } from '../../../src/packet/batch.ts'
import { createTestContext } from '../../support/native-context.ts'

const harness = createTestContext()
const { native, context, memory } = harness

const nowMs = () => Number(process.hrtime.bigint()) / 1e6

test('a written eventfd is ready once and is drained', () => {
  const wake = native.createWake()
  memory.polls.set([wake, POLL.IN | POLL.WAKE, -1])
  assert.equal(native.poll(context, 1, 0, 0), 0)
  assert.equal(memory.polls[2], 0)
  native.wake(wake)
  native.wake(wake)
  assert.equal(native.poll(context, 1, Infinity, 0), 1)
  assert.equal(memory.polls[2], POLL.IN)
  assert.equal(native.poll(context, 1, 0, 0), 0)
  closeSync(wake)
})

test('without the wake bit an eventfd stays ready', () => {
  const wake = native.createWake()
  memory.polls.set([wake, POLL.IN, 0])
  native.wake(wake)
  assert.equal(native.poll(context, 1, 0, 0), 1)
  assert.equal(native.poll(context, 1, 0, 0), 1)
  closeSync(wake)
})

test('only the first descriptors are polled, a negative one never is ready', () => {
  const wake = native.createWake()
  native.wake(wake)
  memory.polls.set([-1, POLL.IN, 7, wake, POLL.IN, 7, wake, POLL.IN, 7])
  assert.equal(native.poll(context, 2, Infinity, 0), 1)
  assert.deepEqual(
    [...memory.polls.subarray(0, 9)].filter((_, i) => i % 3 === 2),
    [0, POLL.IN, 7],
  )
  closeSync(wake)
})

test('a descriptor that is not open is reported', () => {
  const fd = openSync('/dev/null', 'r')
  closeSync(fd)
  memory.polls.set([fd, POLL.IN, 0])
  assert.equal(native.poll(context, 1, 0, 0), 1)
  assert.equal(memory.polls[2], 0x20) // POLLNVAL
})

test('a fractional time-out is waited for and not less', () => {
  const before = nowMs()
  assert.equal(native.poll(context, 0, 2.25, 0), 0)
  assert.ok(nowMs() - before >= 2.25)
  for (const timeoutMs of [-5, 0, Number.NaN])
    assert.equal(native.poll(context, 0, timeoutMs, 0), 0)
})

test('the time is that of the monotonic clock', () => {
  const before = nowMs()
  native.poll(context, 0, 0, 0)
  const now = memory.state[STATE.NOW_MS]
  assert.ok(before <= now && now <= nowMs())
})

test('another thread with an environment of its own wakes an endless wait', async () => {
  const wake = native.createWake()
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const source = `
    import { parentPort, workerData } from 'node:worker_threads'
    const { loadNative } = await import(workerData.module)
    const native = loadNative()
    parentPort.postMessage('loaded')
    Atomics.wait(workerData.gate, 0, 0)
    native.wake(workerData.wake)`
  const module = new URL('../../../src/native.ts', import.meta.url).href
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
    workerData: { gate, wake, module },
  })
  await new Promise(resolve => worker.once('message', resolve))
  memory.polls.set([wake, POLL.IN | POLL.WAKE, 0])
  assert.equal(native.poll(context, 1, 0, 0), 0)
  Atomics.store(gate, 0, 1)
  Atomics.notify(gate, 0)
  assert.equal(native.poll(context, 1, Infinity, 0), 1)
  await new Promise(resolve => worker.once('exit', resolve))
  closeSync(wake)
})

test('lingering finds what is there, and sleeps when nothing comes', () => {
  const wake = native.createWake()
  memory.polls.set([wake, POLL.IN | POLL.WAKE, -1])
  assert.equal(native.poll(context, 1, 1, 0.5), 0)
  native.wake(wake)
  assert.equal(native.poll(context, 1, Infinity, 0.5), 1)
  assert.equal(native.poll(context, 1, 0, 0.5), 0)
  closeSync(wake)
})

test('a wrong argument is a bug and throws', () => {
  const call = native.poll as (...values: unknown[]) => number
  const descriptors = memory.polls.length / POLL.WORDS
  assert.equal(native.poll(context, descriptors, 0, 0) >= 0, true)
  for (const values of [
    [context, descriptors + 1, 0, 0],
    [context, -1, 0, 0],
    [context + 1000, 0, 0, 0],
    [-1, 0, 0, 0],
    [context, 'x', 0, 0],
    [context, 1, 0],
    [],
  ]) {
    assert.throws(() => call(...values), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
  }
})
