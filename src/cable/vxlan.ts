// The VXLAN driver (RFC 7348), byte-compatible with a kernel vxlan device that has a flood entry and
// no learning. No keys: a cable's slot holds the header that the addon puts in front of each packet.
//
//   | VXLAN header 8 | destination MAC 6 | source MAC 6 | EtherType 2 | inner packet |
//
// Such a peer asks by ARP before anything else and drops frames for a MAC that is not its own. So our
// end has a stable MAC, answers ARP for its tunnel address, and resolves the remote's. What arrives is
// only taken from a configured remote (here, by the outer source) and with an inner source inside
// its prefixes (the inbound path): anybody can send to a UDP port.

import { DeadlineQueue, type Scheduled } from '../crypto/deadline-queue.ts'
import type { SentInstants } from '../crypto/protocol.ts'
import { equalBytes } from '../net/address.ts'
import { type DropReason, drop } from '../tables/counters.ts'
import { CABLE, INSTANT, REMOTE } from '../tables/shared.ts'
import type { VxlanCable, VxlanTable } from '../tables/tables.ts'
import { ArpResolver, type ArpStep, buildArp, ipv4Number, parseArp } from './arp.ts'
import type { CableDriver, Message } from './driver.ts'
import type { Outbox } from './outbox.ts'
import type { Publisher } from './publisher.ts'
import { writeRemote } from './remotes.ts'

const vxlanHeaderBytes = 8
const noMac = new Uint8Array(6)

interface CableState extends Scheduled {
  readonly cable: number
  readonly tunnelAddress: number
  readonly arp: ArpResolver
  /** Family and address of the outer source that belongs to this cable. */
  source: Int32Array
  remoteSerial: number
  /** Decapsulates while no MAC is known; the slot with the MAC takes its place. */
  slot: number
}

export class VxlanDriver implements CableDriver {
  readonly #publisher: Publisher
  readonly #outbox: Outbox
  readonly #sent: SentInstants
  readonly #wakeOutbound: () => void
  readonly #cables = new Map<number, CableState>()
  /** Hash of an outer source address -> cables. */
  readonly #bySource = new Map<number, CableState[]>()
  readonly #deadlines = new DeadlineQueue<CableState>()
  #own: VxlanTable | undefined

  constructor(publisher: Publisher, outbox: Outbox, sent: SentInstants, wakeOutbound: () => void) {
    this.#publisher = publisher
    this.#outbox = outbox
    this.#sent = sent
    this.#wakeOutbound = wakeOutbound
  }

