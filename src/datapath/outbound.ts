// The way out, from the TUN device to the UDP socket. One breath, in order:
//
//   1. resume      what the socket did not take in the breath before
//   2. release     packets that waited for a key which is there now
//   3. readTun     superpackets from the TUN device into the rows of a batch          (native)
//   4. verdict     per row: decode, route, fit, mark, key; each passes it on or drops it
//   5. send        cut into segments, seal into trains, send                          (native)
//   6. answer      ICMP errors back to the senders, into the TUN device               (native)
//
// A row is a superpacket: one route, one verdict, one nonce range for up to 64 KB. This worker reads
// tables that others publish. What outlives a breath here, packets that wait for a key or for a full
// socket, names no slot and no remote: those are looked up when the packets go on.

import { SlotView } from '../cable/slots.ts'
import type { Tap } from '../capture/tap.ts'
import type { BreathFunctions, Context, ContextMemory } from '../native.ts'
import { consumed, POLL, ROW, ROW_HEADROOM, segmentBytes } from '../packet/batch.ts'
import { outerEcn } from '../packet/ecn.ts'
import { PROTOCOL, TCP } from '../packet/headers.ts'
import type { PacketView } from '../packet/packet-view.ts'
import { clampMss } from '../routing/mss.ts'
import { buildTrie, type PrefixTable, PrefixTrie } from '../routing/prefix-trie.ts'
import { COUNTER, type DropReason, drop, noCable } from '../tables/counters.ts'
import { CABLE, cableFlag, INSTANT, ownerOf, REMOTE, type SharedMemory } from '../tables/shared.ts'
import type { Answers } from './answers.ts'
import { Fragments } from './fragments.ts'
import type { Sender } from './sender.ts'
import { Staging } from './staging.ts'

/** The sockets that datagrams leave by, -1 for a family that the host does not have. */
export interface SendSockets {
  readonly ipv4: number
  readonly ipv6: number
  /** VXLAN only: sockets bound to other ports, so that flows differ in their source port. */
  readonly entropy4: readonly number[]
  readonly entropy6: readonly number[]
}

/** A batch with its context and sender. */
export interface Lane {
  readonly batch: ContextMemory
  readonly context: Context
  readonly sender: Sender
  readonly packet: PacketView
}

export interface OutboundParts {
  readonly native: BreathFunctions
  readonly memory: SharedMemory
  /** This worker's counters. */
  readonly counters: Float64Array
  readonly tunFd: number
  /** Packets of this breath, and packets made on the slow path (released, fragmented). */
  readonly main: Lane
  readonly side: Lane
  /** ICMP errors on their way back. */
  readonly answers: Answers
  /** Wakes the inbound worker of a pair. */
  readonly wakeInbound: (pair: number) => void
  /** Tells the main thread that a device that was down is up. */
  readonly tellUp: () => void
  /** Datagrams that one train may hold; 1 where UDP_SEGMENT is off. */
  readonly segmentsMax: number
  /** By cable: the remote to which the kernel refused a train, or -1 (see sender.ts). */
  readonly unsegmented: Int32Array
  readonly tap: Tap
}

export class Outbound {
  readonly #parts: OutboundParts
  readonly #slots: SlotView
  readonly #cables: Int32Array
  /** Our own instants, and those in which the inbound workers tell of what they received. */
  readonly #instants: Float64Array
  readonly #received: Float64Array
  readonly #remotes: Uint8Array
  readonly #remotes16: Uint16Array
  readonly #staging: Staging
  readonly #fragments: Fragments
  #routes = new PrefixTrie(buildTrie([]))
  #sockets: SendSockets = { ipv4: -1, ipv6: -1, entropy4: [], entropy6: [] }
  #isBlocked = false
  #isDown = false

  constructor(parts: OutboundParts) {
    this.#parts = parts
    this.#slots = new SlotView(parts.memory)
    this.#staging = new Staging(parts.memory.pairs)
    this.#cables = parts.memory.cables
    this.#instants = parts.memory.sent[parts.memory.pair]
    this.#received = parts.memory.instants
    this.#remotes = parts.memory.remotes
    this.#remotes16 = new Uint16Array(parts.memory.remotes.buffer)
    this.#fragments = new Fragments(parts.side.batch)
  }

