// Neither half of the path may allocate for a superpacket: garbage is a pause, and a pause is loss.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { writeRemote } from '../../../src/cable/remotes.ts'
import { buildInbound, buildOutbound, type NativePath } from '../../../src/datapath/build.ts'
import type { ContextMemory } from '../../../src/native.ts'
import { parsePrefix, parseRemote } from '../../../src/net/address.ts'
import { ROW, STATE, TRAIN } from '../../../src/packet/batch.ts'
import { buildTrie } from '../../../src/routing/prefix-trie.ts'
import { createSharedMemory } from '../../../src/tables/memory.ts'
import { CABLE, method, REMOTE, SLOT } from '../../../src/tables/shared.ts'
import { ipv4, ipv6, pattern, tcp, udp } from '../../support/packets.ts'

const rowsPerBreath = 64
const breaths = 2000

const outPackets = [
  ipv4({ source: '10.1.0.1', destination: '10.2.0.1', tos: 2 }, tcp({ payload: pattern(500) })),
  ipv6({ source: 'fd00:1::1', destination: 'fd00:2::1' }, udp({ payload: pattern(500) })),
  ipv4({ source: '10.1.0.1', destination: '224.0.0.1' }, udp()),
]
const inPackets = [
  ipv4({ source: '10.2.0.1', destination: '10.1.0.1', tos: 2 }, tcp({ payload: pattern(500) })),
  ipv6({ source: 'fd00:2::1', destination: 'fd00:1::1' }, udp({ payload: pattern(500) })),
  ipv4({ source: '10.9.0.1', destination: '10.1.0.1' }, udp()),
]

const routes = buildTrie(
  ['10.2.0.0/16', 'fd00:2::/32'].map(text => ({ prefix: parsePrefix(text), value: 0 })),
)

/** The addon's calls without any I/O: rows appear, and vanish. */
function idleNative(contexts: ContextMemory[]): NativePath {
  return {
    createContext: memory => contexts.push(memory) - 1,
    poll: () => 0,
    readTun: () => rowsPerBreath,
    writeTun: () => 0,
    receiveUdp: () => 4,
    sendUdp: (_context, _first, end) => end,
    seal: (_context, _first, end) => end,
    open: () => rowsPerBreath,
    handshakeAead: () => 0,
  }
}

function fillRows({ slab, rows }: ContextMemory, packets: readonly Uint8Array[]): void {
  let offset = 64
  for (let row = 0; row < rowsPerBreath; row++) {
    const packet = packets[row % packets.length]
    slab.set(packet, offset)
    const base = row * ROW.WORDS
    rows.fill(0, base, base + ROW.WORDS)
    rows[base + ROW.OFFSET] = offset
    rows[base + ROW.LENGTH] = packet.length
    rows[base + ROW.SEGMENTS] = 1
    rows[base + ROW.TOS] = 2
    rows[base + ROW.TRAIN] = row >> 4
    offset = (offset + packet.length + 127) & ~63
  }
}

const triesMax = 60

/**
 * Bytes on the heap for each row: measured until V8 has compiled the path (its compiler runs beside
 * and may be late on a busy machine) and has no business of its own. The least that was seen.
 */
function bytesPerRow(breathe: (nowMs: number) => void, before: () => void): number {
  const measure = (): number => {
    const start = process.memoryUsage().heapUsed
    for (let breath = 0; breath < breaths; breath++) {
      before()
      breathe(1000)
    }
    return Math.abs(process.memoryUsage().heapUsed - start) / (breaths * rowsPerBreath)
  }
  let least = measure()
  for (let tries = 0; tries < triesMax && least >= 1; tries++) least = Math.min(least, measure())
  return least
}

function publishSlot(memory: ReturnType<typeof createSharedMemory>): void {
  const view = new DataView(memory.slots.buffer)
  view.setUint32(SLOT.METHOD, method.chacha20Poly1305, true)
  view.setFloat64(SLOT.REJECT_AT_MS, Number.POSITIVE_INFINITY, true)
  view.setFloat64(SLOT.REKEY_AT_MS, Number.POSITIVE_INFINITY, true)
  view.setFloat64(SLOT.REKEY_AT_MESSAGES, Number.POSITIVE_INFINITY, true)
  memory.cables[CABLE.FLAGS] = 1
  memory.cables[CABLE.MTU] = 1420
  memory.cables[CABLE.WATCHED] = 1
}

test('the way out allocates nothing per superpacket', () => {
  const contexts: ContextMemory[] = []
  const memory = createSharedMemory()
  const { outbound, batch } = buildOutbound({
    ...{ native: idleNative(contexts), memory, tunFd: 1, segmentsMax: 128 },
    wakeInbound: () => {},
    tellUp: () => {},
    monotonicMs: () => 0,
  })
  publishSlot(memory)
  memory.remotes.set(writeRemote(new Uint8Array(REMOTE.BYTES), parseRemote('192.0.2.1:4500')))
  outbound.apply(routes, { ipv4: 5, ipv6: 6, entropy4: [], entropy6: [] })
  fillRows(batch, outPackets)
  const drops = () => {
    for (let base = 0; base < rowsPerBreath * ROW.WORDS; base += ROW.WORDS) {
      batch.rows[base + ROW.DROP] = 0
    }
  }
  const bytes = bytesPerRow(nowMs => outbound.breathe(nowMs), drops)
  assert.ok(bytes < 1, `${bytes.toFixed(2)} bytes a row`)
  assert.equal(batch.rows[ROW.FD], 5, 'the rows did not go the way that was meant')
})

test('the way in allocates nothing per superpacket', () => {
  const contexts: ContextMemory[] = []
  const memory = createSharedMemory()
  const built = buildInbound({
    ...{ native: idleNative(contexts), memory, tunFd: 1, coalesce: 3 },
    xchacha: { seal: () => new Uint8Array(0), open: () => undefined },
    random: () => {},
    wallNowMs: () => 0,
    autoCiphers: [],
    monotonicMs: () => 0,
    wakeOutbound: () => {},
    wakeInbound: () => {},
    foreignSink: () => true,
  })
  const { inbound, batch, publisher } = built
  publishSlot(memory)
  const record = writeRemote(new Uint8Array(REMOTE.BYTES), parseRemote('192.0.2.1:4500'))
  memory.cables[CABLE.REMOTE] = publisher.remotes.add(record)
  for (let train = 0; train < 4; train++) {
    batch.trains.set(new Int32Array(record.buffer), train * TRAIN.WORDS + TRAIN.REMOTE)
    batch.trains[train * TRAIN.WORDS + TRAIN.SLOT] = -1
  }
  inbound.apply(routes, [7])
  batch.state[STATE.NOW_MS] = 1000
  const renew = () => fillRows(batch, inPackets)
  fillRows(batch, inPackets)
  const bytes = bytesPerRow(nowMs => inbound.breathe(nowMs, false), renew)
  assert.ok(bytes < 1, `${bytes.toFixed(2)} bytes a row`)
})
