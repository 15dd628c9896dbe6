// The AEAD against node:crypto. OpenSSL's form goes through every length, because it is what
// aead-forms.test.ts compares the others with; the rest is of the forms in force.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { method } from '../../../src/tables/shared.ts'
import { emptySlots, writeSlot } from '../../support/key-slots.ts'
import { JOB, loadTestNative } from '../../support/native.ts'
import { below, chance, pick, type Random, randomBytes } from '../../support/random-superpackets.ts'
import { rounds, seededRandom, testSeed } from '../../support/rng.ts'
import { type CipherMethod, slowOpen, slowSeal } from '../../support/slow/aead.ts'

const native = loadTestNative()
const ciphers: readonly CipherMethod[] = [method.chacha20Poly1305, method.aes256Gcm]
const EBADMSG = 74
const tagBytes = 16

interface Job {
  readonly slot: number
  readonly counter: number
  readonly text: Uint8Array
}

interface Keys {
  readonly method: CipherMethod
  readonly send: Uint8Array
  readonly receive: Uint8Array
}

// The addon keeps contexts by slot and generation, from one test to the next.
let nextGeneration = 1

/** A bench of slots whose keys the test knows. */
class Bench {
  readonly form: string
  readonly slots = emptySlots()
  readonly keys = new Map<number, Keys>()

  /** Of the form by its name; '' is the one in force. */
  constructor(form = '') {
    this.form = form
  }

  key(random: Random, slot: number, code: CipherMethod): void {
    const keys = { method: code, send: randomBytes(random, 32), receive: randomBytes(random, 32) }
    this.keys.set(slot, keys)
    writeSlot(this.slots, {
      ...{ slot, method: code, generation: nextGeneration++ },
      ...{ sendKey: keys.send, receiveKey: keys.receive },
    })
  }

  of(slot: number): Keys {
    const keys = this.keys.get(slot)
    assert(keys !== undefined)
    return keys
  }

  /** Runs one batch; `texts` include their tag when opening. */
  run(seal: boolean, jobs: readonly Job[], alignment: number): { good: boolean; data: Buffer }[] {
    const room = jobs.map(({ text }) => text.length + (seal ? tagBytes : 0) + 32)
    const data = new Uint8Array(room.reduce((sum, size) => sum + size, alignment))
    const words = new Float64Array(jobs.length * JOB.WORDS)
    let offset = alignment
    const offsets = jobs.map(({ slot, counter, text }, i) => {
      const start = offset
      data.set(text, start)
      const length = text.length - (seal ? 0 : tagBytes)
      words.set([start, length, slot, counter, -1], i * JOB.WORDS)
      offset += room[i]
      return start
    })
    native.test.aead(this.form, seal, this.slots, data, words)
    return jobs.map((_, i) => ({
      good: words[i * JOB.WORDS + JOB.GOOD] === 1,
      data: Buffer.from(data.subarray(offsets[i], offsets[i] + room[i] - 32)),
    }))
  }
}

/** Checks sealing and opening of a batch against node:crypto. */
function check(bench: Bench, jobs: readonly Job[], alignment: number, note: string): void {
  const sealed = bench.run(true, jobs, alignment)
  const forOpening: Job[] = []
  jobs.forEach(({ slot, counter, text }, i) => {
    const keys = bench.of(slot)
    const expected = slowSeal(keys.method, keys.send, BigInt(counter), text)
    assert(sealed[i].good && sealed[i].data.equals(expected), `seal ${text.length}, ${note}`)
    const incoming = slowSeal(keys.method, keys.receive, BigInt(counter), text)
    forOpening.push({ slot, counter, text: incoming })
  })
  bench.run(false, forOpening, alignment).forEach(({ good, data }, i) => {
    const { text } = jobs[i]
    assert(good && data.subarray(0, text.length).equals(text), `open ${text.length}, ${note}`)
  })
}

function randomJob(random: Random, slots: number, length: number): Job {
  const counter = pick(random, [0, 1, below(random, 2 ** 32), 2 ** 53 - 1 - below(random, 9)])
  return { slot: below(random, slots), counter, text: randomBytes(random, length) }
}

