// Floods a gateway with valid initiations that were made ahead, at a steady rate, from many source
// addresses. Each source keeps the cookie that it is sent, as a real initiator does, and stamps mac2
// with it. SIGUSR2 begins the window that is measured, the next one ends it; then some of the
// sessions are proved: their response is opened and a keepalive is sent under the keys that it gives.
//
//   node flooder.ts CONFIG_FILE          bench/flood-run.ts has its fields

import { readFileSync } from 'node:fs'
import sodium from 'libsodium-wrappers'
import { CookieHolder } from '../../src/crypto/cookie.ts'
import { COOKIE_REPLY, RESPONSE, readIndex, writeIndex } from '../../src/crypto/messages.ts'
import { readResponse } from '../../src/crypto/noise.ts'
import { createXchacha } from '../../src/crypto/xchacha.ts'
import { method } from '../../src/tables/shared.ts'
import type { FloodConfig, FloodCounts } from '../flood-run.ts'
import {
  type FleetFile,
  handshakeOf,
  initiatorsOf,
  messageOf,
  recordBytes,
} from '../initiations.ts'
import { readThreadSeconds } from '../threads.ts'
import { DatagramSocket, remoteRecord } from './datagram-socket.ts'

const burst = 64
const provedMost = 50
const dataType = 4
const dataBytes = 32
const nothing = new Uint8Array(0)

const config = JSON.parse(readFileSync(process.argv[2], 'utf8')) as FloodConfig
/** A trickle need not be looked at a thousand times a second. */
const tickMs = config.perSecond < 500 ? 20 : 1
const fleet = JSON.parse(readFileSync(config.fleetFile, 'utf8')) as FleetFile
const peers = fleet.privateKeys.length
const records = Buffer.concat(config.recordFiles.map(file => readFileSync(file)))
await sodium.ready
const xchacha = createXchacha(sodium)
const gatewayKey = Uint8Array.from(Buffer.from(fleet.gateway, 'base64'))
const to = config.gatewayAddress.split('.').map(Number)
const sources = config.sources.map(address => ({
  holder: new CookieHolder(xchacha, gatewayKey),
  remote: remoteRecord(to, config.gatewayPort, address.split('.').map(Number)),
  hasCookie: false,
}))
const socket = new DatagramSocket(0, burst, 148)
/** The last response to each peer's initiations. */
const responses = new Map<number, Uint8Array>()
const counts = { sent: 0, responses: 0, cookies: 0 }

let signals = 0
process.on('SIGUSR2', () => signals++)
process.on('SIGTERM', () => process.exit(0))
process.stdout.write('begun\n')
process.stdout.write(`${JSON.stringify(await flood())}\n`)
process.exit(0)

async function flood(): Promise<FloodCounts> {
  const beginMs = socket.wait(0)
  let nowMs = beginMs
  let next = config.first
  let window: { readonly atMs: number; readonly threads: Map<string, number> } | undefined
  while (signals < 2) {
    const due = config.first + Math.floor(((nowMs - beginMs) * config.perSecond) / 1000)
    if (due > config.end) throw new Error('there are no initiations left')
    // What could not be sent in time is left out, not sent in one burst.
    next = Math.max(next, due - 4 * burst)
    while (next < due) next = sendSome(next, due, nowMs)
    nowMs = socket.wait(tickMs)
    socket.take((bytes, at, length) => take(bytes.subarray(at, at + length), nowMs))
    await new Promise(resolve => setImmediate(resolve))
    if (window === undefined && signals === 1) {
      Object.assign(counts, { sent: 0, responses: 0, cookies: 0 })
      window = { atMs: nowMs, threads: readThreadSeconds(config.gatewayPid) }
    }
  }
  if (window === undefined) throw new Error('two signals at once')
  const after = readThreadSeconds(config.gatewayPid)
  const cpu = (name: string) => (after.get(name) ?? 0) - (window.threads.get(name) ?? 0)
  const measured = {
    ...counts,
    seconds: (nowMs - window.atMs) / 1000,
    inboundSeconds: cpu('hawser-inbound'),
    outboundSeconds: cpu('hawser-outbound'),
    withCookie: sources.filter(({ hasCookie }) => hasCookie).length,
    used: next - config.first,
  }
  return { ...measured, ...(await prove()) }
}

function sendSome(first: number, end: number, nowMs: number): number {
  let number = first
  for (; number < end && !socket.isFull; number++) {
    const { holder, remote } = sources[(number % peers) % sources.length]
    const message = messageOf(recordOf(number))
    holder.stamp(message, nowMs)
    socket.put(remote, message.length).set(message)
  }
  counts.sent += socket.send()
  return number
}

function take(bytes: Uint8Array, nowMs: number): void {
  if (bytes[0] === RESPONSE.TYPE && bytes.length === RESPONSE.BYTES) {
    counts.responses++
    responses.set(readIndex(bytes, RESPONSE.RECEIVER) % peers, bytes.slice())
  } else if (bytes[0] === COOKIE_REPLY.TYPE && bytes.length === COOKIE_REPLY.BYTES) {
    counts.cookies++
    const number = readIndex(bytes, COOKIE_REPLY.RECEIVER)
    const source = sources[(number % peers) % sources.length]
    if (source.holder.take(bytes, nowMs)) source.hasCookie = true
  }
}

/** Waits for what is under way, and shows that the last responses make sessions. */
async function prove(): Promise<Pick<FloodCounts, 'proved' | 'provable'>> {
  const untilMs = socket.wait(0) + 1500
  for (let nowMs = 0; nowMs < untilMs; ) {
    nowMs = socket.wait(10)
    socket.take((bytes, at, length) => take(bytes.subarray(at, at + length), nowMs))
  }
  const initiators = initiatorsOf(fleet)
  let proved = 0
  const chosen = [...responses].slice(0, provedMost)
  for (const [peer, response] of chosen) {
    const number = readIndex(response, RESPONSE.RECEIVER)
    const { handshakeAead } = socket.native
    const sent = handshakeOf(handshakeAead, initiators[peer], recordOf(number))
    const noise = response.subarray(RESPONSE.NOISE, RESPONSE.NOISE_END)
    const psk = new Uint8Array(32)
    const { identity } = initiators[peer]
    const keys = readResponse(handshakeAead, sent, identity, psk, noise, nothing)
    if (keys === undefined) continue
    const keepalive = socket.put(sources[peer % sources.length].remote, dataBytes).fill(0)
    keepalive[0] = dataType
    writeIndex(keepalive, 4, readIndex(response, RESPONSE.SENDER))
    // An empty packet under counter 0: all that there is of it is the tag.
    const tag = keepalive.subarray(16)
    handshakeAead(true, method.chacha20Poly1305, keys.send, nothing, nothing, tag)
    proved += socket.send()
  }
  return { proved, provable: chosen.length }
}

function recordOf(number: number): Uint8Array {
  const at = (number - config.firstRecord) * recordBytes
  return records.subarray(at, at + recordBytes)
}
