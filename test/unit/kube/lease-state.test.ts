import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type KubeCode, KubeError } from '../../../src/kube/errors.ts'
import { leaseTimes } from '../../../src/kube/lease-record.ts'
import { type LeaseOptions, LeaseState, type LeaseStep } from '../../../src/kube/lease-state.ts'
import { FakeLease } from '../../support/fake-lease.ts'

const failure = (code: KubeCode): KubeError => new KubeError(code, `it is ${code}`)

/** A candidate `me` and a lease, both in hand. */
class Bench {
  readonly lease = new FakeLease()
  readonly state: LeaseState
  nowMs = 0
  /** How the API is: an error for every request, or none. */
  trouble: KubeCode | undefined
  readonly asked: string[] = []
  #version = 0

  constructor(more: Partial<LeaseOptions> = {}) {
    this.state = new LeaseState(0, { identity: 'me', random: () => 0, ...more })
  }

  /** Lets time pass; every request is answered at once. */
  run(untilMs: number): void {
    for (let steps = 0; ; steps++) {
      assert.ok(steps < 10_000, 'it asks in a circle')
      const step = this.state.next(this.nowMs)
      if (step.kind === 'end') break
      if (step.kind !== 'wait') this.#answer(step)
      else if (step.untilMs > untilMs) break
      else this.nowMs = step.untilMs
    }
    this.nowMs = untilMs
    this.state.tick(untilMs)
  }

  #answer(step: LeaseStep & { kind: 'read' | 'write' }): void {
    this.asked.push(`${this.nowMs} ${step.kind}`)
    if (this.trouble !== undefined) this.state.failed(this.nowMs, failure(this.trouble))
    else if (step.kind === 'read') {
      this.#version = this.lease.version
      this.state.read(this.nowMs, this.lease.record)
    } else {
      const record = this.lease.write(step.lease, this.#version)
      if (record === undefined) this.state.failed(this.nowMs, failure('CONFLICT'))
      else {
        this.#version = this.lease.version
        this.state.wrote(this.nowMs, record)
      }
    }
  }

  /** The lease of another gateway. */
  other(epoch = 4, holder = 'other'): void {
    this.lease.set({ holder, epoch, durationMs: 15_000, annotations: {} })
  }

  get now(): string {
    const leadership = this.state.leadership()
    const detail = leadership.state === 'standby' ? leadership.holder : leadership.epoch
    return `${leadership.state} ${detail}`
  }
}

/** Leads since instant 0, in epoch 0. */
function leader(): Bench {
  const bench = new Bench()
  bench.run(0)
  assert.equal(bench.now, 'leader 0')
  return bench
}

test('a lease that is not there, released or ours is taken at once', () => {
  const rows: readonly [string | undefined, number, string][] = [
    [undefined, 0, 'leader 0'],
    ['', 4, 'leader 5'],
    ['me', 4, 'leader 4'],
  ]
  for (const [holder, epoch, expected] of rows) {
    const bench = new Bench()
    if (holder !== undefined) bench.other(epoch, holder)
    bench.run(0)
    assert.equal(bench.now, expected)
    assert.deepEqual(bench.asked, ['0 read', '0 write'])
    assert.equal(bench.lease.record?.holder, 'me')
  }
})

test('a leader renews every two seconds with one request', () => {
  const bench = leader()
  bench.asked.length = 0
  bench.run(8000)
  assert.deepEqual(bench.asked, ['2000 write', '4000 write', '6000 write', '8000 write'])
  const leadership = bench.state.leadership()
  assert.ok(leadership.state === 'leader')
  assert.deepEqual([leadership.sinceMs, leadership.renewedAtMs], [0, 8000])
})

test("another's lease is taken when it has not changed for its duration while we looked", () => {
  const bench = new Bench()
  bench.other()
  bench.run(10_000)
  // It is renewed: whatever times stand in it, it counts from when we see the change.
  bench.other()
  bench.run(26_999)
  assert.equal(bench.now, 'standby other')
  bench.run(27_000)
  assert.equal(bench.now, 'leader 5')
  assert.ok(bench.asked.length <= 17, `${bench.asked.length} requests`)
})

