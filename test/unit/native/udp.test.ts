import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { test } from 'node:test'
import { POLL, TRAIN_BYTES, TRAIN_HEADROOM } from '../../../src/packet/batch.ts'
import { COUNTER, noCable } from '../../../src/tables/counters.ts'
import { REMOTE } from '../../../src/tables/shared.ts'
import { ip, namespaceTest } from '../../support/namespace-test.ts'
import {
  createTestContext,
  errnoOf,
  getTrain,
  type RemoteFields,
  remoteView,
  setTrain,
  type TestContext,
  waitFor,
} from '../../support/native-context.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

const EAGAIN = 11
const EINVAL = 22
const EMSGSIZE = 90
const ENETUNREACH = 101

const loopback = { 4: [127, 0, 0, 1], 6: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] } as const

interface Pair {
  readonly harness: TestContext
  readonly from: number
  readonly to: number
  readonly fromPort: number
  readonly remote: RemoteFields
}

/** Two sockets of one family, and the second as a remote. */
function openPair(family: 4 | 6, gro = true): Pair {
  const harness = createTestContext()
  const from = harness.native.openUdp({ family, port: 0, fwmark: 0, gro: false })
  const to = harness.native.openUdp({ family, port: 0, fwmark: 0, gro })
  const remote = { family, port: to.port, address: loopback[family] } as const
  return { harness, from: from.fd, to: to.fd, fromPort: from.port, remote }
}

/** Fills the send slab so that each byte depends on its place. */
function fillSlab({ memory }: TestContext): void {
  memory.sendSlab.forEach((_, i) => {
    memory.sendSlab[i] = (i * 7 + (i >> 8)) & 0xff
  })
}

/** Receives trains until there are `datagrams` in all, and returns their parts. */
function receive({ harness, to }: Pair, datagrams: number): Uint8Array[] {
  const { native, context, memory } = harness
  const parts: Uint8Array[] = []
  while (parts.length < datagrams) {
    waitFor(harness, to, POLL.IN)
    const trains = native.receiveUdp(context, to, 0, 4)
    assert.ok(trains > 0, `receiveUdp returned ${trains}`)
    for (let train = 0; train < trains; train++) {
      const offset = getTrain(memory, train, 'OFFSET')
      const length = getTrain(memory, train, 'LENGTH')
      const size = getTrain(memory, train, 'SEGMENT_SIZE')
      assert.equal(offset, train * TRAIN_BYTES + TRAIN_HEADROOM)
      for (let at = 0; at < length; at += size) {
        parts.push(memory.slab.slice(offset + at, offset + Math.min(at + size, length)))
      }
    }
  }
  return parts
}

