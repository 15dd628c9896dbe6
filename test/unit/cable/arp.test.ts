import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ArpResolver, arpFrameBytes, buildArp, parseArp } from '../../../src/cable/arp.ts'

const ownMac = Uint8Array.of(2, 0, 0, 0, 0, 1)
const otherMac = Uint8Array.of(2, 0, 0, 0, 0, 2)
const own = 0xf1000001
const other = 0xf1000002

test('a request is a broadcast that reads back', () => {
  const frame = buildArp(true, ownMac, own, undefined, other)
  assert.deepEqual(frame.slice(0, 6), new Uint8Array(6).fill(0xff))
  assert.deepEqual(parseArp(frame), {
    isRequest: true,
    senderMac: ownMac,
    senderAddress: own,
    targetAddress: other,
  })
})

test('a reply goes to the one who asked', () => {
  const frame = buildArp(false, ownMac, own, otherMac, other)
  assert.deepEqual(frame.slice(0, 6), otherMac)
  assert.equal(parseArp(frame)?.isRequest, false)
})

test('every truncation and every changed byte of the header is refused or harmless', () => {
  const frame = buildArp(true, ownMac, own, undefined, other)
  for (let length = 0; length < arpFrameBytes; length++) {
    assert.equal(parseArp(frame.subarray(0, length)), undefined)
  }
  for (let at = 12; at < 20; at++) {
    const broken = frame.slice()
    broken[at] ^= 0x40
    assert.equal(parseArp(broken), undefined, `byte ${at}`)
  }
})

test('asked three times, a second apart, then given up, and asked again when wanted', () => {
  const arp = new ArpResolver()
  assert.equal(arp.wanted(1000).kind, 'ask')
  assert.equal(arp.wanted(1001).kind, 'none')
  assert.equal(arp.tick(1999, 0, 0).kind, 'none')
  assert.equal(arp.tick(2000, 0, 0).kind, 'ask')
  assert.equal(arp.tick(3000, 0, 0).kind, 'ask')
  assert.equal(arp.tick(4000, 0, 0).kind, 'gaveUp')
  assert.equal(arp.nextDeadlineMs(), Number.POSITIVE_INFINITY)
  assert.equal(arp.wanted(4001).kind, 'ask')
})

test('a cable that sends has its MAC confirmed each minute, by unicast', () => {
  const arp = new ArpResolver()
  assert.equal(arp.learn(otherMac, 0), true)
  assert.equal(arp.learn(otherMac, 1000), false)
  assert.equal(arp.tick(60_999, 60_000, 0).kind, 'none')
  const dueMs = arp.nextDeadlineMs()
  assert.deepEqual(arp.tick(dueMs, 60_000, 0), { kind: 'ask', mac: otherMac })
  // No answer: twice more by unicast, then by broadcast.
  assert.equal(arp.tick(dueMs + 1000, 61_000, 0).kind, 'ask')
  assert.equal(arp.tick(dueMs + 2000, 62_000, 0).kind, 'ask')
  assert.deepEqual(arp.tick(dueMs + 3000, 63_000, 0), { kind: 'ask', mac: undefined })
  assert.equal(arp.mac, undefined)
})

test('a cable that sends and hears nothing has its MAC confirmed after 5 s', () => {
  const arp = new ArpResolver()
  arp.learn(otherMac, 0)
  assert.equal(arp.tick(2500, 2500, 2500).kind, 'none')
  assert.deepEqual(arp.tick(5000, 5000, 5000), { kind: 'ask', mac: otherMac })
  arp.learn(otherMac, 5001)
  assert.equal(arp.tick(7501, 7500, 2500).kind, 'none')
})

test('a quiet cable is left alone until it sends again', () => {
  const arp = new ArpResolver()
  arp.learn(otherMac, 0)
  assert.equal(arp.tick(200_000, 10, 0).kind, 'none')
  assert.equal(arp.nextDeadlineMs(), Number.POSITIVE_INFINITY)
  assert.deepEqual(arp.mac, otherMac)
  arp.wake(300_000)
  assert.equal(arp.tick(300_000, 300_000, 0).kind, 'ask')
})

test('another MAC is a change', () => {
  const arp = new ArpResolver()
  arp.learn(otherMac, 0)
  assert.equal(arp.learn(ownMac, 5), true)
  assert.deepEqual(arp.mac, ownMac)
})