test('the duration that counts is the one that its holder has written', () => {
  const bench = new Bench()
  bench.lease.set({ holder: 'other', epoch: 1, durationMs: 40_000, annotations: {} })
  bench.run(39_000)
  assert.equal(bench.now, 'standby other')
  bench.run(40_000)
  assert.equal(bench.now, 'leader 2')
})

test('a leader that finds another one in its place stops at once', () => {
  const bench = leader()
  bench.other(1)
  bench.run(2000)
  assert.equal(bench.now, 'standby other')
  assert.deepEqual(bench.asked.slice(-2), ['2000 write', '2000 read'])
})

test('an annotation of somebody else costs a race and not the lease', () => {
  const bench = leader()
  const { record } = bench.lease
  assert.ok(record !== undefined)
  bench.lease.set({ ...record, annotations: { theirs: '1' } })
  bench.run(2000)
  assert.equal(bench.now, 'leader 0')
  bench.state.carry({ ours: '2' })
  bench.run(4000)
  assert.deepEqual(bench.lease.record?.annotations, { theirs: '1', ours: '2' })
  bench.state.carry({ ours: '3' })
  bench.run(6000)
  assert.deepEqual(bench.state.annotations(), { theirs: '1', ours: '3' })
})

test('a successor finds what the holder carried', () => {
  const bench = new Bench()
  const annotations = { stamp: '40000000' }
  bench.lease.set({ holder: '', epoch: 1, durationMs: 15_000, annotations })
  bench.run(0)
  assert.equal(bench.now, 'leader 2')
  assert.deepEqual(bench.state.annotations(), annotations)
  assert.deepEqual(bench.lease.record?.annotations, annotations)
})

test('an API that refuses takes the leadership after ten seconds, counted from the sending', () => {
  for (const code of ['FORBIDDEN', 'UNAUTHORIZED', 'INVALID', 'NO_CREDENTIALS'] as const) {
    const bench = leader()
    bench.run(4000)
    bench.trouble = code
    bench.run(13_999)
    assert.equal(bench.now, 'leader 0', code)
    bench.run(14_000)
    const leadership = bench.state.leadership()
    assert.ok(leadership.state === 'standby', code)
    assert.equal(leadership.error?.code, code)
    // Nor does it lead when the API goes away after that: somebody else may lead by now.
    bench.trouble = 'UNAVAILABLE'
    bench.run(100_000)
    assert.equal(bench.now, 'standby me', code)
    bench.trouble = undefined
    bench.run(110_000)
    assert.equal(bench.now, 'leader 0', code)
  }
})

test('an API that is away does not: the last holder goes on', () => {
  for (const code of ['UNAVAILABLE', 'CERTIFICATE', 'BAD_ANSWER'] as const) {
    const bench = leader()
    bench.trouble = code
    bench.run(9999)
    assert.equal(bench.now, 'leader 0')
    bench.run(3_600_000)
    const leadership = bench.state.leadership()
    assert.ok(leadership.state === 'leader-without-api')
    assert.deepEqual([leadership.sinceMs, leadership.error.code], [10_000, code])
    assert.ok(bench.asked.length < 2000, `${bench.asked.length} requests in an hour`)
    bench.trouble = undefined
    bench.run(3_603_000)
    assert.equal(bench.now, 'leader 0')
  }
})

/** Leads without the API since instant 10 000. */
function alone(): Bench {
  const bench = leader()
  bench.trouble = 'UNAVAILABLE'
  bench.run(20_000)
  assert.equal(bench.now, 'leader-without-api 0')
  return bench
}