for (const family of [4, 6] as const) {
  namespaceTest(`a train is sent and received in one piece over IPv${family}`, () => {
    const pair = openPair(family)
    const { harness, from, to, remote } = pair
    const { native, context, memory } = harness
    fillSlab(harness)
    const train = { OFFSET: 192, LENGTH: 1950, SEGMENT_SIZE: 100, TOS: 0xb9, FD: from }
    setTrain(memory, 0, train, { ...remote, source: loopback[family] })
    assert.equal(native.sendUdp(context, 0, 1, 1), 1)
    assert.equal(errnoOf(harness), 0)
    assert.equal(getTrain(memory, 0, 'SENT'), 20)
    assert.equal(memory.counters[noCable * COUNTER.WORDS + COUNTER.TRAINS], 1)

    waitFor(harness, to, POLL.IN)
    assert.equal(native.receiveUdp(context, to, 2, 4), 1)
    const got = { LENGTH: 1950, SEGMENT_SIZE: 100, TOS: 0xb9, FD: to, SLOT: -1, SENT: 0 } as const
    for (const [name, value] of Object.entries(got)) {
      assert.equal(getTrain(memory, 2, name as keyof typeof got), value, name)
    }
    const offset = 2 * TRAIN_BYTES + TRAIN_HEADROOM
    assert.equal(getTrain(memory, 2, 'OFFSET'), offset)
    assert.deepEqual(
      memory.slab.subarray(offset, offset + 1950),
      memory.sendSlab.subarray(192, 192 + 1950),
    )
    const view = remoteView(memory, 2)
    const bytes = (at: number) => [...new Uint8Array(view.buffer, view.byteOffset + at, 16)]
    const address = [...loopback[family], ...Array(12).fill(0)].slice(0, 16)
    assert.equal(view.getUint16(REMOTE.FAMILY, true), family === 4 ? 2 : 10)
    assert.equal(view.getUint16(REMOTE.PORT, true), pair.fromPort)
    assert.deepEqual(bytes(REMOTE.ADDRESS), address)
    assert.deepEqual(bytes(REMOTE.SOURCE), address)
    assert.equal(view.getUint32(REMOTE.SOURCE_IFINDEX, true), 1)
    assert.equal(native.receiveUdp(context, to, 0, 4), 0)
  })

  namespaceTest(`without segmentation each datagram goes by itself over IPv${family}`, () => {
    const pair = openPair(family)
    const { harness, from, remote } = pair
    fillSlab(harness)
    const { native, context, memory } = harness
    // Two trains of more than one chunk of sendmmsg, the first begun already.
    setTrain(memory, 0, { LENGTH: 6950, SEGMENT_SIZE: 100, FD: from, SENT: 5 }, remote)
    setTrain(memory, 1, { OFFSET: 7000, LENGTH: 40, SEGMENT_SIZE: 100, FD: from }, remote)
    assert.equal(native.sendUdp(context, 0, 2, 0), 2)
    assert.equal(errnoOf(harness), 0)
    const parts = receive(pair, 66)
    assert.equal(parts.length, 66)
    parts.forEach((part, i) => {
      const at = i === 65 ? 7000 : 500 + i * 100
      const length = i === 65 ? 40 : i === 64 ? 50 : 100
      assert.deepEqual(part, memory.sendSlab.subarray(at, at + length), `datagram ${i}`)
    })
  })
}

namespaceTest('a receiver without GRO gets the datagrams of a train one by one', () => {
  const pair = openPair(4, false)
  const { harness, from, remote } = pair
  fillSlab(harness)
  setTrain(harness.memory, 0, { LENGTH: 250, SEGMENT_SIZE: 100, FD: from }, remote)
  assert.equal(harness.native.sendUdp(harness.context, 0, 1, 1), 1)
  assert.deepEqual(
    receive(pair, 3).map(part => part.length),
    [100, 100, 50],
  )
})

namespaceTest('an empty datagram is sent and is received as a train of length 0', () => {
  const { harness, from, to, remote } = openPair(4)
  const { native, context, memory } = harness
  setTrain(memory, 0, { FD: from }, remote)
  assert.equal(native.sendUdp(context, 0, 1, 1), 1)
  waitFor(harness, to, POLL.IN)
  assert.equal(native.receiveUdp(context, to, 1, 1), 1)
  assert.equal(getTrain(memory, 1, 'LENGTH'), 0)
  assert.equal(remoteView(memory, 1).getUint16(REMOTE.FAMILY, true), 2)
})

namespaceTest('a train that is too big for the path stops with EMSGSIZE, singly it goes', () => {
  ip('link set lo mtu 1500')
  const pair = openPair(4)
  const { harness, from, remote } = pair
  const { native, context, memory } = harness
  fillSlab(harness)
  setTrain(memory, 0, { LENGTH: 300, SEGMENT_SIZE: 100, FD: from }, remote)
  setTrain(memory, 1, { OFFSET: 4096, LENGTH: 4000, SEGMENT_SIZE: 2000, FD: from }, remote)
  setTrain(memory, 2, { OFFSET: 8192, LENGTH: 60, SEGMENT_SIZE: 100, FD: from }, remote)
  assert.equal(native.sendUdp(context, 0, 3, 1), 1)
  assert.equal(errnoOf(harness), EMSGSIZE)
  assert.equal(getTrain(memory, 1, 'SENT'), 0)
  assert.equal(native.sendUdp(context, 1, 2, 0), 2)
  assert.equal(native.sendUdp(context, 2, 3, 1), 3)
  assert.equal(errnoOf(harness), 0)
  assert.deepEqual(
    receive(pair, 6).map(part => part.length),
    [100, 100, 100, 2000, 2000, 60],
  )
})

