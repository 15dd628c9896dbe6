// Forms of the AEAD against OpenSSL's, one packet at a time with the key kept: `node bench/aead.ts`.
// One core, in place, batches of equal packets under one key. Rounds of the forms alternate; a cell
// shows the median nanoseconds per packet and the ratio to OpenSSL's in the same run. The figures of
// one machine say nothing about another: what OpenSSL has for a CPU differs.

import { cpus } from 'node:os'
import { method } from '../src/tables/shared.ts'
import { emptySlots, writeSlot } from '../test/support/key-slots.ts'
import { JOB, loadTestNative } from '../test/support/native.ts'

const sizes = [1420, 92] as const
const batches = [1, 4, 8, 16, 45] as const
const samples = 9
/** Long enough for the clock, short enough that nothing else comes between. */
const sampleNs = 400_000
const tagBytes = 16

interface Figures {
  readonly seal: number
  readonly open: number
}

const native = loadTestNative()
const { cpu, forms, openssl } = native.describe()
process.stdout.write(`${cpus()[0]?.model ?? 'unknown CPU'}: ${cpu.join(' ')}; OpenSSL ${openssl}\n`)

const ciphers = { chacha20Poly1305: method.chacha20Poly1305, aes256Gcm: method.aes256Gcm }
for (const [cipher, code] of Object.entries(ciphers)) {
  const names = Object.entries(forms)
    .filter(([name]) => name.startsWith(`${cipher}/`))
    .map(([name, runsHere]) => ({ form: name.split('/')[1], runsHere }))
  for (const { form, runsHere } of names) {
    if (!runsHere) process.stdout.write(`not on this CPU: ${cipher}/${form}\n`)
  }
  const here = names.filter(({ runsHere }) => runsHere).map(({ form }) => form)
  const table = sizes.flatMap(size =>
    batches.flatMap(batch => rowsOf(cipher, here, size, batch, measure(code, here, size, batch))),
  )
  console.table(table)
}

function measure(code: number, names: readonly string[], size: number, batch: number): Figures[] {
  const slots = emptySlots()
  writeSlot(slots, { slot: 0, method: code, generation: 1 })
  const stride = Math.ceil((size + tagBytes) / 16) * 16
  const data = new Uint8Array(batch * stride)
  const jobs = new Float64Array(batch * JOB.WORDS)
  for (let i = 0; i < batch; i++) {
    jobs[i * JOB.WORDS + JOB.OFFSET] = i * stride
    jobs[i * JOB.WORDS + JOB.LENGTH] = size
    jobs[i * JOB.WORDS + JOB.COUNTER] = i
  }
  const times = new Float64Array(2)
  const rounds = Math.ceil(sampleNs / (batch * (200 + size / 4)))
  const taken = names.map(() => ({ seal: [] as number[], open: [] as number[] }))
  for (let sample = 0; sample <= samples; sample++) {
    names.forEach((name, i) => {
      native.test.timeAead(name, slots, data, jobs, rounds, times)
      if (sample === 0) return // warming up
      taken[i].seal.push(times[0] / rounds / batch)
      taken[i].open.push(times[1] / rounds / batch)
    })
  }
  return taken.map(({ seal, open }) => ({ seal: median(seal), open: median(open) }))
}

function rowsOf(
  cipher: string,
  names: readonly string[],
  size: number,
  batch: number,
  figures: readonly Figures[],
): Record<string, string | number>[] {
  const evp = figures[names.indexOf('openssl')]
  return names.map((form, i) => ({
    ...{ cipher, form, bytes: size, batch },
    'seal ns': Math.round(figures[i].seal),
    'open ns': Math.round(figures[i].open),
    'seal ratio': (figures[i].seal / evp.seal).toFixed(3),
    'open ratio': (figures[i].open / evp.open).toFixed(3),
  }))
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}
