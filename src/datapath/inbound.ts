// The way in, from the UDP sockets to the TUN device. One breath, in order:
//
//   1. requests    of the outbound worker: handshakes wanted, sends to watch
//   2. tick        timers that are due
//   3. receiveUdp  trains of datagrams from each socket                               (native)
//   4. claim       trains of VXLAN remotes get their slot
//   5. open        authenticate, check replays, coalesce into rows                    (native)
//   6. verdict     per row: decode, source, finish, mark, fit; each passes it on or drops it
//   7. writeTun    superpackets into the TUN device                                   (native)
//   8. step        at most one queued handshake
//   9. flush       handshakes, keepalives, ARP out
//
// This worker owns the sessions: it alone runs the protocols and publishes keys and remotes.

import type { CableDriver, Message } from '../cable/driver.ts'
import type { Outbox } from '../cable/outbox.ts'
import type { Publisher } from '../cable/publisher.ts'
import type { VxlanDriver } from '../cable/vxlan.ts'
import type { WireguardDriver } from '../cable/wireguard.ts'
import type { Tap } from '../capture/tap.ts'
import type { BreathFunctions, Context, ContextMemory } from '../native.ts'
import { consumed, KIND, POLL, ROW, TRAIN } from '../packet/batch.ts'
import { mergeEcn, setEcn } from '../packet/ecn.ts'
import { TCP } from '../packet/headers.ts'
import type { PacketView } from '../packet/packet-view.ts'
import { clampMss } from '../routing/mss.ts'
import { buildTrie, type PrefixTable, PrefixTrie } from '../routing/prefix-trie.ts'
import { COUNTER, drop, noCable } from '../tables/counters.ts'
import { CABLE, cableFlag, INSTANT, ownerOf, REMOTE } from '../tables/shared.ts'
import type { CableTable } from '../tables/tables.ts'
import type { ForeignGate } from './foreign.ts'
import { joinFrame, markUnfinished } from './unfinished.ts'

export interface InboundParts {
  readonly native: BreathFunctions
  readonly context: Context
  readonly batch: ContextMemory
  readonly packet: PacketView
  readonly tunFd: number
  readonly publisher: Publisher
  readonly wireguard: WireguardDriver
  readonly vxlan: VxlanDriver
  readonly outbox: Outbox
  readonly foreign: ForeignGate
  readonly tap: Tap
}

export class Inbound {
  readonly #parts: InboundParts
  readonly #drivers: readonly CableDriver[]
  readonly #trainBytes: Uint8Array
  readonly #message: Message
  /** Cables that exist, for the requests of the outbound worker. */
  readonly #known = new Set<number>()
  #routes = new PrefixTrie(buildTrie([]))
  #sockets: readonly number[] = []
  /** The slot and train seen last in this breath: equal rows need no second look. */
  #seenSlot = -1
  #seenTrain = -1
  #seenData = false
  #mayHaveQueued = false
  /** By train: bytes of the segments of the UDP superpacket that it is, else 0 (unfinished.ts). */
  readonly #segmentBytes: Int32Array

