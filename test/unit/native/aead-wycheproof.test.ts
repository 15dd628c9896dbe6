// Project Wycheproof's vectors over every form of the AEAD that runs here, one at a time and as
// batches in which the true and the false lie side by side under keys of their own.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { method } from '../../../src/tables/shared.ts'
import { KnownSlots, tagBytes } from '../../support/aead-batch.ts'
import { JOB, loadTestNative } from '../../support/native.ts'
import type { CipherMethod } from '../../support/slow/aead.ts'

interface Vector {
  readonly id: number
  readonly comment: string
  readonly key: string
  readonly nonce: string
  readonly additional: string
  readonly text: string
  readonly sealed: string
  readonly result: 'valid' | 'invalid'
}

interface Outcome {
  readonly good: boolean
  readonly data: string
}

const native = loadTestNative()
const ciphers: readonly { name: string; code: CipherMethod; file: string }[] = [
  { name: 'chacha20Poly1305', code: method.chacha20Poly1305, file: 'chacha20-poly1305' },
  { name: 'aes256Gcm', code: method.aes256Gcm, file: 'aes-256-gcm' },
]

for (const { name, code, file } of ciphers) {
  const path = new URL(`../../vectors/wycheproof-${file}.json`, import.meta.url)
  const vectors: readonly Vector[] = JSON.parse(readFileSync(path, 'utf8')).tests
  const slots = new KnownSlots()
  vectors.forEach(({ key }, slot) => {
    slots.loopback(slot, code, Buffer.from(key, 'hex'))
  })
  for (const [form, runsHere] of Object.entries(native.describe().forms)) {
    if (!form.startsWith(`${name}/`)) continue
    if (runsHere) testForm(form, slots, vectors)
    else process.stdout.write(`not on this CPU: ${form}\n`)
  }
}

function testForm(name: string, slots: KnownSlots, vectors: readonly Vector[]): void {
  const form = name.split('/')[1]
  const numbers = vectors.map((_, i) => i)
  const valid = numbers.filter(i => vectors[i].result === 'valid')
  const invalid = numbers.filter(i => vectors[i].result === 'invalid')

  test(`${name}: Wycheproof's vectors, sealed`, () => {
    for (const batch of [valid, ...valid.map(i => [i])]) {
      const outcomes = run(form, true, slots, batch, vectors)
      batch.forEach((number, i) => {
        const { id, comment, sealed } = vectors[number]
        assert.deepEqual(outcomes[i], { good: true, data: sealed }, `${id}: ${comment}`)
      })
    }
    assert(valid.length > 30)
  })

  test(`${name}: Wycheproof's vectors, opened or refused`, () => {
    for (const batch of [numbers, valid, invalid, ...numbers.map(i => [i])]) {
      const outcomes = run(form, false, slots, batch, vectors)
      batch.forEach((number, i) => {
        const { id, comment, text, sealed, result } = vectors[number]
        const good = result === 'valid'
        const data = (good ? text : '0'.repeat(text.length)) + sealed.slice(-2 * tagBytes)
        assert.deepEqual(outcomes[i], { good, data }, `${id}: ${comment}`)
      })
    }
    assert(invalid.length > 10)
  })
}

/** Runs vectors as one batch. The key of a vector is in the slot of its number. */
function run(
  form: string,
  seal: boolean,
  { slots }: KnownSlots,
  numbers: readonly number[],
  vectors: readonly Vector[],
): Outcome[] {
  const words = new Float64Array(numbers.length * JOB.WORDS)
  const parts: Buffer[] = []
  let end = 0
  numbers.forEach((number, i) => {
    const { nonce, additional, text, sealed } = vectors[number]
    const before = Buffer.from(additional, 'hex')
    const padded = Buffer.alloc(Math.ceil(before.length / 16) * 16)
    before.copy(padded)
    const bytes = Buffer.from(seal ? text + '00'.repeat(tagBytes) : sealed, 'hex')
    const iv = Buffer.from(nonce, 'hex')
    const job = new Float64Array(JOB.WORDS)
    job[JOB.OFFSET] = end + padded.length
    job[JOB.LENGTH] = bytes.length - tagBytes
    job[JOB.SLOT] = number
    job[JOB.SALT] = iv.readUInt32LE(0)
    job[JOB.COUNTER] = iv.readUInt32LE(4)
    job[JOB.COUNTER_HIGH] = iv.readUInt32LE(8)
    job[JOB.ADDITIONAL] = before.length
    words.set(job, i * JOB.WORDS)
    parts.push(padded, bytes)
    end += padded.length + bytes.length
  })
  const data = Buffer.concat(parts)
  native.test.aead(form, seal, slots, data, words)
  return numbers.map((_, i) => {
    const job = words.subarray(i * JOB.WORDS, (i + 1) * JOB.WORDS)
    const start = job[JOB.OFFSET]
    const bytes = data.subarray(start, start + job[JOB.LENGTH] + tagBytes)
    return { good: job[JOB.GOOD] === 1, data: bytes.toString('hex') }
  })
}
