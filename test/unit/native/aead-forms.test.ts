// Every form of the AEAD against OpenSSL's, which aead.test.ts compares with node:crypto: lengths,
// alignments, batches, keys, and what happens to a batch in which some packets are not authentic.
// HAWSER_LONG=1 looks at random batches for longer. A form that this CPU cannot execute is named.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { loadNative } from '../../../src/native.ts'
import { method } from '../../../src/tables/shared.ts'
import {
  assertSame,
  Batch,
  type BatchJob,
  BytePool,
  compareForms,
  KnownSlots,
  randomCounter,
  tagBytes,
} from '../../support/aead-batch.ts'
import { JOB, loadTestNative } from '../../support/native.ts'
import { below, pick, type Random } from '../../support/random-superpackets.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import type { CipherMethod } from '../../support/slow/aead.ts'

const native = loadTestNative()
const randomRoundsMs = process.env['HAWSER_LONG'] === '1' ? 10_000 : 2000

/** Around blocks of either cipher, groups of them, and what the path carries. */
const edgeLengths = [
  ...[0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 92, 127, 128, 129],
  ...[255, 256, 257, 511, 512, 1420, 2047],
]

const methods: Readonly<Record<string, CipherMethod>> = {
  chacha20Poly1305: method.chacha20Poly1305,
  aes256Gcm: method.aes256Gcm,
}

/** Changes the text, the tag, the nonce or the key of one job. */
const damages: Readonly<Record<string, (batch: Batch, job: number, random: Random) => void>> = {
  text(batch, job, random) {
    const text = batch.text(job)
    text[below(random, text.length)] ^= 1 << below(random, 8)
  },
  tag(batch, job, random) {
    const end = batch.offsets[job] + batch.text(job).length
    batch.data[end + below(random, tagBytes)] ^= 1 << below(random, 8)
  },
  nonce(batch, job) {
    batch.words[job * JOB.WORDS + JOB.COUNTER] += 1
  },
  key(batch, job) {
    batch.words[job * JOB.WORDS + JOB.SLOT] ^= 1
  },
}

for (const [name, runsHere] of Object.entries(native.describe().forms)) {
  const [cipher, form] = name.split('/')
  if (!runsHere) process.stdout.write(`not on this CPU: ${name}\n`)
  else if (form !== 'openssl') testForm(name, methods[cipher], form)
}

/** Slots with a key of their own each, which open what they sealed. */
function slotsWithKeys(count: number, code: CipherMethod, pool: BytePool): KnownSlots {
  const slots = new KnownSlots()
  for (let slot = 0; slot < count; slot++) slots.loopback(slot, code, pool.take(32).slice())
  return slots
}

function randomJobs(random: Random, lengths: readonly number[], slots: number): BatchJob[] {
  return lengths.map(length => ({
    ...{ slot: below(random, slots), counter: randomCounter(random), length },
  }))
}

function testForm(name: string, code: CipherMethod, form: string): void {
  const seed = testSeed()
  const random = seededRandom(seed)
  const pool = new BytePool(random)

  test(`${name} is in force when it is asked for`, () => {
    const cipher = name.split('/')[0] as 'chacha20Poly1305' | 'aes256Gcm'
    assert.deepEqual(native.test.aeadForm(form)[cipher], { form, reason: '' })
  })

  test(`${name}: every length to 2 048 in batches of 1 and 64, at two alignments`, () => {
    const slots = slotsWithKeys(5, code, pool)
    for (let length = 0; length <= 2048; length++) {
      for (const alignment of [0, 1]) {
        const note = `${length} bytes, seed ${seed}`
        for (const size of [1, 64]) {
          const jobs = randomJobs(random, Array(size).fill(length), 5)
          compareForms(form, slots, new Batch(jobs, alignment, pool), note)
        }
      }
    }
  })

  test(`${name}: every alignment and every batch to 64 over edge lengths`, () => {
    const slots = slotsWithKeys(64, code, pool)
    for (let size = 1; size <= 64; size++) {
      for (let alignment = 0; alignment < 64; alignment++) {
        const lengths = Array.from(
          { length: size },
          (_, i) => edgeLengths[(i * 7 + alignment + size) % edgeLengths.length],
        )
        const batch = new Batch(randomJobs(random, lengths, 64), alignment, pool)
        compareForms(form, slots, batch, `batch ${size}, alignment ${alignment}, seed ${seed}`)
      }
    }
  })

  test(`${name}: random batches`, () => {
    const until = performance.now() + randomRoundsMs
    for (let round = 0; round < 20 || performance.now() < until; round++) {
      const chosen = seededRandom(seed + round)
      const count = 1 + below(chosen, pick(chosen, [4, 16, 64, 300]))
      const most = pick(chosen, [64, 200, 1500, 4000])
      const whole = below(chosen, most)
      const lengths = Array.from({ length: count }, (_, i) => {
        if (below(chosen, 500) === 0) return below(chosen, 65_536)
        return i < count - 1 && below(chosen, 3) > 0 ? whole : below(chosen, most)
      })
      const keys = 1 + below(chosen, 8)
      const slots = slotsWithKeys(keys, code, pool)
      const batch = new Batch(randomJobs(chosen, lengths, keys), below(chosen, 64), pool)
      compareForms(form, slots, batch, `seed ${seed}, round ${round}`)
    }
  })

  test(`${name}: the longest texts`, () => {
    const slots = slotsWithKeys(3, code, pool)
    for (const count of [1, 2, 9]) {
      const lengths = Array.from({ length: count }, (_, i) => 65_535 - i * 7)
      const jobs = randomJobs(random, [...lengths, 0, 92], 3)
      compareForms(form, slots, new Batch(jobs, 3, pool), `seed ${seed}`)
    }
  })

  testRefusals(name, code, form)
}

