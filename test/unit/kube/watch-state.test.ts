import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from '../../../src/kube/client.ts'
import { callError, type KubeCode, type KubeError } from '../../../src/kube/errors.ts'
import { Store } from '../../../src/kube/store.ts'
import { type Step, WatchState, watchTimes } from '../../../src/kube/watch-state.ts'
import { type FakeObject, FakeObjects, FakeRefusal } from '../../support/fake-objects.ts'
import { configMaps, fakeKinds, type Note } from '../../support/kube-kinds.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

const name = {
  verb: 'watch',
  resource: 'configmaps',
  name: '',
  namespace: 'ns',
  server: 'https://api:6443',
}

/** `status` 0: there was no answer. */
const failure = (code: KubeCode, status = 0, retryAfterMs = 0): KubeError =>
  callError(name, code, 'it failed', { status, retryAfterMs })

function raw(noteName: string, version: number, text = 'text'): unknown {
  const metadata = { namespace: 'ns', name: noteName, uid: `u-${noteName}` }
  return { metadata: { ...metadata, resourceVersion: String(version) }, data: { text } }
}

const frame = (type: string, object: unknown): string => JSON.stringify({ type, object })
const page = (items: unknown[], version: number, continueToken = ''): Page => ({
  items,
  resourceVersion: String(version),
  continueToken,
})

/** A state with a clock of its own and half the randomness. */
function setUp(random = () => 0.5) {
  const store = new Store<Note>(configMaps)
  const state = new WatchState(0, store, name, random)
  const names = () => store.list().map(({ meta }) => meta.name)
  const kinds = (nowMs: number): Step['kind'] => state.next(nowMs).kind
  /** Lists nothing and opens the watch, all at one instant. */
  const open = (nowMs: number, items: unknown[] = [], version = 10) => {
    assert.equal(kinds(nowMs), 'list')
    state.page(nowMs, page(items, version))
    assert.equal(kinds(nowMs), 'watch')
    state.opened(nowMs)
  }
  return { store, state, names, open }
}

test('a list in pages fills the store at its end, and a watch goes on from its version', () => {
  const { store, state, names } = setUp()
  assert.deepEqual(state.next(0), { kind: 'list', limit: 500, continueToken: '' })
  assert.equal(state.page(1, page([raw('a', 3)], 10, 'more')), false)
  assert.deepEqual([store.synced, names()], [false, []])
  assert.deepEqual(state.next(1), { kind: 'list', limit: 500, continueToken: 'more' })
  assert.equal(state.page(2, page([raw('b', 4)], 10)), true)
  assert.deepEqual([store.synced, names()], [true, ['a', 'b']])
  assert.deepEqual(state.next(2), { kind: 'watch', resourceVersion: '10', timeoutSeconds: 300 })
  assert.equal(state.status().state, 'syncing')
  state.opened(3)
  assert.deepEqual(state.status(), { state: 'synced', sinceMs: 3 })
})

test('frames change the store, and a cut watch resumes where the last frame was', () => {
  const { state, names, open } = setUp()
  open(0, [raw('a', 3)])
  assert.equal(state.frame(1, frame('ADDED', raw('b', 11))), true)
  assert.equal(state.frame(2, frame('DELETED', raw('a', 12))), true)
  assert.equal(state.frame(3, frame('BOOKMARK', { metadata: { resourceVersion: '20' } })), false)
  assert.deepEqual(names(), ['b'])
  state.failed(60_000, failure('UNAVAILABLE'))
  const status = state.status()
  assert.deepEqual(
    [status.state, 'attempts' in status && status.attempts, status.sinceMs],
    ['retrying', 1, 60_000],
  )
  // Half of a second's fifth to whole.
  assert.deepEqual(state.next(60_000), { kind: 'wait', untilMs: 60_600 })
  const step = state.next(60_600)
  assert.deepEqual([step.kind, 'resourceVersion' in step && step.resourceVersion], ['watch', '20'])
  state.opened(60_700)
  assert.deepEqual(state.status(), { state: 'synced', sinceMs: 60_700 })
})