  /** Routes and sockets of a new snapshot. */
  apply(routes: PrefixTable, sockets: SendSockets): void {
    this.#routes = new PrefixTrie(routes)
    if (sockets.ipv4 !== this.#sockets.ipv4 || sockets.ipv6 !== this.#sockets.ipv6) {
      // What is sealed already waits for sockets that are about to be closed.
      this.#parts.main.sender.dropSealed()
      this.#parts.side.sender.dropSealed()
    }
    this.#sockets = sockets
  }

  /** Forgets what a cable's row held before: its index is given to another cable. */
  forget(cable: number): void {
    this.#staging.dropAll(cable)
    for (const { batch, sender } of [this.#parts.main, this.#parts.side]) {
      for (let row = sender.firstUnsealed; row < sender.endUnsealed; row++) {
        const base = row * ROW.WORDS
        if (batch.rows[base + ROW.CABLE] === cable) batch.rows[base + ROW.DROP] = drop.noSlot
      }
    }
    this.#parts.unsegmented[cable] = -1
    this.#parts.counters.fill(0, cable * COUNTER.WORDS, (cable + 1) * COUNTER.WORDS)
    this.#instants.fill(0, cable * INSTANT.WORDS, cable * INSTANT.WORDS + INSTANT.RECEIVED)
  }

  /** The device went down or came up. */
  setLink(up: boolean): void {
    this.#isDown = !up
  }

  /** Writes what to wait for into `polls`; returns the number of entries. */
  watch(polls: Int32Array): number {
    polls[0] = this.#isBlocked ? this.#blockedFd() : this.#parts.tunFd
    // A TUN device takes packets, and says so, only while it is up (tun_chr_poll).
    polls[1] = this.#isBlocked ? POLL.OUT : this.#isDown ? POLL.IN | POLL.OUT : POLL.IN
    return 1
  }

  /** One breath. Returns 0, or a negative errno when the TUN device is gone. */
  breathe(nowMs: number): number {
    const { native, main, side, tunFd, answers, tap } = this.#parts
    answers.begin(nowMs)
    if (this.#isDown && !this.#isBlocked) this.#lookForLink()
    this.#renew(side)
    this.#renew(main)
    this.#isBlocked = !(side.sender.resume() && main.sender.resume())
    if (this.#isBlocked) return 0
    if (!this.#staging.isEmpty) this.#release(nowMs)
    if (this.#isBlocked) return 0

    const count = native.readTun(main.context, tunFd, 0, 0)
    if (count < 0) return count
    for (let row = 0; row < count; row++) this.#judge(row * ROW.WORDS, nowMs)
    if (tap.isOn) tap.rows(main.batch, count, true)
    const isMainBlocked = !main.sender.send(count)
    this.#sendFragments()
    this.#isBlocked ||= isMainBlocked
    answers.flush(native, tunFd)
    if (main.sender.sourceFailed || side.sender.sourceFailed) this.#reportSource()
    return 0
  }

  /** Told once: the main thread looks for itself, and knows more. */
  #lookForLink(): void {
    if ((this.#parts.main.batch.polls[2] & POLL.OUT) === 0) return
    this.#isDown = false
    this.#parts.tellUp()
  }

  /**
   * Rows that waited for a full socket name a slot and a remote of an earlier breath, which may have
   * been retired since and be somebody else's: they get those of now.
   */
  #renew({ batch, sender, packet }: Lane): void {
    const { rows } = batch
    for (let row = sender.firstUnsealed; row < sender.endUnsealed; row++) {
      const base = row * ROW.WORDS
      if (rows[base + ROW.DROP] !== drop.none) continue
      const cable = rows[base + ROW.CABLE]
      const at = cable * CABLE.WORDS
      const slot = Atomics.load(this.#cables, at + CABLE.SLOT)
      const remote = Atomics.load(this.#cables, at + CABLE.REMOTE)
      if (slot >= 0 && remote >= 0 && this.#cables[at + CABLE.FLAGS] !== 0) {
        rows[base + ROW.SLOT] = slot
        rows[base + ROW.REMOTE] = remote
        packet.decode(rows[base + ROW.OFFSET], rows[base + ROW.LENGTH])
        rows[base + ROW.FD] = this.#socketFor(cable, remote, packet)
        continue
      }
      rows[base + ROW.DROP] = drop.noSlot
      this.#parts.counters[cable * COUNTER.WORDS + drop.noSlot] += Math.max(
        1,
        rows[base + ROW.SEGMENTS],
      )
    }
  }

  #reportSource(): void {
    this.#parts.main.sender.sourceFailed = false
    this.#parts.side.sender.sourceFailed = false
    // Of which cable is written in its row.
    for (let pair = 0; pair < this.#parts.memory.pairs; pair++) this.#parts.wakeInbound(pair)
  }

  #judge(base: number, nowMs: number): void {
    const { rows } = this.#parts.main.batch
    const reason = this.#verdict(base, nowMs)
    if (reason === drop.none) return
    rows[base + ROW.DROP] = reason
    const cable = rows[base + ROW.CABLE]
    const counterRow = cable >= 0 ? cable : noCable
    if (reason === consumed) return
    this.#parts.counters[counterRow * COUNTER.WORDS + reason] += Math.max(
      1,
      rows[base + ROW.SEGMENTS],
    )
  }

  /** The stages of a row, in order. Returns the reason for which it goes no further, or 0. */
  #verdict(base: number, nowMs: number): number {
    const { batch, packet } = this.#parts.main
    const { rows } = batch
    rows[base + ROW.CABLE] = -1
    if (rows[base + ROW.DROP] !== drop.none) return rows[base + ROW.DROP]
    if (!packet.decode(rows[base + ROW.OFFSET], rows[base + ROW.LENGTH])) {
      return drop.malformedPacket
    }
    return this.#route(base) || this.#fit(base, nowMs) || this.#mark(base) || this.#key(base, nowMs)
  }

  /** Destination -> cable, the longest prefix wins. */
  #route(base: number): number {
    const { main, answers } = this.#parts
    const { packet } = main
    const cable =
      packet.version === 4
        ? this.#routes.lookup4(packet.destination4 | 0)
        : this.#routes.lookup6(main.batch.slab, packet.destinationOffset)
    if (cable < 0 || this.#cables[cable * CABLE.WORDS + CABLE.FLAGS] === 0) {
      // The kernel's own router solicitations, MLD and the like: expected, and nobody to tell.
      if (isLocalScope(packet)) return drop.linkLocal
      answers.unreachable(packet)
      return drop.noRoute
    }
    main.batch.rows[base + ROW.CABLE] = cable
    return this.#remote(base, cable)
  }

  /** Cable -> remote and socket. */
  #remote(base: number, cable: number): number {
    const { main, answers } = this.#parts
    const { rows } = main.batch
    const at = cable * CABLE.WORDS
    const remote = Atomics.load(this.#cables, at + CABLE.REMOTE)
    if (remote < 0) {
      answers.unreachable(main.packet)
      return drop.noRemote
    }
    if (this.#isLoop(remote)) return drop.routingLoop
    rows[base + ROW.REMOTE] = remote
    rows[base + ROW.FD] = this.#socketFor(cable, remote, main.packet)
    return rows[base + ROW.FD] < 0 ? drop.noRemote : 0
  }

  /** The socket that a packet leaves by; on a VXLAN cable each flow keeps to one of several. */
  #socketFor(cable: number, remote: number, packet: PacketView): number {
    const isV4 = this.#remotes[remote * REMOTE.BYTES + REMOTE.FAMILY] === 2
    const { ipv4, ipv6, entropy4, entropy6 } = this.#sockets
    const entropy = isV4 ? entropy4 : entropy6
    const isVxlan = (this.#cables[cable * CABLE.WORDS + CABLE.FLAGS] & cableFlag.vxlan) !== 0
    if (isVxlan && entropy.length > 0) return entropy[packet.flowHash() % entropy.length]
    return isV4 ? ipv4 : ipv6
  }

  /** A packet for the remote's own UDP address would be sealed into itself, for ever. */
  #isLoop(remote: number): boolean {
    const { packet, batch } = this.#parts.main
    if (packet.protocol !== PROTOCOL.UDP) return false
    const at = remote * REMOTE.BYTES
    if (packet.destinationPort !== this.#remotes16[(at + REMOTE.PORT) >> 1]) return false
    const length = packet.version === 4 ? 4 : 16
    const family = this.#remotes[at + REMOTE.FAMILY] === 2 ? 4 : 6
    if (family !== packet.version) return false
    for (let i = 0; i < length; i++) {
      const inner = batch.slab[packet.destinationOffset + i]
      if (inner !== this.#remotes[at + REMOTE.ADDRESS + i]) return false
    }
    return true
  }

  /** Does every segment fit the cable? TCP is told its MSS before it has to ask. */
  #fit(base: number, nowMs: number): number {
    const { main, answers } = this.#parts
    const { batch, packet } = main
    const { rows, slab } = batch
    const mtu = this.#cables[rows[base + ROW.CABLE] * CABLE.WORDS + CABLE.MTU]
    if ((packet.tcpFlags & TCP.SYN) !== 0) {
      clampMss(slab, packet, mtu, rows[base + ROW.CSUM] !== 0)
    }
    if (segmentBytes(rows, base) <= mtu) return 0
    if (packet.dontFragment) {
      answers.tooBig(packet, mtu)
      return drop.tooBig
    }
    const missing = this.#mark(base) || this.#key(base, nowMs)
    if (missing !== 0) return missing
    return this.#fragment(base, mtu) ? consumed : drop.fragmentFailed
  }

  /** False: it cannot be fragmented, or what is in the way does not leave. */
  #fragment(base: number, mtuBytes: number): boolean {
    const { batch } = this.#parts.main
    if (this.#isBlocked) return false
    if (this.#fragments.add(batch, base, mtuBytes)) return true
    this.#sendFragments()
    return !this.#isBlocked && this.#fragments.add(batch, base, mtuBytes)
  }

  /** ECN goes out with the datagrams (RFC 6040), the DSCP stays inside. */
  #mark(base: number): number {
    const { batch, packet } = this.#parts.main
    batch.rows[base + ROW.TOS] = outerEcn(packet.tos)
    return 0
  }

  /** Cable -> key slot; without one the packet waits and a handshake is asked for. */
  #key(base: number, nowMs: number): number {
    const { rows, slab } = this.#parts.main.batch
    const cable = rows[base + ROW.CABLE]
    const at = cable * CABLE.WORDS
    const slot = Atomics.load(this.#cables, at + CABLE.SLOT)
    if (slot < 0 || nowMs >= this.#slots.rejectAtMs(slot)) {
      this.#wantHandshake(cable)
      const gaveUp = Atomics.load(this.#cables, at + CABLE.GAVE_UP)
      const dropped = this.#staging.add(cable, slab, rows, base, gaveUp)
      this.#parts.counters[cable * COUNTER.WORDS + drop.queueFull] += dropped
      return consumed
    }
    if (nowMs >= this.#slots.rekeyAtMs(slot) || this.#slots.isWornOut(slot)) {
      this.#wantHandshake(cable)
    }
    rows[base + ROW.SLOT] = slot
    const segmentsMax = this.#segmentsTo(cable, rows[base + ROW.REMOTE])
    rows[base + ROW.PAD] = this.#cables[at + CABLE.MTU] | (segmentsMax << 16)
    this.#stamp(cable, nowMs)
    return 0
  }

  /** Datagrams that a train may hold: another remote is another path, and is tried anew. */
  #segmentsTo(cable: number, remote: number): number {
    const { unsegmented, segmentsMax } = this.#parts
    const refused = unsegmented[cable]
    if (refused < 0) return segmentsMax
    if (refused === remote) return 1
    unsegmented[cable] = -1
    return segmentsMax
  }

  /** The instants from which the inbound worker derives its timers. */
  #stamp(cable: number, nowMs: number): void {
    const at = cable * INSTANT.WORDS
    const instants = this.#instants
    instants[at + INSTANT.SENT] = nowMs
    instants[at + INSTANT.DATA_SENT] = nowMs
    if (instants[at + INSTANT.UNANSWERED] <= this.#received[at + INSTANT.RECEIVED]) {
      instants[at + INSTANT.UNANSWERED] = nowMs
    }
    const watched = cable * CABLE.WORDS + CABLE.WATCHED
    if (this.#cables[watched] === 0 && Atomics.exchange(this.#cables, watched, 1) === 0) {
      this.#wakeOwner(cable)
    }
  }

  #wantHandshake(cable: number): void {
    const at = cable * CABLE.WORDS + CABLE.WANTS_HANDSHAKE
    if (Atomics.exchange(this.#cables, at, 1) === 0) this.#wakeOwner(cable)
  }

  #wakeOwner(cable: number): void {
    const { memory, wakeInbound } = this.#parts
    const isVxlan = (this.#cables[cable * CABLE.WORDS + CABLE.FLAGS] & cableFlag.vxlan) !== 0
    wakeInbound(ownerOf(cable, isVxlan, memory.pairs))
  }

  /** Sends or gives up what waited, for every cable whose state has changed. */
  #release(nowMs: number): void {
    for (const cable of this.#staging.cables) {
      const at = cable * CABLE.WORDS
      const gaveUp = Atomics.load(this.#cables, at + CABLE.GAVE_UP)
      if (gaveUp !== this.#staging.gaveUpMark(cable)) {
        const isVxlan = (this.#cables[at + CABLE.FLAGS] & cableFlag.vxlan) !== 0
        const reason: DropReason = isVxlan ? drop.arpTimeout : drop.handshakeTimeout
        this.#parts.counters[cable * COUNTER.WORDS + reason] += this.#staging.dropAll(cable)
      } else if (Atomics.load(this.#cables, at + CABLE.SLOT) >= 0) {
        this.#releaseCable(cable, nowMs)
        if (this.#isBlocked) return
      }
    }
  }

  #releaseCable(cable: number, nowMs: number): void {
    const at = cable * CABLE.WORDS
    const slot = Atomics.load(this.#cables, at + CABLE.SLOT)
    const remote = Atomics.load(this.#cables, at + CABLE.REMOTE)
    if (remote < 0 || nowMs >= this.#slots.rejectAtMs(slot)) return
    const mtu = this.#cables[at + CABLE.MTU]
    while (!this.#isBlocked && this.#staging.nextBytes(cable) > 0) {
      this.#stamp(cable, nowMs)
      const count = this.#unstage(cable, slot, remote, mtu)
      if (count > 0) this.#sendSide(count)
      else if (!this.#unstageLarge(cable, slot, remote, mtu)) return
    }
  }

  /** Fills the side batch with packets that waited, up to one that does not fit; returns how many. */
  #unstage(cable: number, slot: number, remote: number, mtuBytes: number): number {
    const { rows, slab } = this.#parts.side.batch
    let count = 0
    let offset = ROW_HEADROOM
    for (let base = 0; base < rows.length; base += ROW.WORDS) {
      if (this.#staging.nextBytes(cable) > mtuBytes) break
      if (!this.#staging.take(cable, slab, offset, rows, base)) break
      this.#prepare(this.#parts.side, base, slot, remote, mtuBytes)
      offset = (offset + rows[base + ROW.LENGTH] + 2 * ROW_HEADROOM - 1) & -ROW_HEADROOM
      count++
    }
    return count
  }

  /** Fragments the next packet that waited. It goes by the main batch, which is empty by now. */
  #unstageLarge(cable: number, slot: number, remote: number, mtuBytes: number): boolean {
    const { main, answers, counters } = this.#parts
    const { slab, rows } = main.batch
    if (!this.#staging.take(cable, slab, ROW_HEADROOM, rows, 0)) return false
    this.#prepare(main, 0, slot, remote, mtuBytes)
    if (this.#fragments.add(main.batch, 0, mtuBytes)) {
      this.#sendFragments()
      return true
    }
    // With DF set it was small enough when it came, and the MTU has shrunk since.
    const isAnswered = main.packet.dontFragment
    if (isAnswered) answers.tooBig(main.packet, mtuBytes)
    const reason = isAnswered ? drop.tooBig : drop.fragmentFailed
    counters[cable * COUNTER.WORDS + reason] += Math.max(1, rows[ROW.SEGMENTS])
    return true
  }

  /** Slot, remote and socket of a packet that waited: others, maybe, than when it was staged. */
  #prepare(lane: Lane, base: number, slot: number, remote: number, mtuBytes: number): void {
    const { packet } = lane
    const { rows } = lane.batch
    const cable = rows[base + ROW.CABLE]
    packet.decode(rows[base + ROW.OFFSET], rows[base + ROW.LENGTH])
    rows[base + ROW.SLOT] = slot
    rows[base + ROW.REMOTE] = remote
    rows[base + ROW.FD] = this.#socketFor(cable, remote, packet)
    rows[base + ROW.DROP] = drop.none
    rows[base + ROW.PAD] = mtuBytes | (this.#segmentsTo(cable, remote) << 16)
  }

  #sendFragments(): void {
    if (this.#fragments.count > 0) this.#sendSide(this.#fragments.take())
  }

  #sendSide(rowCount: number): void {
    if (!this.#parts.side.sender.send(rowCount)) this.#isBlocked = true
  }

  #blockedFd(): number {
    return this.#parts.side.sender.blockedFd ?? this.#parts.main.sender.blockedFd ?? -1
  }
}

/** Multicast, broadcast or link-local destination. */
function isLocalScope(packet: PacketView): boolean {
  if (packet.version === 4) {
    return packet.destination4 >= 0xe000_0000 || packet.destination4 >>> 16 === 0xa9fe
  }
  const first = packet.slab[packet.destinationOffset]
  return first === 0xff || (first === 0xfe && packet.slab[packet.destinationOffset + 1] >> 6 === 2)
}