function testRefusals(name: string, code: CipherMethod, form: string): void {
  const seed = testSeed()
  const random = seededRandom(seed)
  const pool = new BytePool(random)

  for (const [what, damage] of Object.entries(damages)) {
    test(`${name}: a changed ${what} is refused in every place of a batch, and zeroed`, () => {
      const slots = slotsWithKeys(64, code, pool)
      for (const size of [1, 3, 8, 13, 64]) {
        for (let victim = 0; victim < size; victim++) {
          const lengths = Array.from({ length: size }, () => 1 + below(random, 300))
          const jobs = randomJobs(random, lengths, 64)
          const sealed = new Batch(jobs, below(random, 64), pool)
          const plain = sealed.copy()
          sealed.run('openssl', true, slots)
          damage(sealed, victim, random)
          const expected = sealed.copy()
          sealed.run(form, false, slots)
          const note = `seed ${seed}, ${victim} of ${size}`
          jobs.forEach((_, i) => {
            assert.equal(sealed.good(i), i !== victim, note)
            const text = i === victim ? Buffer.alloc(lengths[i]) : plain.text(i)
            assert(sealed.text(i).equals(text), note)
          })
          expected.run('openssl', false, slots)
          assertSame(sealed, expected, note)
        }
      }
    })
  }

  test(`${name}: a batch in which nothing is authentic is zeroed`, () => {
    const slots = slotsWithKeys(64, code, pool)
    const jobs = randomJobs(random, edgeLengths, 64)
    const batch = new Batch(jobs, 5, pool)
    const expected = batch.copy()
    expected.run('openssl', false, slots)
    batch.run(form, false, slots)
    assertSame(batch, expected, `seed ${seed}`)
    jobs.forEach(({ length }, i) => {
      assert.equal(batch.good(i), false)
      assert(batch.text(i).equals(Buffer.alloc(length)))
    })
  })
}

test('both ciphers and slots without one in the same batch', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const pool = new BytePool(random)
  const slots = new KnownSlots()
  for (let slot = 0; slot < 8; slot++) {
    const code = slot % 2 === 0 ? method.chacha20Poly1305 : method.aes256Gcm
    slots.loopback(slot, code, pool.take(32).slice())
  }
  for (let round = 0; round < 100; round++) {
    const lengths = Array.from({ length: 1 + below(random, 200) }, () => below(random, 300))
    const batch = new Batch(randomJobs(random, lengths, 10), below(random, 64), pool)
    const expected = batch.copy()
    expected.run('openssl', true, slots)
    batch.run('', true, slots)
    assertSame(batch, expected, `seed ${seed}`)
  }
})

/** What a process with these environment variables has in force. */
function inForce(variables: Readonly<Record<string, string>>): unknown {
  const source = new URL('../../../src/native.ts', import.meta.url).href
  const script = `
    const { loadNative } = await import(${JSON.stringify(source)})
    process.stdout.write(JSON.stringify(loadNative().describe().aead))`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, ...variables },
    encoding: 'utf8',
  })
  return JSON.parse(output)
}

test('the environment chooses a form, and what cannot be had leaves OpenSSL with a reason', () => {
  assert.deepEqual(inForce({ HAWSER_AEAD_CHACHA: '', HAWSER_AEAD_AES: '' }), bestForms())
  assert.deepEqual(inForce({ HAWSER_AEAD_CHACHA: 'openssl', HAWSER_AEAD_AES: 'openssl' }), {
    chacha20Poly1305: { form: 'openssl', reason: '' },
    aes256Gcm: { form: 'openssl', reason: '' },
  })
  assert.deepEqual(inForce({ HAWSER_AEAD_CHACHA: 'avx1024', HAWSER_AEAD_AES: 'openssl' }), {
    chacha20Poly1305: { form: 'openssl', reason: 'there is no form avx1024' },
    aes256Gcm: { form: 'openssl', reason: '' },
  })
})

/** The first of the preferred forms that runs here. */
function bestForms(): unknown {
  const { forms } = loadNative().describe()
  const best = (cipher: string, preferred: readonly string[]) => ({
    form: preferred.find(form => forms[`${cipher}/${form}`] === true) ?? 'openssl',
    reason: '',
  })
  return {
    chacha20Poly1305: best('chacha20Poly1305', ['avx512', 'avx2']),
    aes256Gcm: best('aes256Gcm', ['avx512', 'avx2']),
  }
}