test('the same version again is no change', () => {
  const { state, open } = setUp()
  open(0, [raw('a', 3)])
  assert.equal(state.frame(1, frame('MODIFIED', raw('a', 3))), false)
  assert.equal(state.frame(1, frame('DELETED', raw('z', 12))), false)
})

test('410 as a status and as an event: list again, what is gone is removed', () => {
  const gone = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' }
  const ways: ((state: WatchState<Note>, nowMs: number) => void)[] = [
    (state, nowMs) => state.failed(nowMs, failure('GONE', 410)),
    (state, nowMs) => state.frame(nowMs, frame('ERROR', gone)),
  ]
  for (const tell of ways) {
    const { store, state, names, open } = setUp()
    open(0, [raw('a', 3), raw('b', 4)])
    tell(state, 60_000)
    assert.equal(state.isFollowing, false)
    // No failure: the world that is known stays, and the list comes after a moment of chance.
    assert.deepEqual(state.status(), { state: 'syncing', sinceMs: 60_000 })
    assert.deepEqual([store.synced, names()], [true, ['a', 'b']])
    assert.deepEqual(state.next(60_000), { kind: 'wait', untilMs: 60_500 })
    assert.equal(state.next(60_500).kind, 'list')
    assert.equal(state.page(60_500, page([raw('b', 4)], 90)), true)
    assert.deepEqual(names(), ['b'])
  }
})

test('410 again and again is waited for longer and longer', () => {
  const { state } = setUp()
  const delays: number[] = []
  let nowMs = 0
  for (let round = 0; round < 5; round++) {
    assert.equal(state.next(nowMs).kind, 'list')
    state.page(nowMs, page([], 10))
    assert.equal(state.next(nowMs).kind, 'watch')
    state.failed(nowMs, failure('GONE', 410))
    const step = state.next(nowMs)
    assert.ok(step.kind === 'wait')
    delays.push(step.untilMs - nowMs)
    nowMs = step.untilMs
  }
  assert.deepEqual(delays, [600, 1200, 2400, 4800, 9600])
})

test('410 within a list: it begins anew, in one piece', () => {
  const { state, names } = setUp()
  state.next(0)
  state.page(0, page([raw('a', 1)], 10, 'more'))
  state.next(0)
  state.failed(0, failure('GONE', 410))
  assert.deepEqual(state.next(600), { kind: 'list', limit: undefined, continueToken: '' })
  state.page(600, page([raw('b', 2)], 20))
  assert.deepEqual(names(), ['b'])
})

test('frames that are none end the connection, and nothing of them is believed', () => {
  const rows: readonly string[] = [
    'no json',
    '[]',
    '{}',
    '"ADDED"',
    frame('ADDED', {}),
    frame('ADDED', { metadata: { name: 'x' } }),
    frame('ADDED', { metadata: { resourceVersion: '12' } }),
    frame('BOOKMARK', { metadata: {} }),
    frame('RENAMED', raw('x', 12)),
    frame('ERROR', 'what'),
  ]
  for (const row of rows) {
    const { state, names, open } = setUp()
    open(0, [raw('a', 3)])
    assert.equal(state.frame(1, row), false, row)
    assert.equal(state.isFollowing, false, row)
    assert.equal(state.frame(1, frame('ADDED', raw('b', 13))), false)
    assert.deepEqual(names(), ['a'])
    const step = state.next(10_000)
    assert.equal('resourceVersion' in step && step.resourceVersion, '10', row)
  }
})

test('three watches that the server breaks, and the version is no longer believed', () => {
  const { state, open } = setUp()
  open(0)
  const steps: string[] = []
  let nowMs = 0
  for (let attempt = 0; attempt < 4; attempt++) {
    state.failed(nowMs, failure('UNAVAILABLE', 504))
    nowMs += 60_000
    const step = state.next(nowMs)
    steps.push(step.kind)
  }
  assert.deepEqual(steps, ['watch', 'watch', 'list', 'list'])
})

