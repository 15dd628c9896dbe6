import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Signal } from '../../../src/kube/signal.ts'

test('raised often is raised once, before a wait and during one', async () => {
  const signal = new Signal()
  signal.raise()
  signal.raise()
  assert.equal(await signal.wait(), true)
  assert.equal(await signal.wait(1), false)
  const waiting = signal.wait()
  signal.raise()
  signal.raise()
  assert.equal(await waiting, true)
  assert.equal(await signal.wait(0), false)
})

test('a second consumer is a mistake', async () => {
  const signal = new Signal()
  const waiting = signal.wait(60_000)
  await assert.rejects(signal.wait(), /one consumer/)
  signal.raise()
  assert.equal(await waiting, true)
})

test('a limit beyond what a timer can count is none', async () => {
  const signal = new Signal()
  const waiting = signal.wait(2 ** 40)
  setImmediate(() => setImmediate(() => signal.raise()))
  assert.equal(await waiting, true)
})

test('what is raised in one turn of the loop, microtasks between, is one look', async () => {
  const signal = new Signal()
  let looks = 0
  let isOver = false
  const consumer = (async () => {
    while (!isOver) if (await signal.wait(20_000)) looks++
  })()
  for (let event = 0; event < 1000; event++) {
    await null
    signal.raise()
  }
  isOver = true
  await consumer
  assert.equal(looks, 1)
})
