// Elections of several gateways in virtual time. Each has a clock of its own (another zero, a rate up to
// 3 % off); requests and answers take time and get lost; gateways are cut off from the API, stand still
// and start again. What must hold: never two leaders with a lease at one instant, whatever happens; and
// when all is well again, soon exactly one.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KubeError } from '../../../src/kube/errors.ts'
import type { LeaseRecord } from '../../../src/kube/lease-record.ts'
import { LeaseState, type LeaseStep } from '../../../src/kube/lease-state.ts'
import { FakeLease } from '../../support/fake-lease.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

const tickMs = 50

interface Request {
  readonly step: LeaseStep & { kind: 'read' | 'write' }
  /** When the server sees it; Infinity when it is lost. */
  readonly arrivesMs: number
  /** When the answer is back; when it is too late, the limit comes first. */
  readonly answersMs: number
  readonly limitAtMs: number
  readonly version: number
  answer: LeaseRecord | 'absent' | 'conflict' | 'none'
}

class Candidate {
  readonly identity: string
  readonly #lease: FakeLease
  readonly #random: () => number
  readonly #offsetMs: number
  readonly #rate: number
  state: LeaseState
  isCutOff = false
  /** Of a request or an answer, at most; most take far less. */
  travelMostMs = 200
  stillUntilMs = 0
  #request: Request | undefined
  #version = 0
  #readVersion = 0

  constructor(identity: string, lease: FakeLease, random: () => number) {
    this.identity = identity
    this.#lease = lease
    this.#random = random
    this.#offsetMs = random() * 1e9
    this.#rate = 0.97 + 0.06 * random()
    this.state = this.#newState(0)
  }

  /** The machine starts again; it has, or has not, kept its epoch on disk. */
  restart(nowMs: number): void {
    const leadership = this.state.leadership()
    const held = leadership.state === 'standby' ? undefined : leadership.epoch
    this.#request = undefined
    this.state = this.#newState(nowMs, this.#random() < 0.5 ? held : undefined)
  }

  turn(nowMs: number): void {
    if (nowMs < this.stillUntilMs) return
    const own = this.#own(nowMs)
    if (this.#request !== undefined) {
      this.#follow(nowMs, this.#request)
      return
    }
    const step = this.state.next(own)
    if (step.kind === 'read' || step.kind === 'write') this.#send(nowMs, step)
  }

  isLeader(nowMs: number): boolean {
    if (nowMs < this.stillUntilMs) return false
    this.state.tick(this.#own(nowMs))
    return this.state.leadership().state === 'leader'
  }

  #newState(nowMs: number, heldEpoch?: number): LeaseState {
    return new LeaseState(this.#own(nowMs), {
      identity: this.identity,
      random: this.#random,
      ...(heldEpoch === undefined ? {} : { heldEpoch }),
    })
  }

  #own(nowMs: number): number {
    return this.#offsetMs + nowMs * this.#rate
  }

  #send(nowMs: number, step: LeaseStep & { kind: 'read' | 'write' }): void {
    const travelMs = () => this.#random() ** 6 * this.travelMostMs
    const isLost = this.isCutOff && this.#random() < 0.9
    const arrivesMs = isLost ? Number.POSITIVE_INFINITY : nowMs + travelMs()
    this.#request = {
      step,
      arrivesMs,
      answersMs: this.isCutOff ? Number.POSITIVE_INFINITY : arrivesMs + travelMs(),
      limitAtMs: nowMs + step.limitMs / this.#rate,
      version: this.#readVersion,
      answer: 'none',
    }
  }

  #follow(nowMs: number, request: Request): void {
    if (request.answer === 'none' && nowMs >= request.arrivesMs) this.#serve(request)
    const own = this.#own(nowMs)
    if (nowMs >= request.limitAtMs) {
      this.#request = undefined
      this.#late(request)
      this.state.failed(own, new KubeError('UNAVAILABLE', 'no answer'))
    } else if (nowMs >= request.answersMs) {
      this.#request = undefined
      this.#take(own, request)
    }
  }

  #serve(request: Request): void {
    const { step, version } = request
    if (step.kind === 'read') {
      this.#version = this.#lease.version
      request.answer = this.#lease.record ?? 'absent'
    } else {
      request.answer = this.#lease.write(step.lease, version) ?? 'conflict'
      this.#version = this.#lease.version
    }
  }

  /** A write may reach the server after we have given it up. */
  #late(request: Request): void {
    const isUnderWay = request.answer === 'none' && request.arrivesMs !== Number.POSITIVE_INFINITY
    if (isUnderWay && this.#random() < 0.5) this.#serve(request)
  }

  #take(own: number, { step, answer }: Request): void {
    if (answer === 'none') throw new Error('an answer without one')
    if (answer === 'conflict') this.state.failed(own, new KubeError('CONFLICT', 'too late'))
    else if (answer === 'absent') this.#read(own, undefined)
    else if (step.kind === 'read') this.#read(own, answer)
    else {
      this.#readVersion = this.#version
      this.state.wrote(own, answer)
    }
  }

  #read(own: number, record: LeaseRecord | undefined): void {
    this.#readVersion = this.#version
    this.state.read(own, record)
  }
}