test('an outage, however long, ends with a watch: on return nothing is listed', () => {
  const { state, open } = setUp()
  open(0)
  state.failed(60_000, failure('UNAVAILABLE'))
  let nowMs = 60_000
  const delays: number[] = []
  for (let attempt = 0; attempt < 12; attempt++) {
    const wait = state.next(nowMs)
    assert.ok(wait.kind === 'wait')
    delays.push(wait.untilMs - nowMs)
    nowMs = wait.untilMs
    assert.equal(state.next(nowMs).kind, 'watch')
    state.failed(nowMs, failure('UNAVAILABLE', attempt % 2 === 0 ? 0 : 503))
  }
  assert.deepEqual(delays.slice(0, 6), [600, 1200, 2400, 4800, 9600, 12_000])
  assert.equal(Math.max(...delays), 12_000)
  const status = state.status()
  assert.deepEqual([status.sinceMs, 'attempts' in status && status.attempts], [60_000, 13])
})

test('the waits of many watches are spread', () => {
  const random = seededRandom(7)
  const untilMs = Array.from({ length: 200 }, () => {
    const { state, open } = setUp(random)
    open(0)
    state.failed(60_000, failure('UNAVAILABLE'))
    const step = state.next(60_000)
    return step.kind === 'wait' ? step.untilMs : 0
  })
  const perTenth = new Map<number, number>()
  for (const ms of untilMs) {
    const tenth = Math.floor(ms / 100)
    perTenth.set(tenth, (perTenth.get(tenth) ?? 0) + 1)
  }
  assert.ok(perTenth.size >= 8, `in ${perTenth.size} tenths of a second`)
  assert.ok(Math.max(...perTenth.values()) < 60, [...perTenth.values()].join())
})

test('what the server says about when to come back is kept to, within reason', () => {
  const rows: readonly [number, number][] = [
    [0, 600],
    [5000, 5000],
    [3_600_000, 60_000],
  ]
  for (const [retryAfterMs, expected] of rows) {
    const { state } = setUp()
    state.next(0)
    state.failed(0, failure('UNAVAILABLE', 429, retryAfterMs))
    assert.deepEqual(state.next(0), { kind: 'wait', untilMs: expected })
  }
})

test('a silent watch is taken for dead and resumed at once, bookmarks keep it alive', () => {
  const { state, open } = setUp()
  open(0)
  assert.equal(state.silentAtMs(), watchTimes.silenceMs)
  state.frame(60_000, frame('BOOKMARK', { metadata: { resourceVersion: '50' } }))
  state.tick(120_000)
  assert.equal(state.isFollowing, true)
  state.tick(150_000)
  assert.equal(state.isFollowing, false)
  assert.equal(state.silentAtMs(), Number.NEGATIVE_INFINITY)
  // The end of the stream, when it comes, is nobody's failure.
  state.failed(150_001, failure('UNAVAILABLE'))
  const step = state.next(150_001)
  assert.deepEqual([step.kind, 'resourceVersion' in step && step.resourceVersion], ['watch', '50'])
})

test('a server that does not end a watch in time is not waited for', () => {
  const { state, open } = setUp()
  open(0)
  for (let nowMs = 0; nowMs < 315_000; nowMs += 1000) {
    state.frame(nowMs, frame('BOOKMARK', { metadata: { resourceVersion: String(nowMs + 10) } }))
    state.tick(nowMs)
    assert.ok(state.isFollowing)
  }
  state.tick(315_000)
  assert.equal(state.isFollowing, false)
})

test('a watch that ends in its time is resumed at once; one that ends at once is a failure', () => {
  const rows: readonly [number, number, string][] = [
    [300_000, 0, 'synced'],
    // Early, but it was a good one: others may have been ended with it.
    [60_000, 500, 'synced'],
    [20, 600, 'retrying'],
  ]
  for (const [livedMs, delayMs, expected] of rows) {
    const { state, open } = setUp()
    open(0)
    state.frame(livedMs - 1, frame('BOOKMARK', { metadata: { resourceVersion: '50' } }))
    state.ended(livedMs)
    assert.equal(state.status().state, expected)
    const step = state.next(livedMs)
    const untilMs = step.kind === 'wait' ? step.untilMs : livedMs
    assert.equal(untilMs - livedMs, delayMs)
  }
})

