// The store against a slow twin that keeps every state there ever was; and what watches tell, replayed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Body } from '../../../src/apiserver/body.ts'
import { configMapKind } from '../../../src/apiserver/builtin-kinds.ts'
import { LogError, MemoryLog, Store } from '../../../src/apiserver/store.ts'
import { ObjectWatch } from '../../../src/apiserver/watch-cache.ts'
import { rounds, seededRandom, testSeed } from '../../support/rng.ts'

const kinds = ['configmaps', 'secrets']

function body(name: string, color: string, number: number): Body {
  const metadata = { name, namespace: name.length % 2 === 0 ? 'even' : 'odd', color }
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { number: String(number) } }
}

const colorOf = (object: Body) => (object['metadata'] as { readonly color: string }).color

interface Step {
  readonly kind: string
  readonly key: string
  /** Undefined: it is deleted, if it is there. */
  readonly body: Body | undefined
}

function randomStep(random: () => number, number: number): Step {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]
  const name = pick(['a', 'bb', 'c', 'dd'])
  const made = body(name, pick(['red', 'blue']), number)
  const { namespace } = made['metadata'] as { readonly namespace: string }
  const key = `${namespace}/${name}`
  return { kind: pick(kinds), key, body: random() < 0.3 ? undefined : made }
}

const textsOf = (revisions: Iterable<{ readonly text: string }>) =>
  [...revisions].map(({ text }) => text)

test('each state can be listed as long as the history reaches back to it', () => {
  for (let round = 0; round < rounds(20); round++) {
    const seed = testSeed() + round
    const random = seededRandom(seed)
    const store = new Store(kinds, new MemoryLog(), { changesMost: 40, bytesMost: 1e9 })
    const states = new Map([[1, new Map<string, string>()]])
    for (let number = 0; number < 120; number++) {
      const { kind, key, body: wanted } = randomStep(random, number)
      const state = new Map(states.get(store.version))
      if (wanted !== undefined) state.set(`${kind} ${key}`, store.put(kind, key, wanted).text)
      else if (store.get(kind, key) === undefined) continue
      else {
        store.remove(kind, key)
        state.delete(`${kind} ${key}`)
      }
      states.set(store.version, state)
    }
    let known = 0
    for (const [version, state] of states) {
      for (const kind of kinds) {
        const found = store.listAt(kind, '', version)
        assert.equal(found === undefined, version < store.history.floor(kind), `seed ${seed}`)
        if (found === undefined) continue
        known++
        const expected = [...state].filter(([key]) => key.startsWith(kind)).sort()
        assert.deepEqual(
          textsOf(found),
          expected.map(([, text]) => text),
          `seed ${seed}`,
        )
        const even = store.listAt(kind, 'even', version) ?? []
        assert.deepEqual(
          even,
          found.filter(({ key }) => key.startsWith('even/')),
        )
      }
    }
    assert.ok(known >= 40, `seed ${seed}: ${known}`)
    assert.ok(store.history.floor('configmaps') > 1, `seed ${seed}`)
  }
})

/** What somebody knows who has read all frames of a watch. */
function follow(known: Map<string, string>, watch: ObjectWatch): 'none' | 'lost' {
  for (;;) {
    const next = watch.next()
    if (next.kind !== 'frame') return next.kind
    const { type, object } = JSON.parse(next.text) as {
      readonly type: string
      readonly object: Body
    }
    const { name, namespace } = object['metadata'] as Readonly<Record<string, string>>
    const key = `${namespace}/${name}`
    assert.equal(known.has(key), type !== 'ADDED', `${type} ${key}`)
    if (type === 'DELETED') known.delete(key)
    else known.set(key, JSON.stringify(object))
  }
}

test('who follows a watch knows what matches, whenever it reads, unless it reads too late', () => {
  const matches = (object: Body) => colorOf(object) === 'red'
  let lost = 0
  for (let round = 0; round < rounds(40); round++) {
    const seed = testSeed() + round
    const random = seededRandom(seed)
    const store = new Store(kinds, new MemoryLog(), { changesMost: 50, bytesMost: 1e9 })
    const wantedNow = () =>
      store.list('configmaps', 'even').filter(({ body: object }) => matches(object))
    const query = { kind: configMapKind, namespace: 'even', matches, form: textOfRevision }
    const open = () =>
      new ObjectWatch(store.history, query, {
        ...{ version: store.version, initial: store.list('configmaps'), marksInitialEnd: false },
      })
    let watch = open()
    let known = new Map<string, string>()
    for (let number = 0; number < 400; number++) {
      const { kind, key, body: wanted } = randomStep(random, number)
      if (wanted !== undefined) store.put(kind, key, wanted)
      else if (store.get(kind, key) !== undefined) store.remove(kind, key)
      if (random() > 0.03) continue
      const isLost = watch.isLost()
      if (follow(known, watch) === 'lost') {
        assert.ok(isLost, `seed ${seed}`)
        lost++
        watch = open()
        known = new Map()
        follow(known, watch)
      }
      const expected = wantedNow().map(({ key: each, text }) => [each, text])
      assert.deepEqual([...known].sort(), expected, `seed ${seed}, step ${number}`)
    }
  }
  assert.ok(lost > 0, 'no watch was ever too late')
})

function textOfRevision({ text }: { readonly text: string }): string {
  return text
}

test('a change that the log does not take has not happened', () => {
  class FullLog extends MemoryLog {
    isFull = false
    override append(): void {
      if (this.isFull) throw new LogError('database or disk is full')
    }
  }
  const log = new FullLog()
  const store = new Store(kinds, log)
  store.put('configmaps', 'odd/a', body('a', 'red', 1))
  store.takeChanges()
  const before = { version: store.version, list: textsOf(store.list('configmaps')) }
  log.isFull = true
  assert.throws(() => store.put('configmaps', 'odd/a', body('a', 'red', 2)), LogError)
  assert.throws(() => store.remove('configmaps', 'odd/a'), LogError)
  assert.deepEqual({ version: store.version, list: textsOf(store.list('configmaps')) }, before)
  assert.deepEqual(store.takeChanges(), [])
  log.isFull = false
  assert.equal(store.put('configmaps', 'odd/a', body('a', 'red', 3)).version, before.version + 1)
})