test('who leads without the API ends with a successor, heard or read', () => {
  const heard = alone()
  heard.state.hearHolder(heard.nowMs, 0)
  assert.equal(heard.now, 'leader-without-api 0', 'an echo of ourselves is no successor')
  heard.state.hearHolder(heard.nowMs, 1)
  assert.equal(heard.now, 'standby me')
  heard.run(100_000)
  assert.equal(heard.now, 'standby me', 'the API is still away')

  const told = alone()
  told.state.hearSuccessor(told.nowMs)
  told.run(100_000)
  assert.equal(told.now, 'standby me')
  const leads = leader()
  leads.state.hearSuccessor(0)
  assert.equal(leads.now, 'leader 0', 'who has the lease knows better')

  const read = alone()
  read.other(1)
  read.trouble = undefined
  read.run(23_000)
  assert.equal(read.now, 'standby other')

  // The successor is gone already, too: it is taken, but as a new one.
  const free = alone()
  free.other(3, '')
  free.trouble = undefined
  free.run(23_000)
  assert.equal(free.now, 'leader 4')
})

test('an API that comes back and refuses ends it after ten seconds', () => {
  const bench = alone()
  bench.trouble = 'FORBIDDEN'
  bench.run(29_000)
  assert.equal(bench.now, 'leader-without-api 0')
  bench.run(33_000)
  assert.equal(bench.now, 'standby me')
})

test('a start without the API: the last holder leads after ten seconds, nobody else does', () => {
  const held = new Bench({ heldEpoch: 7 })
  held.trouble = 'UNAVAILABLE'
  held.run(9999)
  assert.equal(held.now, 'standby undefined')
  held.run(10_000)
  assert.equal(held.now, 'leader-without-api 7')
  held.other(8)
  held.trouble = undefined
  held.run(20_000)
  assert.equal(held.now, 'standby other')

  const other = new Bench()
  other.trouble = 'UNAVAILABLE'
  other.run(3_600_000)
  assert.equal(other.now, 'standby undefined')
})

test("what was ours is not gone on with once it was somebody else's", () => {
  const bench = new Bench({ heldEpoch: 7 })
  bench.other(9, '')
  assert.equal(bench.state.next(0).kind, 'read')
  bench.state.read(0, bench.lease.record)
  bench.trouble = 'UNAVAILABLE'
  bench.run(100_000)
  assert.equal(bench.now, 'standby ')
})

test('no crash take-over without the API: a standby stays one', () => {
  const bench = new Bench()
  bench.other()
  bench.run(5000)
  bench.trouble = 'UNAVAILABLE'
  bench.run(600_000)
  const leadership = bench.state.leadership()
  assert.ok(leadership.state === 'standby')
  assert.deepEqual([leadership.holder, leadership.error?.code], ['other', 'UNAVAILABLE'])
  // Its holder could not renew either, and gets a whole duration to do it. (It had 5 s before.)
  bench.trouble = undefined
  bench.run(610_000)
  assert.equal(bench.now, 'standby other')
  bench.other()
  bench.run(624_000)
  assert.equal(bench.now, 'standby other')
  bench.run(630_000)
  assert.equal(bench.now, 'leader 5')
})

test('an API that is away now and then does not keep a dead holder in office', () => {
  const bench = new Bench()
  bench.other()
  for (let untilMs = 0; untilMs < 60_000; untilMs += 4000) {
    bench.trouble = untilMs % 12_000 === 0 && untilMs > 0 ? 'UNAVAILABLE' : undefined
    bench.run(untilMs)
  }
  assert.equal(bench.now, 'leader 5')
})

test('a silent holder is not waited for, if it had been heard', () => {
  const bench = new Bench()
  bench.other()
  bench.run(1000)
  bench.state.hearNothingOf(1000, 'other')
  bench.run(1500)
  assert.equal(bench.now, 'standby other', 'it was never heard: perhaps we are the deaf one')
  bench.state.hearNothingOf(1500, undefined)
  bench.state.hearHolder(1500, 4)
  // It renewed meanwhile: the version that was read is not the last one.
  bench.other()
  bench.state.hearNothingOf(1600, 'other')
  bench.run(1600)
  assert.equal(bench.now, 'leader 5')
  // Who took it is not silent with its predecessor.
  bench.other(6, 'third')
  bench.run(10_000)
  assert.equal(bench.now, 'standby third')
})

