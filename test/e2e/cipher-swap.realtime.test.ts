// The proof of the live swap: a million numbered datagrams and a TCP transfer go on while the cable
// changes between ChaCha20-Poly1305 and AES-256-GCM ten times, by `hawser cable set` at both ends.
// None of them is lost or reordered beyond the replay window, and every counter of drops stands still.
//
// The pace is at most half of what the path was measured to carry, and the queues in front of it are
// long: other tests run beside this one, and a worker that has to wait for the CPU is no loss.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { collect, ended } from '../../src/lab/process.ts'
import type { CipherName } from '../../src/tables/cipher.ts'
import { REPLAY } from '../../src/tables/shared.ts'
import { cableRoutes, east, makeClusters, west } from '../support/e2e/clusters.ts'
import { device, type Gateway, hawser } from '../support/e2e/gateway.ts'
import { carriedPerSecond, sendNumbered } from '../support/e2e/numbered.ts'
import { joinByWireguard } from '../support/e2e/wireguard.ts'
import { eventually } from '../support/eventually.ts'
import type { Spaces } from '../support/namespaces.ts'

const datagrams = 1_000_000
const bytes = 256
const perSecondMost = 15_000
const swaps = 10
/** Initiations are at least 5 s apart. */
const apartMs = 6_200
const queueLength = 20_000
/** Bits of the replay window; the word at its edge is not whole. */
const windowMessages = (REPLAY.WORDS - 1) * 64

const chacha = 'chacha20-poly1305'
const aes = 'aes-256-gcm'
const way = { from: east.pod, to: west.pod, address: west.podAddress }

/** Changes what a gateway prefers, as an operator does. */
async function prefer(spaces: Spaces, gateway: Gateway, cable: string, first: CipherName) {
  const list = first === aes ? `${aes},${chacha}` : `${chacha},${aes}`
  const command = [hawser, 'cable', 'set', cable, '--interface', device, '--cipher', list]
  await spaces.mustRun(gateway.space, [...command, '--remote-ciphers', list])
}

async function dropsOf(gateway: Gateway, cable: string) {
  const [{ drops }, status] = await Promise.all([gateway.cable(cable), gateway.status()])
  // What the kernel sends on every device by itself is none of ours.
  const { 'link-local': _, 'no-route': __, ...others } = status.drops
  return { ...drops, ...others }
}

/** Packets that the kernel has dropped at the devices of a space, in either direction. */
async function kernelDrops(spaces: Spaces, space: string): Promise<number> {
  const script = 'cat /sys/class/net/*/statistics/[rt]x_dropped'
  const text = await spaces.mustRun(space, ['sh', '-c', script])
  return text
    .trim()
    .split('\n')
    .reduce((sum, line) => sum + Number(line), 0)
}

/** A TCP transfer at a moderate rate until the end; gives the bytes that each second brought. */
async function startTransfer(spaces: Spaces) {
  const server = spaces.start(west.pod, ['iperf3', '-s', '-1', '--forceflush'])
  const said = collect(server)
  await eventually(
    () => said().stdout.includes('Server listening'),
    () => String(said().stderr),
  )
  const command = ['iperf3', '-J', '-t', '3600', '-b', '20M', '-l', '16K', '-c', west.podAddress]
  const client = spaces.start(east.pod, ['sh', '-c', 'echo $$; exec "$@"', 'sh', ...command])
  const output = collect(client)
  const end = ended(client)
  return async () => {
    // It prints what it has, as at a Ctrl-C.
    await spaces.mustRun(east.pod, ['kill', '-INT', String(output().stdout).split('\n')[0]])
    await end
    const { intervals } = JSON.parse(String(output().stdout).replace(/^\d+\n/, '')) as {
      intervals: { sum: { bytes: number; seconds: number; retransmits: number } }[]
    }
    return intervals.map(({ sum }) => sum)
  }
}