namespaceTest('trains of several sockets go in order, each from its own', () => {
  const { harness, from, to, remote } = openPair(4)
  const { native, context, memory } = harness
  const other = native.openUdp({ family: 4, port: 0, fwmark: 0, gro: false })
  const sockets = [from, from, other.fd, from]
  sockets.forEach((fd, i) => {
    setTrain(memory, i, { LENGTH: i + 1, SEGMENT_SIZE: 100, FD: fd }, remote)
  })
  assert.equal(native.sendUdp(context, 0, 4, 1), 4)
  waitFor(harness, to, POLL.IN)
  assert.equal(native.receiveUdp(context, to, 4, 12), 4)
  const ports = [4, 5, 6, 7].map(train => remoteView(memory, train).getUint16(REMOTE.PORT, true))
  assert.deepEqual(
    [4, 5, 6, 7].map(train => getTrain(memory, train, 'LENGTH')),
    [1, 2, 3, 4],
  )
  assert.deepEqual(
    ports.map(port => port === other.port),
    [false, false, true, false],
  )
})

namespaceTest('the source address of a remote is used, one that is not ours is refused', () => {
  const { harness, from, to, remote } = openPair(4)
  const { native, context, memory } = harness
  const words = { LENGTH: 10, SEGMENT_SIZE: 10, FD: from }
  setTrain(memory, 0, words, { ...remote, source: [127, 0, 0, 9] })
  setTrain(memory, 1, words, { ...remote, source: [192, 0, 2, 1] })
  assert.equal(native.sendUdp(context, 0, 2, 1), 1)
  assert.ok([EINVAL, ENETUNREACH].includes(errnoOf(harness)), 'as the kernel is old or new')
  waitFor(harness, to, POLL.IN)
  assert.equal(native.receiveUdp(context, to, 3, 1), 1)
  const view = remoteView(memory, 3)
  assert.equal(view.getUint32(REMOTE.ADDRESS), 0x7f_00_00_09)
  assert.equal(view.getUint32(REMOTE.SOURCE), 0x7f_00_00_01)
})

namespaceTest('a full send buffer stops with EAGAIN and goes on where it stopped', () => {
  const { harness, from, remote } = openPair(4)
  const { native, context, memory } = harness
  // A wire so slow that the buffer fills: its queue holds what the socket sent.
  const tbf = 'qdisc add dev lo root tbf rate 8kbit burst 70kb limit 100mb'
  execFileSync('tc', tbf.split(' '))
  const words = { LENGTH: 60_000, SEGMENT_SIZE: 1000, FD: from }
  let calls = 0
  for (let stopped = false; !stopped; calls++) {
    assert.ok(calls < 1000, 'the buffer never filled')
    setTrain(memory, 0, words, remote)
    setTrain(memory, 1, words, remote)
    const next = native.sendUdp(context, 0, 2, 0)
    stopped = errnoOf(harness) !== 0
    if (!stopped) assert.equal(next, 2)
    else {
      assert.equal(errnoOf(harness), EAGAIN)
      assert.equal(getTrain(memory, next, 'SENT') < 60, true)
      if (next === 1) assert.equal(getTrain(memory, 0, 'SENT'), 60)
    }
  }
  memory.polls.set([from, POLL.OUT, 0])
  assert.equal(native.poll(context, 1, 0, 0), 0)
  ip('link set lo down')
  execFileSync('tc', ['qdisc', 'del', 'dev', 'lo', 'root'])
  ip('link set lo up')
  waitFor(harness, from, POLL.OUT)
  const begun = getTrain(memory, 0, 'SENT') < 60 ? 0 : 1
  assert.equal(native.sendUdp(context, begun, 2, 0), 2)
  assert.equal(getTrain(memory, 1, 'SENT'), 60)
})