for (const code of ciphers) {
  test(`method ${code}: the form in force, batches of any size and length`, () => {
    const seed = testSeed()
    const random = seededRandom(seed)
    const bench = new Bench()
    for (let slot = 0; slot < 5; slot++) bench.key(random, slot, code)
    for (let round = 0; round < rounds(60); round++) {
      const jobs = Array.from({ length: 1 + below(random, 70) }, () =>
        randomJob(random, 5, below(random, chance(random, 0.2) ? 3000 : 200)),
      )
      check(bench, jobs, below(random, 64), `seed ${seed}`)
    }
  })

  test(`method ${code}: every length to 2 048, one job at a time, at two alignments`, () => {
    const seed = testSeed()
    const random = seededRandom(seed)
    const bench = new Bench('openssl')
    for (let slot = 0; slot < 4; slot++) bench.key(random, slot, code)
    for (let length = 0; length <= 2048; length++) {
      const job = randomJob(random, 4, length)
      for (const alignment of [0, 1]) check(bench, [job], alignment, `seed ${seed}`)
    }
  })

  test(`method ${code}: every length to 2 048 in batches of 64 under several keys`, () => {
    const seed = testSeed()
    const random = seededRandom(seed)
    const bench = new Bench('openssl')
    for (let slot = 0; slot < 5; slot++) bench.key(random, slot, code)
    for (let first = 0; first <= 2048; first += 64) {
      const jobs = Array.from({ length: 64 }, (_, i) =>
        randomJob(random, 5, Math.min(first + i, 2048)),
      )
      for (const alignment of [0, 3]) check(bench, jobs, alignment, `seed ${seed}`)
    }
  })

  test(`method ${code}: one changed bit is refused, zeroed, and harms nobody else`, () => {
    const seed = testSeed()
    const random = seededRandom(seed)
    const bench = new Bench()
    for (let slot = 0; slot < 3; slot++) bench.key(random, slot, code)
    for (let round = 0; round < rounds(300); round++) {
      const plain = Array.from({ length: 8 }, () => randomJob(random, 3, below(random, 200)))
      const jobs = plain.map(({ slot, counter, text }) => {
        const keys = bench.of(slot)
        return { slot, counter, text: slowSeal(keys.method, keys.receive, BigInt(counter), text) }
      })
      const victims = jobs.map(({ text }) => {
        const isVictim = chance(random, 0.3)
        if (isVictim) text[below(random, text.length)] ^= 1 << below(random, 8)
        return isVictim
      })
      bench.run(false, jobs, 0).forEach(({ good, data }, i) => {
        const { length } = plain[i].text
        assert.equal(good, !victims[i], `seed ${seed}`)
        const expected = victims[i] ? Buffer.alloc(length) : Buffer.from(plain[i].text)
        assert(data.subarray(0, length).equals(expected), `seed ${seed}`)
      })
    }
  })

  test(`method ${code}: another key, counter or slot does not open it`, () => {
    const seed = testSeed()
    const random = seededRandom(seed)
    const bench = new Bench()
    bench.key(random, 0, code)
    bench.key(random, 1, code)
    const { method: used, receive, send } = bench.of(0)
    const text = slowSeal(used, receive, 7n, randomBytes(random, 100))
    const underSendKey = slowSeal(used, send, 7n, randomBytes(random, 100))
    const jobs = [
      { slot: 0, counter: 8, text },
      { slot: 0, counter: 7 + 2 ** 32, text },
      { slot: 1, counter: 7, text },
      { slot: 0, counter: 7, text: underSendKey },
    ]
    assert.deepEqual(
      bench.run(false, jobs, 0).map(({ good }) => good),
      [false, false, false, false],
    )
  })
}

test('a slot that was reused is keyed anew, also for another cipher', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const bench = new Bench()
  for (let round = 0; round < rounds(200); round++) {
    bench.key(random, below(random, 3), pick(random, ciphers))
    const used = [...bench.keys.keys()]
    const jobs = Array.from({ length: 10 }, () => ({
      ...randomJob(random, 1, below(random, 100)),
      slot: pick(random, used),
    }))
    check(bench, jobs, 0, `seed ${seed}`)
  }
})

test('a free slot seals and opens nothing', () => {
  const random = seededRandom(1)
  const bench = new Bench()
  bench.key(random, 0, method.chacha20Poly1305)
  check(bench, [randomJob(random, 1, 50)], 0, '')
  const wiped = randomJob(random, 1, 50)
  for (const code of [method.free, method.vxlan, 99]) {
    writeSlot(bench.slots, { slot: 0, method: code, generation: nextGeneration++ })
    for (const seal of [true, false]) {
      const [{ good, data }] = bench.run(seal, [wiped], 0)
      assert.equal(good, false)
      assert(data.subarray(0, 34).equals(Buffer.alloc(34)))
    }
  }
})

test('more slots than contexts are kept', () => {
  const random = seededRandom(2)
  const bench = new Bench()
  const code = method.chacha20Poly1305
  const slots = 17_000
  for (let slot = 0; slot < slots; slot++) bench.key(random, slot, code)
  for (let round = 0; round < 2; round++) {
    const jobs = Array.from({ length: slots }, (_, slot) => ({
      ...{ slot, counter: round, text: Uint8Array.of(slot & 255, slot >> 8) },
    }))
    bench.run(true, jobs, 0).forEach(({ good, data }, slot) => {
      assert(good)
      if (slot % 500 !== 0) return
      const expected = slowSeal(code, bench.of(slot).send, BigInt(round), jobs[slot].text)
      assert(data.equals(expected))
    })
  }
})

for (const code of ciphers) {
  test(`method ${code}: the AEAD of a handshake, with additional data`, () => {
    const seed = testSeed()
    const random = seededRandom(seed)
    for (let round = 0; round < rounds(300); round++) {
      const key = randomBytes(random, 32)
      const text = randomBytes(random, below(random, 80))
      const additional = randomBytes(random, pick(random, [0, 32, below(random, 100)]))
      const sealed = new Uint8Array(text.length + tagBytes)
      assert.equal(native.handshakeAead(true, code, key, additional, text, sealed), 0)
      assert(Buffer.from(sealed).equals(slowSeal(code, key, 0n, text, additional)), `seed ${seed}`)
      const opened = new Uint8Array(text.length).fill(1)
      assert.equal(native.handshakeAead(false, code, key, additional, sealed, opened), 0)
      assert.deepEqual(opened, text, `seed ${seed}`)
      sealed[below(random, sealed.length)] ^= 4
      assert.equal(slowOpen(code, key, 0n, sealed, additional), undefined)
      const refused = native.handshakeAead(false, code, key, additional, sealed, opened)
      assert.equal(refused, -EBADMSG, `seed ${seed}`)
      assert.deepEqual(opened, new Uint8Array(text.length), `seed ${seed}`)
    }
  })
}