  constructor(parts: InboundParts) {
    this.#parts = parts
    this.#drivers = [parts.wireguard, parts.vxlan]
    this.#trainBytes = new Uint8Array(parts.batch.trains.buffer)
    this.#segmentBytes = new Int32Array(parts.batch.trains.length / TRAIN.WORDS)
    this.#message = {
      slab: parts.batch.slab,
      offset: 0,
      lengthBytes: 0,
      remote: new Uint8Array(REMOTE.BYTES),
      cable: -1,
    }
  }

  /** Allowed sources and sockets of a new snapshot. Cables are told to their drivers. */
  apply(routes: PrefixTable, sockets: readonly number[]): void {
    this.#routes = new PrefixTrie(routes)
    this.#sockets = sockets.filter(fd => fd >= 0)
  }

  /** Makes or changes a cable, if it is this pair's. False: a table is full. */
  setCable(cable: number, table: CableTable, mtuBytes: number, nowMs: number): boolean {
    const { wireguard, vxlan, publisher } = this.#parts
    const { pair, pairs } = publisher.memory
    const owner = ownerOf(cable, table.driver === 'vxlan', pairs)
    if (owner !== pair) {
      if (pair === 0 && table.driver === 'wireguard') wireguard.setElsewhere(cable, owner, table)
      return true
    }
    this.#known.add(cable)
    if (table.driver === 'wireguard') return wireguard.set(cable, table, mtuBytes, nowMs)
    return vxlan.set(cable, table, mtuBytes, nowMs)
  }

  removeCable(cable: number, nowMs: number): void {
    this.#known.delete(cable)
    for (const driver of this.#drivers) driver.remove(cable, nowMs)
  }

  suspend(nowMs: number): void {
    for (const driver of this.#drivers) driver.suspend(nowMs)
  }

  resume(nowMs: number): void {
    for (const driver of this.#drivers) driver.resume(nowMs)
  }

  /** Writes what to wait for into `polls`; returns the number of entries. */
  watch(polls: Int32Array): number {
    let at = 0
    for (const fd of this.#sockets) {
      polls[at] = fd
      polls[at + 1] = POLL.IN
      at += POLL.WORDS
    }
    return this.#sockets.length
  }

  /** When the next breath is due without a datagram. */
  nextDeadlineMs(): number {
    if (this.#mayHaveQueued) return 0
    let next = Number.POSITIVE_INFINITY
    for (const driver of this.#drivers) next = Math.min(next, driver.nextDeadlineMs())
    return next
  }

  /** One breath. `isWoken`: the outbound worker or main has something for us. */
  breathe(nowMs: number, isWoken: boolean): void {
    const { native, context, publisher, outbox, wireguard } = this.#parts
    if (isWoken) {
      this.#takeRequests(nowMs)
      if (publisher.memory.pair > 0) wireguard.takeHandovers()
    }
    for (const driver of this.#drivers) if (driver.nextDeadlineMs() <= nowMs) driver.tick(nowMs)

    const receives = this.#mayHaveQueued ? receivesPerHandshake : 1
    for (const fd of this.#sockets) {
      let trains = trainsPerReceive
      for (let i = 0; i < receives && trains === trainsPerReceive; i++) {
        trains = native.receiveUdp(context, fd, 0, trainsPerReceive)
        if (trains > 0) this.#receive(trains, nowMs)
      }
    }

    this.#mayHaveQueued = false
    for (const driver of this.#drivers) if (driver.step(nowMs)) this.#mayHaveQueued = true
    outbox.flush()
    if (outbox.takeSourceFailed()) for (const cable of this.#known) this.#takeSourceFailed(cable)
    // Now nothing of this breath names an entry that was retired in it.
    publisher.slots.collect()
    publisher.remotes.collect()
  }

  #receive(trains: number, nowMs: number): void {
    const { native, context, tunFd, batch, tap } = this.#parts
    for (let train = 0; train < trains; train++) this.#claim(train)
    if (tap.isOn) tap.keep(batch.slab, batch.trains, trains)
    const count = native.open(context, 0, trains, nowMs)
    this.#seenSlot = -1
    for (let row = 0; row < count; row++) this.#judge(row * ROW.WORDS, nowMs)
    if (tap.isOn) {
      tap.received(batch.trains, trains)
      tap.rows(batch, count, false)
    }
    native.writeTun(context, tunFd, 0, count)
  }

  /** The first byte tells VXLAN from WireGuard (whose first word is 1-4) and from IKE (0). */
  #claim(train: number): void {
    const { batch, vxlan } = this.#parts
    const { trains, slab } = batch
    const at = train * TRAIN.WORDS
    const slot = isVxlan(slab, trains[at + TRAIN.OFFSET], trains[at + TRAIN.LENGTH])
      ? vxlan.slotFor(trains, at + TRAIN.REMOTE)
      : -1
    trains[at + TRAIN.SLOT] = slot
    this.#segmentBytes[train] = slot < 0 ? 0 : joinFrame(slab, trains, at)
  }

  #judge(base: number, nowMs: number): void {
    const { batch } = this.#parts
    const { rows, counters } = batch
    if (rows[base + ROW.KIND] === KIND.message) {
      this.#handle(base, nowMs)
      return
    }
    this.#authenticated(base, nowMs)
    if (rows[base + ROW.KIND] === KIND.keepalive) {
      rows[base + ROW.DROP] = consumed
      return
    }
    const reason = rows[base + ROW.DROP] || this.#verdict(base)
    if (reason === drop.none) return
    rows[base + ROW.DROP] = reason
    const row = rows[base + ROW.CABLE] * COUNTER.WORDS
    counters[row + reason] += Math.max(1, rows[base + ROW.SEGMENTS])
  }

  /** The stages of a row, in order. Returns the reason for which it goes no further, or 0. */
  #verdict(base: number): number {
    const { batch, packet } = this.#parts
    const { rows } = batch
    if (!packet.decode(rows[base + ROW.OFFSET], rows[base + ROW.LENGTH])) {
      return drop.malformedInner
    }
    return this.#source(base) || this.#finish(base) || this.#mark(base) || this.#fit(base)
  }

  /** The longest prefix of the source must belong to the cable that it came by. */
  #source(base: number): number {
    const { batch, packet } = this.#parts
    const owner =
      packet.version === 4
        ? this.#routes.lookup4(packet.source4 | 0)
        : this.#routes.lookup6(batch.slab, packet.sourceOffset)
    return owner === batch.rows[base + ROW.CABLE] ? 0 : drop.sourceNotAllowed
  }

  /** What a kernel vxlan device has left unfinished is finished behind the TUN device. */
  #finish(base: number): number {
    const { batch, packet, publisher } = this.#parts
    const { rows, trains, counters } = batch
    const train = rows[base + ROW.TRAIN]
    if (rows[base + ROW.CSUM] !== 0 || trains[train * TRAIN.WORDS + TRAIN.SLOT] < 0) return 0
    const cable = rows[base + ROW.CABLE]
    const mtu = publisher.memory.cables[cable * CABLE.WORDS + CABLE.MTU]
    markUnfinished(rows, base, packet, mtu, this.#segmentBytes[train])
    // It was counted as one packet.
    counters[cable * COUNTER.WORDS + COUNTER.RX_PACKETS] += rows[base + ROW.SEGMENTS] - 1
    return 0
  }

  /** Congestion that was marked on the way goes on inside (RFC 6040). */
  #mark(base: number): number {
    const { batch, packet } = this.#parts
    const outer = batch.rows[base + ROW.TOS] & 3
    const inner = packet.tos & 3
    if (outer === 0 || outer === inner) return 0
    const merged = mergeEcn(inner, outer)
    if (merged < 0) return drop.ecnNotCapable
    if (merged !== inner) {
      setEcn(batch.slab, batch.rows[base + ROW.OFFSET], packet.version, merged)
    }
    return 0
  }

  /** TCP is told the MSS of the way back. */
  #fit(base: number): number {
    const { batch, packet, publisher } = this.#parts
    if ((packet.tcpFlags & TCP.SYN) !== 0) {
      const mtu = publisher.memory.cables[batch.rows[base + ROW.CABLE] * CABLE.WORDS + CABLE.MTU]
      clampMss(batch.slab, packet, mtu, batch.rows[base + ROW.CSUM] !== 0)
    }
    return 0
  }

  /** Something was authenticated: timers, keys and the way back follow it. */
  #authenticated(base: number, nowMs: number): void {
    const { batch, publisher, wireguard } = this.#parts
    const { rows } = batch
    const slot = rows[base + ROW.SLOT]
    const train = rows[base + ROW.TRAIN]
    const hasData = rows[base + ROW.KIND] === KIND.data
    if (slot === this.#seenSlot && train === this.#seenTrain && this.#seenData === hasData) return
    const cable = rows[base + ROW.CABLE]
    const flags = publisher.memory.cables[cable * CABLE.WORDS + CABLE.FLAGS]
    publisher.memory.instants[cable * INSTANT.WORDS + INSTANT.RECEIVED] = nowMs
    if ((flags & cableFlag.vxlan) === 0) {
      wireguard.authenticated(slot, hasData, nowMs)
      this.#follow(cable, train)
    }
    this.#seenSlot = slot
    this.#seenTrain = train
    this.#seenData = hasData
  }

  /** Roaming: we send to where the newest authenticated datagram came from, by the way it came. */
  #follow(cable: number, train: number): void {
    const { batch, publisher } = this.#parts
    const word = train * TRAIN.WORDS + TRAIN.REMOTE
    const entry = publisher.remoteOf(cable)
    if (entry >= 0 && publisher.remotes.equals(entry, batch.trains, word)) return
    publisher.setRemote(cable, this.#trainBytes.subarray(word * 4, word * 4 + REMOTE.BYTES))
  }

  /** A datagram that is no data message: a handshake, ARP, or nobody's. */
  #handle(base: number, nowMs: number): void {
    const { batch, wireguard, vxlan, foreign, tap } = this.#parts
    const { rows, slab, counters } = batch
    const message = this.#message
    rows[base + ROW.DROP] = consumed
    message.offset = rows[base + ROW.OFFSET]
    message.lengthBytes = rows[base + ROW.LENGTH]
    message.cable = rows[base + ROW.CABLE]
    const train = rows[base + ROW.TRAIN] * TRAIN.WORDS
    const at = (train + TRAIN.REMOTE) * 4
    message.remote.set(this.#trainBytes.subarray(at, at + REMOTE.BYTES))
    let reason: number
    if (message.cable >= 0) reason = vxlan.message(message, nowMs)
    else if (isWireguard(slab, message.offset, message.lengthBytes)) {
      reason = wireguard.message(message, nowMs)
    } else if (isVxlan(slab, message.offset, message.lengthBytes)) reason = drop.vxlanWrongRemote
    else reason = foreign.receive(message, nowMs)
    if (reason === 0) return
    const row = message.cable >= 0 ? message.cable : noCable
    counters[row * COUNTER.WORDS + reason]++
    if (tap.isOn) tap.dropped(batch.trains, train, message.offset, reason)
  }

  /** Flags that the outbound worker has set since the last time. */
  #takeRequests(nowMs: number): void {
    const { publisher, wireguard, vxlan } = this.#parts
    const { cables } = publisher.memory
    for (const cable of this.#known) {
      const at = cable * CABLE.WORDS
      const driver: CableDriver =
        (cables[at + CABLE.FLAGS] & cableFlag.vxlan) !== 0 ? vxlan : wireguard
      this.#takeSourceFailed(cable)
      if (Atomics.exchange(cables, at + CABLE.WANTS_HANDSHAKE, 0) === 1) {
        driver.wanted(cable, nowMs)
      }
      if (cables[at + CABLE.WATCHED] === 1) driver.watch(cable, nowMs)
    }
  }

  /** A sender found that the local address of the cable's remote is gone. */
  #takeSourceFailed(cable: number): void {
    const { publisher } = this.#parts
    const at = cable * CABLE.WORDS + CABLE.SOURCE_FAILED
    if (Atomics.exchange(publisher.memory.cables, at, 0) === 1) publisher.clearSource(cable)
  }
}

/** Enough to batch, few enough to stay in the cache. */
const trainsPerReceive = 4

/**
 * A handshake takes about as long as four whole trains. While some wait, a breath takes more of what
 * is there before it makes the next: traffic keeps most of the worker's time, however many come.
 */
const receivesPerHandshake = 4

/** Flags with a valid VNI and a reserved byte of zero (RFC 7348 5). */
function isVxlan(slab: Uint8Array, offset: number, lengthBytes: number): boolean {
  return lengthBytes >= 8 && slab[offset] === 0x08 && slab[offset + 1] === 0
}

/** The whole first word counts: a STUN answer also begins with 0x01. */
function isWireguard(slab: Uint8Array, offset: number, lengthBytes: number): boolean {
  return (
    lengthBytes >= 4 &&
    slab[offset] >= 1 &&
    slab[offset] <= 4 &&
    (slab[offset + 1] | slab[offset + 2] | slab[offset + 3]) === 0
  )
}
