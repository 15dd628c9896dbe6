// A UDP stream at a steady rate, and its other end, which counts what is missing. Each datagram
// begins with its number and the monotonic time at which it was sent. The receiver writes one line of JSON for each hole in the numbers: how many
// were lost, and how long nothing had come when it was seen; and a summary when it is told to end.
//
//   node paced-stream.ts send ADDRESS PORT PACKETS_PER_SECOND BYTES SECONDS
//   node paced-stream.ts receive PORT
//
// A sender that was kept from running does not catch up in one burst, which no queue would take: it
// sends fewer, and says how many.

import { HoleCounter } from '../holes.ts'
import { DatagramSocket, remoteRecord } from './datagram-socket.ts'

const tickMs = 0.5
const burst = 64
/** What the sender may lag behind before it gives up what is due. */
const lagMs = 4

export interface Sent {
  readonly kind: 'sent'
  readonly sent: number
  readonly seconds: number
}

let isEnding = false

async function send(
  address: string,
  [port, perSecond, bytes, seconds]: readonly number[],
): Promise<void> {
  const socket = new DatagramSocket(0, burst, bytes)
  const remote = remoteRecord(address.split('.').map(Number), port)
  const beginMs = socket.wait(0)
  let sent = 0
  let skipped = 0
  tell({ kind: 'begun' })
  for (let nowMs = beginMs; nowMs < beginMs + seconds * 1000 && !isEnding; ) {
    const dueNow = Math.floor(((nowMs - beginMs) * perSecond) / 1000)
    const mostLag = Math.ceil((lagMs * perSecond) / 1000)
    skipped = Math.max(skipped, dueNow - sent - mostLag)
    const last = dueNow - skipped
    while (sent < last) {
      for (let number = sent; number < last && !socket.isFull; number++) {
        writeStamp(socket.put(remote, bytes), number, nowMs)
      }
      const taken = socket.send()
      sent += taken
      if (taken === 0) break
    }
    nowMs = socket.wait(tickMs)
    if (sent % 512 < burst) await new Promise(resolve => setImmediate(resolve))
  }
  tell({ kind: 'sent', sent, seconds: (socket.wait(0) - beginMs) / 1000 } satisfies Sent)
}

async function receive(port: number): Promise<void> {
  const socket = new DatagramSocket(port, 1, 64)
  const counts = new HoleCounter(tell)
  tell({ kind: 'begun' })
  let turns = 0
  while (!isEnding) {
    const nowMs = socket.wait(20)
    socket.take((bytes, at) => counts.take(readNumber(bytes, at), readSentMs(bytes, at), nowMs))
    if (++turns % 16 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  tell(counts.summary())
}

const sentAt = 4
/** A double, and its bytes. */
const double = new Float64Array(1)
const doubleBytes = new Uint8Array(double.buffer)

function writeStamp(bytes: Uint8Array, number: number, sentMs: number): void {
  bytes[0] = number
  bytes[1] = number >>> 8
  bytes[2] = number >>> 16
  bytes[3] = number >>> 24
  double[0] = sentMs
  bytes.set(doubleBytes, sentAt)
}

function readNumber(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}

function readSentMs(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < doubleBytes.length; i++) doubleBytes[i] = bytes[at + sentAt + i]
  return double[0]
}

function tell(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => (isEnding = true))
const [mode, ...rest] = process.argv.slice(2)
if (mode === 'send') await send(rest[0], rest.slice(1).map(Number))
else await receive(Number(rest[0]))
process.exit(0)
