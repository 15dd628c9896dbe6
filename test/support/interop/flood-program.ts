// Sends bad datagrams to a UDP port: real ones with each byte changed in turn, then, from a seed,
// real ones changed, cut, stretched and repeated, and random ones of every type and size.
// Arguments: JSON of FloodOptions. Writes how many it has sent.

import { createSocket } from 'node:dgram'
import { seededRandom } from '../rng.ts'

export interface FloodOptions {
  readonly address: string
  readonly port: number
  readonly seed: number
  readonly count: number
  /** Datagrams that were seen between the peers, as hex. */
  readonly real: readonly string[]
}

const options = JSON.parse(process.argv[2]) as FloodOptions
const random = seededRandom(options.seed)
const real = options.real.map(text => Buffer.from(text, 'hex'))
const below = (limit: number) => Math.floor(random() * limit)
const pick = <Item>(items: readonly Item[]): Item => items[below(items.length)]

/** What fits into a datagram, and what has to be cut into fragments. */
const sizes = [0, 1, 3, 4, 15, 16, 31, 32, 33, 63, 64, 91, 92, 147, 148, 149, 1452, 9000, 65_507]

function randomBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = below(256)
  return bytes
}

function* changedByteByByte(): Generator<Buffer> {
  for (const bytes of real) {
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes)
      changed[i] ^= 1 + below(255)
      yield changed
    }
  }
}

const makers: readonly (() => Buffer)[] = [
  () => pick(real),
  () => pick(real).subarray(0, below(200)),
  () => Buffer.concat([pick(real), randomBytes(1 + below(64))]),
  () => {
    const changed = Buffer.from(pick(real))
    for (let i = below(8); i >= 0; i--) changed[below(changed.length)] = below(256)
    return changed
  },
  () => {
    const bytes = randomBytes(pick(sizes.slice(0, -2)))
    bytes.set([below(6), 0, 0, 0].slice(0, bytes.length))
    return bytes
  },
  () => {
    // A live index with rubbish behind it.
    const bytes = randomBytes(32 + below(1500))
    const known = pick(real)
    bytes.set([pick([2, 3, 4]), 0, 0, 0])
    bytes.set(known.subarray(4, 8), 4)
    return bytes
  },
  () => randomBytes(below(100)),
]

function* datagrams(): Generator<Buffer> {
  yield* changedByteByByte()
  for (const size of sizes) yield randomBytes(size)
  for (;;) yield pick(makers)()
}

const socket = createSocket(options.address.includes(':') ? 'udp6' : 'udp4')
let sent = 0
for (const datagram of datagrams()) {
  if (sent >= options.count) break
  // An error of one that was sent before, such as a refused port, is told here: it went all the same.
  await new Promise<void>(resolve => {
    socket.send(datagram, options.port, options.address, () => resolve())
  })
  sent++
}
socket.close()
process.stdout.write(`${sent}\n`)