namespaceTest('random numbers in a train are an error and nothing else', () => {
  const { harness, from, remote } = openPair(4)
  const { native, context, memory } = harness
  const seed = testSeed()
  const random = seededRandom(seed)
  const words = ['OFFSET', 'LENGTH', 'SEGMENT_SIZE', 'SENT', 'TOS'] as const
  const value = () => {
    const kind = random()
    if (kind < 0.3) return Math.floor(random() * 2 ** 32) | 0
    return kind < 0.6 ? Math.floor(random() * 2 ** 17) : Math.floor(random() * 20) - 4
  }
  for (let round = 0; round < 2000; round++) {
    const train = Object.fromEntries(words.map(name => [name, value()]))
    // Port 9 of our own: nobody listens there.
    setTrain(memory, 0, { ...train, FD: from }, { ...remote, port: 9 })
    const next = native.sendUdp(context, 0, 1, random() < 0.5 ? 0 : 1)
    assert.ok(next === 1 ? errnoOf(harness) === 0 : next === 0 && errnoOf(harness) > 0, `${seed}`)
  }
})

test('trains outside the slab are refused before anything is received', () => {
  const { harness, to } = openPair(4)
  const { native, context, memory } = harness
  const trains = memory.trains.length / 32
  const refused = { name: 'RangeError' }
  assert.equal(native.receiveUdp(context, to, 0, 1000), 0)
  assert.equal(native.receiveUdp(context, to, trains, 1), 0)
  assert.throws(() => native.receiveUdp(context, to, trains + 1, 1), refused)
  assert.throws(() => native.receiveUdp(context, to, -1, 1), refused)
  assert.throws(() => native.receiveUdp(context, to, 0, -1), refused)
  assert.throws(() => native.sendUdp(context, 0, trains + 1, 1), refused)
  assert.throws(() => native.sendUdp(context, 1, 0, 1), refused)
  const small = { ...memory, slab: new Uint8Array(TRAIN_BYTES * 2 - 8) }
  const other = native.createContext(small)
  assert.equal(native.receiveUdp(other, to, 0, 1), 0)
  assert.throws(() => native.receiveUdp(other, to, 0, 2), refused)
  assert.equal(native.receiveUdp(context, 1_000_000, 0, 1), -9)
})

namespaceTest('a socket says what it got, and a port that is taken is named', () => {
  const { native } = createTestContext()
  const first = native.openUdp({ family: 4, port: 0, fwmark: 0, gro: true })
  assert.ok(first.port > 0)
  assert.equal(first.gro, true)
  assert.equal(first.segmentation, true)
  assert.equal(first.receiveBufferBytes, 8 << 20)
  assert.equal(first.sendBufferBytes, 4 << 20)
  const again = { family: 4, port: first.port, fwmark: 0, gro: true } as const
  assert.throws(() => native.openUdp(again), {
    code: 'EADDRINUSE',
    errno: 98,
    message: `bind UDP over IPv4, port ${first.port}: Address already in use`,
  })
  const both = native.openUdp({ ...again, family: 6 })
  assert.equal(both.port, first.port, 'the families do not share their ports')
  assert.throws(() => native.openUdp({ ...again, port: 65_536 }), { name: 'RangeError' })
})