class World {
  readonly candidates: readonly Candidate[]
  readonly #random: () => number
  nowMs = 0
  /** How often the lease was led by somebody else than before. */
  changes = 0
  #last = ''

  constructor(random: () => number) {
    const lease = new FakeLease()
    this.#random = random
    this.candidates = ['a', 'b', 'c'].map(name => new Candidate(name, lease, random))
  }

  run(forMs: number, faults: boolean): void {
    for (const endMs = this.nowMs + forMs; this.nowMs < endMs; this.nowMs += tickMs) {
      if (faults) this.#disturb()
      for (const candidate of this.candidates) candidate.turn(this.nowMs)
      const leaders = this.leaders()
      assert.ok(leaders.length <= 1, `${leaders.join(' and ')} lead at ${this.nowMs} ms`)
      if (leaders.length === 1 && leaders[0] !== this.#last) {
        this.#last = leaders[0]
        this.changes++
      }
    }
  }

  leaders(): string[] {
    return this.candidates.filter(one => one.isLeader(this.nowMs)).map(one => one.identity)
  }

  heal(): void {
    for (const candidate of this.candidates) {
      candidate.isCutOff = false
      candidate.stillUntilMs = 0
      candidate.travelMostMs = 200
    }
  }

  #disturb(): void {
    for (const candidate of this.candidates) {
      const dice = this.#random()
      if (dice < 0.002) candidate.isCutOff = !candidate.isCutOff
      else if (dice < 0.003) candidate.stillUntilMs = this.nowMs + this.#random() * 30_000
      else if (dice < 0.0035) candidate.restart(this.nowMs)
      // Now and then slower than anybody waits.
      else if (dice < 0.004) candidate.travelMostMs = this.#random() * 10_000
    }
  }
}

test('never two leaders; when all is well again, soon exactly one', () => {
  const seed = testSeed()
  let changes = 0
  for (let round = 0; round < 20; round++) {
    const world = new World(seededRandom(seed + round))
    try {
      world.run(900_000, true)
      world.heal()
      world.run(60_000, false)
      const states = world.candidates.map(({ state }) => state.leadership().state)
      assert.deepEqual(states.sort(), ['leader', 'standby', 'standby'])
    } catch (error) {
      throw new Error(`HAWSER_SEED=${seed}, round ${round}`, { cause: error })
    }
    changes += world.changes
  }
  assert.ok(changes > 60, `the lease went to another one ${changes} times`)
})

test('without faults the lease stays where it is', () => {
  const world = new World(() => 0.3)
  world.run(600_000, false)
  assert.equal(world.changes, 1)
})
