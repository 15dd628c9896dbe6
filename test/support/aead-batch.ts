// Batches for the AEAD of the addon: texts at chosen places of a buffer that is otherwise full of
// guard bytes, under slots whose keys a test knows. Two forms are compared by the whole buffer, so
// that what is written outside of a text and its tag shows too.

import assert from 'node:assert/strict'
import { emptySlots, writeSlot } from './key-slots.ts'
import { JOB, loadTestNative } from './native.ts'
import { below, pick, type Random } from './random-superpackets.ts'
import type { CipherMethod } from './slow/aead.ts'

export const tagBytes = 16
const guardByte = 0xa5
const guardBytes = 67

const native = loadTestNative()

/** The addon keeps keys by slot and generation, from one table of slots to the next. */
let nextGeneration = 1

export interface KnownKeys {
  readonly method: CipherMethod
  readonly send: Uint8Array
  readonly receive: Uint8Array
}

/** Slots whose keys the test knows. */
export class KnownSlots {
  readonly slots = emptySlots()
  readonly keys = new Map<number, KnownKeys>()

  key(slot: number, keys: KnownKeys): void {
    this.keys.set(slot, keys)
    writeSlot(this.slots, {
      ...{ slot, method: keys.method, generation: nextGeneration++ },
      ...{ sendKey: keys.send, receiveKey: keys.receive },
    })
  }

  /** A slot that seals what it can open itself. */
  loopback(slot: number, method: CipherMethod, key: Uint8Array): void {
    this.key(slot, { method, send: key, receive: key })
  }

  of(slot: number): KnownKeys {
    const keys = this.keys.get(slot)
    assert(keys !== undefined)
    return keys
  }
}

export interface BatchJob {
  readonly slot: number
  readonly counter: number
  readonly length: number
}

/** Texts in one buffer, each with room for its tag and guards around it. */
export class Batch {
  readonly data: Buffer
  readonly words: Float64Array
  readonly offsets: readonly number[]

  /** `alignment` is where each text begins, modulo 64, from the start of the buffer on. */
  constructor(jobs: readonly BatchJob[], alignment: number, pool: BytePool) {
    let end = 0
    this.offsets = jobs.map(({ length }) => {
      const offset = (Math.ceil((end + guardBytes) / 64) * 64 + alignment) | 0
      end = offset + length + tagBytes
      return offset
    })
    this.data = Buffer.alloc(end + guardBytes, guardByte)
    this.words = new Float64Array(jobs.length * JOB.WORDS)
    jobs.forEach(({ slot, counter, length }, i) => {
      this.words.set([this.offsets[i], length, slot, counter, -1], i * JOB.WORDS)
      this.data.set(pool.take(length), this.offsets[i])
    })
  }

  copy(): Batch {
    const copy: Batch = Object.create(Batch.prototype)
    const data = Buffer.from(this.data)
    return Object.assign(copy, { data, words: this.words.slice(), offsets: this.offsets })
  }

  run(form: string, seal: boolean, { slots }: KnownSlots): void {
    native.test.aead(form, seal, slots, this.data, this.words)
  }

  text(i: number): Buffer {
    const offset = this.offsets[i]
    return this.data.subarray(offset, offset + this.words[i * JOB.WORDS + JOB.LENGTH])
  }

  good(i: number): boolean {
    return this.words[i * JOB.WORDS + JOB.GOOD] === 1
  }
}

/** Seals and opens with a form and with OpenSSL's: the same bytes everywhere. */
export function compareForms(form: string, slots: KnownSlots, plain: Batch, note: string): void {
  const expected = plain.copy()
  const actual = plain.copy()
  expected.run('openssl', true, slots)
  actual.run(form, true, slots)
  assertSame(actual, expected, `seal, ${note}`)
  actual.run(form, false, slots)
  const { length } = plain.offsets
  for (let i = 0; i < length; i++) {
    assert(actual.good(i), `open ${i} of ${length}, ${note}`)
    // The tag stays as it was.
    const end = plain.offsets[i] + plain.text(i).length
    plain.data.set(expected.data.subarray(end, end + tagBytes), end)
  }
  assert(actual.data.equals(plain.data), `open, ${note}`)
}

export function assertSame(actual: Batch, expected: Batch, note: string): void {
  assert.deepEqual(actual.words, expected.words, note)
  if (actual.data.equals(expected.data)) return
  const at = expected.data.findIndex((byte, i) => byte !== actual.data[i])
  const job = expected.offsets.findLastIndex(offset => offset <= at)
  const length = expected.words[job * JOB.WORDS + JOB.LENGTH]
  assert.fail(
    `byte ${at - (expected.offsets[job] ?? 0)} of job ${job} (${length} bytes) of ` +
      `${expected.offsets.length}, ${note}`,
  )
}

/** Bytes that look random, quickly: pieces of a pool. */
export class BytePool {
  readonly #random: Random
  readonly #pool = new Uint8Array(1 << 18)

  constructor(random: Random) {
    this.#random = random
    const words = new Uint32Array(this.#pool.buffer)
    for (let i = 0; i < words.length; i++) words[i] = below(random, 2 ** 32)
  }

  take(length: number): Uint8Array {
    const start = below(this.#random, this.#pool.length - length + 1)
    return this.#pool.subarray(start, start + length)
  }
}

/** A nonce, more often than not one with something special about it. */
export function randomCounter(random: Random): number {
  return pick(random, [0, 1, below(random, 2 ** 32), 2 ** 53 - 1 - below(random, 9)])
}