test('a server that accepts and cuts is asked ever more rarely', () => {
  const { state, open } = setUp()
  open(0)
  let nowMs = 0
  let asked = 0
  while (nowMs < 600_000) {
    state.ended(nowMs + 5)
    let step = state.next(nowMs + 5)
    assert.ok(step.kind === 'wait')
    nowMs = step.untilMs
    step = state.next(nowMs)
    asked++
    if (step.kind === 'list') {
      state.page(nowMs, page([], 10))
      state.next(nowMs)
    }
    state.opened(nowMs)
  }
  assert.ok(asked < 60, `${asked} requests in ten minutes`)
})

test('an object that does not parse is a problem until it is repaired or deleted', () => {
  const { store, state, names, open } = setUp()
  open(0, [raw('a', 3), raw('b', 4, 'bad one'), raw('c', 5), { metadata: {} }])
  assert.deepEqual(names(), ['a', 'c'])
  const problem = (noteName: string, text: string) => ({
    kind: 'ConfigMap',
    namespace: noteName === '' ? '' : 'ns',
    name: noteName,
    problem: text,
  })
  assert.deepEqual(store.problems(), [
    problem('', 'it has no metadata.name'),
    problem('b', 'the text is bad one'),
  ])
  state.frame(1, frame('MODIFIED', raw('c', 11, 'bad too')))
  assert.deepEqual([names(), store.problems().length], [['a'], 3])
  state.frame(2, frame('MODIFIED', raw('c', 12, 'good')))
  state.frame(3, frame('DELETED', raw('b', 13, 'bad one')))
  assert.deepEqual([names(), store.problems().length], [['a', 'c'], 1])
  state.failed(60_000, failure('GONE', 410))
  state.next(61_000)
  state.page(61_000, page([raw('a', 3)], 90))
  assert.deepEqual([names(), store.problems()], [['a'], []])
})

test('a list without end is given up', () => {
  const { state } = setUp()
  state.next(0)
  let pages = 0
  while (state.status().state !== 'retrying') {
    state.page(0, page([], 10, 'more'))
    if (state.status().state !== 'retrying') state.next(0)
    assert.ok(++pages < 200_000)
  }
  assert.ok(pages > 10_000)
})

/**
 * A server and a watch of it in virtual time: changes, compactions and everything that can go wrong with
 * a request, at random. When the faults cease, the store must become what the server has.
 */
test('random faults and random changes: in the end the store equals the server', () => {
  const seed = testSeed()
  for (let round = 0; round < 60; round++) {
    const random = seededRandom(seed + round)
    try {
      runWorld(random)
    } catch (error) {
      throw new Error(`HAWSER_SEED=${seed}, round ${round}`, { cause: error })
    }
  }
})

function runWorld(random: () => number): void {
  const world = new World(random)
  for (let count = 0; count < 400; count++) {
    if (random() < 0.5) world.change()
    world.turn(0.3)
  }
  // A last change, so that nothing may rest on an old bookmark.
  world.change()
  world.comeToRest()
  assert.deepEqual(world.held(), world.there())
}

class World {
  readonly #random: () => number
  readonly #objects = new FakeObjects(fakeKinds)
  readonly #kind = this.#objects.find('', 'v1', 'configmaps')
  readonly #query = { namespace: 'ns', labelSelector: '', fieldSelector: '' }
  readonly #store = new Store<Note>(configMaps)
  readonly #state: WatchState<Note>
  #nowMs = 0
  /** How far the server has sent. */
  #sentVersion = 0

  constructor(random: () => number) {
    this.#random = random
    this.#state = new WatchState(0, this.#store, name, random)
  }