namespaceTest('a socket that only sends drops what arrives', () => {
  const { harness, from, to, remote } = openPair(4)
  const { native, context, memory } = harness
  const options = { family: 4, port: 0, fwmark: 0, gro: false, sendOnly: true } as const
  const only = native.openUdp(options)
  const words = { LENGTH: 10, SEGMENT_SIZE: 10 }
  setTrain(memory, 0, { ...words, FD: from }, { ...remote, port: only.port })
  setTrain(memory, 1, { ...words, FD: only.fd }, remote)
  assert.equal(native.sendUdp(context, 0, 2, 1), 2)
  waitFor(harness, to, POLL.IN)
  assert.equal(native.receiveUdp(context, to, 2, 1), 1)
  assert.equal(remoteView(memory, 2).getUint16(REMOTE.PORT, true), only.port)
  // Loopback is not late: what was sent first would be there.
  assert.equal(native.receiveUdp(context, only.fd, 3, 1), 0)
})

namespaceTest('the mark of a socket decides its route', () => {
  ip('addr add 192.0.2.1/32 dev lo')
  ip('rule add fwmark 0xf0000001 table 100')
  ip('route add local 198.51.100.0/24 dev lo table 100')
  const { harness, to, remote } = openPair(4)
  const { native, context, memory } = harness
  const marked = native.openUdp({ family: 4, port: 0, fwmark: 0xf000_0001, gro: false })
  const send = () => {
    const words = { LENGTH: 10, SEGMENT_SIZE: 10, FD: marked.fd }
    setTrain(memory, 0, words, { ...remote, address: [198, 51, 100, 7] })
    native.sendUdp(context, 0, 1, 1)
    return errnoOf(harness)
  }
  assert.equal(send(), 0)
  assert.equal(native.setFwmark(marked.fd, 0), 0)
  assert.equal(send(), ENETUNREACH)
  assert.equal(native.setFwmark(1_000_000, 1), -9) // EBADF
  assert.equal(native.setFwmark(marked.fd, 0xf000_0001), 0)
  assert.equal(send(), 0)
  waitFor(harness, to, POLL.IN)
})

for (const family of [4, 6] as const) {
  namespaceTest(`pairs share a port and are steered to by receiver index over IPv${family}`, () => {
    const harness = createTestContext()
    const { native, context, memory } = harness
    const steerPairs = 4
    const open = (port: number) =>
      native.openUdp({ family, port, fwmark: 0, gro: false, steerPairs })
    const first = open(0)
    const sockets = [first, ...[1, 2, 3].map(() => open(first.port))]
    const sender = native.openUdp({ family, port: 0, fwmark: 0, gro: false })
    const remote = { family, port: first.port, address: loopback[family] } as const
    const cases: [bytes: number[], pair: number][] = []
    for (let pair = 0; pair < steerPairs; pair++) {
      const index = [0xf0 | pair, 0xa5, 0x5a, 0x3c]
      cases.push([[4, 0, 0, 0, ...index, 9, 9, 9, 9], pair])
      cases.push([[3, 0, 0, 0, ...index], pair])
      cases.push([[2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, ...index], pair])
      // Initiations, VXLAN and what is neither are the first's.
      for (const type of [0, 1, 5, 8, 255]) cases.push([[type, 0, 0, 0, ...index, ...index], 0])
    }
    // Too short for an index.
    cases.push([[4], 0], [[2, 0, 0, 0, 1, 1, 1, 1], 0])
    // The whole first word counts.
    cases.push([[4, 1, 0, 0, 1, 1, 1, 1], 0], [[3, 0, 0, 9, 1, 1, 1, 1], 0])
    for (const [bytes, pair] of cases) {
      memory.sendSlab.set(bytes, 192)
      const train = { OFFSET: 192, LENGTH: bytes.length, SEGMENT_SIZE: bytes.length, FD: sender.fd }
      setTrain(memory, 0, train, { ...remote, source: loopback[family] })
      assert.equal(native.sendUdp(context, 0, 1, 1), 1)
      const found = sockets.findIndex(({ fd }) => native.receiveUdp(context, fd, 0, 4) === 1)
      assert.equal(found, pair, `datagram ${bytes}`)
    }
    for (const { fd } of [...sockets, sender]) closeSync(fd)
  })
}