test('a leader that hears of a successor looks, and stops when it cannot', () => {
  const rumour = leader()
  rumour.state.hearHolder(500, 1)
  rumour.run(500)
  assert.equal(rumour.now, 'leader 0', 'the lease says otherwise')

  const replaced = leader()
  replaced.other(1)
  replaced.state.hearHolder(500, 1)
  replaced.run(500)
  assert.equal(replaced.now, 'standby other')

  const blind = leader()
  blind.trouble = 'UNAVAILABLE'
  blind.state.hearHolder(500, 1)
  blind.run(500)
  assert.equal(blind.now, 'standby me')
  blind.run(100_000)
  assert.equal(blind.now, 'standby me')
})

test('a lease that somebody deletes is made again, and epochs do not repeat', () => {
  const bench = new Bench()
  bench.other(6, '')
  bench.run(0)
  assert.equal(bench.now, 'leader 7')
  bench.lease.remove()
  bench.run(2000)
  assert.equal(bench.now, 'leader 8')
  assert.equal(bench.lease.record?.epoch, 8)
})

test('a process that stood still for too long has no right, and looks before it leads again', () => {
  const same = leader()
  same.nowMs = 60_000
  same.state.tick(60_000)
  assert.equal(same.now, 'standby me')
  same.run(60_000)
  assert.equal(same.now, 'leader 0')

  const replaced = leader()
  replaced.other(1)
  replaced.nowMs = 60_000
  replaced.run(60_000)
  assert.equal(replaced.now, 'standby other')
})

test('no request of a leader outlasts its right', () => {
  const state = new LeaseState(0, { identity: 'me', random: () => 0 })
  assert.deepEqual(state.next(0), { kind: 'read', limitMs: 5000 })
  state.read(0, undefined)
  const step = state.next(0)
  assert.ok(step.kind === 'write')
  const { isNewHolder: _, ...rest } = step.lease
  state.wrote(3000, { ...rest, stamp: 'x' })
  const second = state.next(8000)
  assert.deepEqual([second.kind, 'limitMs' in second && second.limitMs], ['write', 2000])
})

test('races without end are no circle', () => {
  const bench = leader()
  bench.trouble = 'CONFLICT'
  bench.run(20_000)
  assert.ok(bench.asked.length < 60, `${bench.asked.length} requests in twenty seconds`)
  assert.equal(bench.now, 'standby me')
})

test('a release lets a standby in at once; without a lease there is nothing to release', () => {
  const bench = leader()
  bench.state.carry({ stamp: '1' })
  bench.run(1000)
  bench.state.release()
  bench.run(1000)
  const { record } = bench.lease
  assert.deepEqual([record?.holder, record?.epoch, record?.durationMs], ['', 0, 1000])
  assert.deepEqual(record?.annotations, { stamp: '1' })
  assert.deepEqual(bench.state.next(1000), { kind: 'end' })
  assert.match(bench.now, /^standby/)

  for (const make of [() => new Bench(), alone]) {
    const other = make()
    other.state.release()
    assert.deepEqual(other.state.next(other.nowMs), { kind: 'end' })
    assert.match(other.now, /^standby/)
  }

  const failing = leader()
  failing.trouble = 'UNAVAILABLE'
  failing.state.release()
  failing.run(1000)
  assert.deepEqual([failing.state.next(1000).kind, failing.lease.record?.holder], ['end', 'me'])
})

test('times that do not fit each other are a mistake', () => {
  const rows = [
    { ...leaseTimes, renewDeadlineMs: 15_000 },
    { ...leaseTimes, retryPeriodMs: 10_000 },
  ]
  for (const times of rows) {
    const make = () => new LeaseState(0, { identity: 'me', random: () => 0, times })
    assert.throws(make, { name: 'AssertionError' })
  }
})