  change(): void {
    const noteName = `n${this.#upTo(12)}`
    const text = this.#random() < 0.2 ? 'bad' : `t${this.#upTo(100)}`
    const body = { metadata: { namespace: 'ns', name: noteName }, data: { text } }
    const all = this.#objects.select(this.#kind, this.#query)
    const exists = all.some(({ metadata }) => metadata.name === noteName)
    if (!exists) this.#objects.create(this.#kind, 'ns', body)
    else if (this.#random() < 0.3) this.#objects.delete(this.#kind, 'ns', noteName)
    else this.#objects.update(this.#kind, 'ns', noteName, body, 'main')
    if (this.#random() < 0.05) this.#objects.compact()
  }

  turn(faults: number): void {
    this.#nowMs += this.#random() * 3000
    const isFault = this.#random() < faults
    if (this.#state.isFollowing) {
      if (isFault) this.#breakWatch()
      else this.#deliver()
      return
    }
    const step = this.#state.next(this.#nowMs)
    if (step.kind === 'wait') return
    if (isFault) this.#refuse()
    else if (step.kind === 'list') this.#list(step)
    else this.#watch(step.resourceVersion)
  }

  comeToRest(): void {
    const { version } = this.#objects
    for (let turns = 0; !this.#state.isFollowing || this.#sentVersion < version; turns++) {
      this.turn(0)
      assert.ok(turns < 1000, 'it never comes to rest')
    }
  }

  held() {
    const versions = this.#store.list().map(({ meta }) => `${meta.name} ${meta.resourceVersion}`)
    return { versions: versions.sort(), bad: this.#store.problems().map(one => one.name) }
  }

  there() {
    const all = this.#objects.select(this.#kind, this.#query)
    const isBad = (object: FakeObject) => JSON.stringify(object['data']).includes('bad')
    const versions = all
      .filter(object => !isBad(object))
      .map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`)
    return { versions: versions.sort(), bad: all.filter(isBad).map(one => one.metadata.name) }
  }

  #list({ limit = 0, continueToken }: Step & { kind: 'list' }): void {
    this.#orGone(() => {
      const most = Math.min(limit, 3)
      const answer = this.#objects.page(this.#kind, this.#query, most, continueToken)
      const { items, version, continueToken: more } = answer
      this.#state.page(this.#nowMs, page(items, version, more))
    })
  }

  #watch(version: string): void {
    this.#sentVersion = Number(version)
    this.#orGone(() => {
      this.#objects.since(this.#kind, this.#query, this.#sentVersion)
      this.#state.opened(this.#nowMs)
    })
  }

  #deliver(): void {
    try {
      const events = this.#objects.since(this.#kind, this.#query, this.#sentVersion)
      for (const { type, object } of events) this.#state.frame(this.#nowMs, frame(type, object))
      this.#sentVersion = this.#objects.version
      const metadata = { resourceVersion: String(this.#sentVersion) }
      this.#state.frame(this.#nowMs, frame('BOOKMARK', { metadata }))
    } catch (error) {
      assert.ok(error instanceof FakeRefusal)
      const status = { kind: 'Status', code: 410, reason: 'Expired' }
      this.#state.frame(this.#nowMs, frame('ERROR', status))
    }
  }

  #breakWatch(): void {
    const way = this.#upTo(4)
    if (way === 0) this.#state.failed(this.#nowMs, failure('UNAVAILABLE'))
    else if (way === 1) this.#state.frame(this.#nowMs, '{"type":"ADDED","object":{"me')
    else if (way === 2) this.#state.ended(this.#nowMs)
    // Silent: what happens meanwhile is not heard, until the watchdog looks.
    else this.#nowMs += 95_000
    this.#state.tick(this.#nowMs)
  }

  #refuse(): void {
    const codes = ['UNAVAILABLE', 'UNAUTHORIZED', 'CERTIFICATE', 'BAD_ANSWER', 'GONE'] as const
    const status = this.#random() < 0.5 ? 500 : 0
    this.#state.failed(this.#nowMs, failure(codes[this.#upTo(codes.length)], status))
  }

  #orGone(answer: () => void): void {
    try {
      answer()
    } catch (error) {
      assert.ok(error instanceof FakeRefusal)
      this.#state.failed(this.#nowMs, failure('GONE', 410))
    }
  }

  #upTo(limit: number): number {
    return Math.floor(this.#random() * limit)
  }
}