  /** Our end. Call it before `set`; a change re-makes the headers of all cables. */
  setOwn(own: VxlanTable | undefined): void {
    if (isSameOwn(own, this.#own)) return
    this.#own = own
    for (const [cable, state] of this.#cables) this.#renew(cable, state)
  }

  /** The slot that opens datagrams from this remote record, or -1. */
  slotFor(words: Int32Array, word: number): number {
    const states = this.#bySource.get(sourceHash(words, word))
    if (states === undefined) return -1
    for (const state of states) if (isSource(state.source, words, word)) return state.slot
    return -1
  }

  set(cable: number, table: VxlanCable, mtuBytes: number, _nowMs: number): boolean {
    let state = this.#cables.get(cable)
    if (state && state.tunnelAddress !== ipv4Number(table.tunnelAddress)) {
      this.remove(cable)
      state = undefined
    }
    if (!state) {
      this.#publisher.begin(cable, true, mtuBytes)
      state = {
        ...{ cable, scheduledMs: Number.POSITIVE_INFINITY, heapIndex: -1 },
        tunnelAddress: ipv4Number(table.tunnelAddress),
        arp: new ArpResolver(),
        source: new Int32Array(5),
        remoteSerial: -1,
        slot: -1,
      }
      this.#cables.set(cable, state)
    }
    this.#publisher.setMtu(cable, mtuBytes)
    let isPlaced = true
    if (table.remote && table.remoteSerial !== state.remoteSerial) {
      const record = writeRemote(new Uint8Array(REMOTE.BYTES), table.remote)
      isPlaced = this.#publisher.setRemote(cable, record)
      this.#forgetSource(state)
      state.remoteSerial = table.remoteSerial
      this.#learnSource(state, new Int32Array(record.buffer))
    }
    this.#renew(cable, state)
    return isPlaced && state.slot >= 0
  }

  remove(cable: number): void {
    const state = this.#cables.get(cable)
    if (!state) return
    this.#cables.delete(cable)
    this.#deadlines.remove(state)
    this.#forgetSource(state)
    this.#publisher.end(cable)
    this.#publisher.slots.retire(state.slot)
  }

  message(message: Message, nowMs: number): DropReason {
    // By the cable, not by its slot: an earlier datagram of this breath may have changed the slot.
    const { cable } = message
    const state = this.#cables.get(cable)
    const frame = message.slab.subarray(message.offset, message.offset + message.lengthBytes)
    const arp = parseArp(frame)
    if (!state || !this.#own || !arp) return drop.malformedDatagram
    // Only the remote speaks for its tunnel address: nobody else can take it over.
    if (arp.senderAddress !== state.tunnelAddress) return drop.vxlanWrongRemote
    if (state.arp.learn(arp.senderMac, nowMs)) this.#renew(cable, state)
    this.#schedule(state)
    const ownAddress = ipv4Number(this.#own.address)
    if (arp.isRequest && arp.targetAddress === ownAddress) {
      this.#sendFrame(
        cable,
        buildArp(false, this.#own.mac, ownAddress, arp.senderMac, arp.senderAddress),
      )
    }
    return drop.none
  }

  wanted(cable: number, nowMs: number): void {
    const state = this.#cables.get(cable)
    if (state) this.#enact(state, state.arp.wanted(nowMs))
  }

  watch(cable: number, nowMs: number): void {
    const state = this.#cables.get(cable)
    if (!state) return
    state.arp.wake(nowMs)
    this.#schedule(state)
  }

  suspend(): void {}

  resume(): void {}

  step(): boolean {
    return false
  }

  tick(nowMs: number): void {
    const { instants, cables } = this.#publisher.memory
    for (;;) {
      const state = this.#deadlines.first
      if (state === undefined || state.scheduledMs > nowMs) return
      const { cable } = state
      const sentMs = this.#sent.dataSentMs(cable)
      const unansweredMs = this.#sent.unansweredMs(cable)
      const receivedMs = instants[cable * INSTANT.WORDS + INSTANT.RECEIVED]
      const silentMs = unansweredMs > receivedMs ? nowMs - unansweredMs : 0
      this.#enact(state, state.arp.tick(nowMs, sentMs, silentMs))
      if (state.arp.nextDeadlineMs() === Number.POSITIVE_INFINITY) {
        Atomics.store(cables, cable * CABLE.WORDS + CABLE.WATCHED, 0)
      }
    }
  }

  nextDeadlineMs(): number {
    return this.#deadlines.firstMs
  }

  #schedule(state: CableState): void {
    this.#deadlines.place(state, state.arp.nextDeadlineMs())
  }

  #enact(state: CableState, step: ArpStep): void {
    const { cable } = state
    this.#schedule(state)
    if (step.kind === 'ask' && this.#own) {
      const ownAddress = ipv4Number(this.#own.address)
      const frame = buildArp(true, this.#own.mac, ownAddress, step.mac, state.tunnelAddress)
      this.#sendFrame(cable, frame)
    } else if (step.kind === 'gaveUp') {
      // Without a slot the next packet asks again; with the old one it would go to a MAC that is gone.
      this.#renew(cable, state)
      this.#publisher.giveUpWaiting(cable)
      this.#wakeOutbound()
    }
  }

  #sendFrame(cable: number, frame: Uint8Array): void {
    const remote = this.#publisher.remoteRecord(cable)
    if (!remote || !this.#own) return
    const datagram = new Uint8Array(vxlanHeaderBytes + frame.length)
    writeVxlanHeader(datagram, this.#own.vni)
    datagram.set(frame, vxlanHeaderBytes)
    this.#outbox.datagram(cable, remote, datagram, 0)
  }

  /** Makes the cable's slot anew: a published slot never changes in place. */
  #renew(cable: number, state: CableState): void {
    const before = state.slot
    const { mac } = state.arp
    const header = new Uint8Array(20)
    writeVxlanHeader(header, this.#own?.vni ?? 0)
    header.set(mac ?? noMac, 8)
    header.set(this.#own?.mac ?? noMac, 14)
    state.slot = this.#publisher.slots.addVxlan(cable, header)
    this.#publisher.setSlot(cable, mac && this.#own ? state.slot : -1)
    this.#publisher.slots.retire(before)
    if (mac) this.#wakeOutbound()
  }

  #learnSource(state: CableState, record: Int32Array): void {
    state.source[0] = record[0] & 0xffff
    state.source.set(record.subarray(REMOTE.ADDRESS >> 2, (REMOTE.ADDRESS >> 2) + 4), 1)
    const hash = sourceHash(record, 0)
    this.#bySource.set(hash, [...(this.#bySource.get(hash) ?? []), state])
  }

  #forgetSource(state: CableState): void {
    for (const [hash, states] of this.#bySource) {
      const rest = states.filter(other => other !== state)
      if (rest.length === states.length) continue
      if (rest.length === 0) this.#bySource.delete(hash)
      else this.#bySource.set(hash, rest)
    }
  }
}

/** Flags with a valid VNI, reserved bits zero. */
function writeVxlanHeader(bytes: Uint8Array, vni: number): void {
  bytes[0] = 0x08
  bytes[4] = vni >>> 16
  bytes[5] = vni >>> 8
  bytes[6] = vni
}

/** Family and address of a record; the port is entropy in VXLAN and the scope does not matter. */
function sourceHash(words: Int32Array, word: number): number {
  const at = word + (REMOTE.ADDRESS >> 2)
  let hash = words[word] & 0xffff
  for (let i = 0; i < 4; i++) hash = Math.imul(hash ^ words[at + i], 0x9e3779b1)
  return hash
}

function isSource(source: Int32Array, words: Int32Array, word: number): boolean {
  if (source[0] !== (words[word] & 0xffff)) return false
  const at = word + (REMOTE.ADDRESS >> 2)
  for (let i = 0; i < 4; i++) if (source[1 + i] !== words[at + i]) return false
  return true
}

function isSameOwn(a: VxlanTable | undefined, b: VxlanTable | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  const isSameAddress = equalBytes(a.address.bytes, b.address.bytes)
  return a.vni === b.vni && isSameAddress && equalBytes(a.mac, b.mac)
}