/** Ten swaps, each seen at both ends before the next. */
async function swapTenTimes(spaces: Spaces, ends: { east: Gateway; west: Gateway }) {
  for (let swap = 0; swap < swaps; swap++) {
    const nextAt = performance.now() + apartMs
    const wanted = swap % 2 === 0 ? aes : chacha
    const order = [
      () => prefer(spaces, ends.east, west.gateway, wanted),
      () => prefer(spaces, ends.west, east.gateway, wanted),
    ]
    // One side hears of it first, in turns; then both at once.
    if (swap % 3 === 0) order.reverse()
    if (swap % 3 === 2) await Promise.all(order.map(change => change()))
    else for (const change of order) await change()
    const ciphers = async () => [
      (await ends.east.cable(west.gateway)).cipher,
      (await ends.west.cable(east.gateway)).cipher,
    ]
    await eventually(
      async () => (await ciphers()).every(cipher => cipher === wanted),
      () => `swap ${swap} to ${wanted}`,
    )
    await delay(Math.max(0, nextAt - performance.now()))
  }
}

test('ten swaps under a million datagrams and a TCP transfer lose and reorder nothing', async t => {
  const spaces = await makeClusters(t)
  const ends = await joinByWireguard(spaces)
  for (const [own, other] of [
    [east, west],
    [west, east],
  ] as const) {
    await cableRoutes(spaces, own, other.prefixes)
    await spaces.configure(own.gateway, [`link set ${device} txqueuelen ${queueLength}`])
  }
  await prefer(spaces, ends.east, west.gateway, chacha)
  await prefer(spaces, ends.west, east.gateway, chacha)
  // A session first: a flood would overflow the queue in front of it.
  await sendNumbered(spaces, way, { count: 10, perSecond: 100, bytes })
  const carried = await carriedPerSecond(spaces, way, { seconds: 3, bytes })
  const perSecond = Math.floor(Math.min(perSecondMost, carried / 2))
  const gateways = [ends.east.space, ends.west.space]
  const kernelBefore = await Promise.all(gateways.map(space => kernelDrops(spaces, space)))
  const before = [await dropsOf(ends.east, 'west'), await dropsOf(ends.west, 'east')]
  const handshakesBefore = (await ends.east.cable('west')).counters['handshakes'] ?? 0
  const endTransfer = await startTransfer(spaces)

  const [counted] = await Promise.all([
    sendNumbered(spaces, way, { count: datagrams, perSecond, bytes }),
    swapTenTimes(spaces, ends),
  ])
  const intervals = await endTransfer()
  const after = [await dropsOf(ends.east, 'west'), await dropsOf(ends.west, 'east')]
  const kernelAfter = await Promise.all(gateways.map(space => kernelDrops(spaces, space)))
  const retransmits = intervals.reduce((sum, interval) => sum + interval.retransmits, 0)
  const told = JSON.stringify({
    retransmits,
    carried,
    perSecond,
    counted,
    before,
    after,
    kernelBefore,
    kernelAfter,
  })
  t.diagnostic(told)

  assert.equal(counted.sent, datagrams)
  assert.ok(counted.seconds > (swaps * apartMs) / 1000, `the datagrams ended early: ${told}`)
  assert.deepEqual(
    [counted.distinct, counted.received, counted.drops],
    [datagrams, datagrams, 0],
    told,
  )
  assert.ok(counted.deepest <= windowMessages, told)
  assert.deepEqual(after, before, told)
  assert.deepEqual(kernelAfter, kernelBefore, told)
  const handshakes = (await ends.east.cable('west')).counters['handshakes'] ?? 0
  assert.ok(handshakes - handshakesBefore >= swaps, told)
  assert.ok(intervals.length > (swaps * apartMs) / 1000, JSON.stringify(intervals))
  for (const interval of intervals.filter(({ seconds }) => seconds > 0.5)) {
    assert.ok(interval.bytes > 0, `TCP stood still: ${JSON.stringify(intervals)}`)
  }
})
