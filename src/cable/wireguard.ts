// The WireGuard driver: enacts what the protocol engine decides. The engine (crypto/protocol.ts) knows
// peers, handshakes and timers and does no I/O; here its actions become key slots, published remotes
// and datagrams in the outbox.

import type { Keypair } from '../crypto/keypair.ts'
import type { PeerCiphers, Protocol, ProtocolAction } from '../crypto/protocol.ts'
import { type CipherName, preferredCipher, rankedCiphers } from '../tables/cipher.ts'
import { COUNTER, type DropReason, drop, noCable } from '../tables/counters.ts'
import { INSTANT, REMOTE, REPLAY } from '../tables/shared.ts'
import type { WireguardCable } from '../tables/tables.ts'
import type { CableDriver, Message } from './driver.ts'
import { takeHandover } from './handovers.ts'
import type { Outbox } from './outbox.ts'
import type { Publisher } from './publisher.ts'
import { writeRemote } from './remotes.ts'

/** AF41 and no ECN: handshake messages go out as the kernel sends them (messages.h HANDSHAKE_DSCP). */
const handshakeTos = 0x88

export interface WireguardParts {
  readonly protocol: Protocol
  readonly publisher: Publisher
  readonly outbox: Outbox
  readonly wallNowMs: () => number
  /** What the cipher `auto` means on this machine: all of them, the best first. */
  readonly autoCiphers: readonly CipherName[]
  /** Wakes the outbound workers: packets wait for the key that was just published. */
  readonly wakeOutbound: () => void
  readonly secrets: SecretSink
  /** Hands an initiation over to another pair. False: it has too many already. */
  readonly handOver: (pair: number, message: Uint8Array, remote: Uint8Array) => boolean
}

/** Takes the ephemeral keys of handshakes while a capture wants them (capture/tap.ts). */
export interface SecretSink {
  secret(cable: number, key: Uint8Array): void
}

interface CableState {
  keepaliveSeconds: number
  remoteSerial: number
}

export class WireguardDriver implements CableDriver {
  readonly #parts: WireguardParts
  readonly #cables = new Map<number, CableState>()
  /** By slot; the addon reports slots, the engine wants keypairs. */
  readonly #keypairs: (Keypair | undefined)[] = []

  readonly #replay: Uint32Array

  constructor(parts: WireguardParts) {
    this.#parts = parts
    this.#replay = new Uint32Array(parts.publisher.memory.replay.buffer)
  }

  setPrivateKey(key: Uint8Array | undefined, nowMs: number): void {
    this.#parts.protocol.setPrivateKey(key, nowMs)
    this.#enact(nowMs)
  }

  set(cable: number, table: WireguardCable, mtuBytes: number, nowMs: number): boolean {
    const { protocol, publisher } = this.#parts
    const known = this.#cables.get(cable)
    const ciphers = this.#ciphersOf(table)
    if (!known) {
      publisher.begin(cable, false, mtuBytes)
      protocol.addPeer(cable, { ...table, ciphers, mtuBytes }, nowMs)
    } else {
      publisher.setMtu(cable, mtuBytes)
      protocol.setMtu(cable, mtuBytes)
      protocol.setPresharedKey(cable, table.presharedKey)
    }
    let isPlaced = true
    if (known === undefined || table.remoteSerial !== known.remoteSerial) {
      const record = table.remote && writeRemote(new Uint8Array(REMOTE.BYTES), table.remote)
      isPlaced = publisher.setRemote(cable, record)
    }
    // After the remote: a changed cipher may ask for a handshake.
    if (known) protocol.setCiphers(cable, ciphers, nowMs)
    // After the remote: switching keepalives on sends one at once.
    if (known && known.keepaliveSeconds !== table.keepaliveSeconds) {
      protocol.setKeepalive(cable, table.keepaliveSeconds, nowMs)
    }
    this.#cables.set(cable, {
      keepaliveSeconds: table.keepaliveSeconds,
      remoteSerial: table.remoteSerial,
    })
    this.#enact(nowMs)
    return isPlaced
  }

  /** A cable of another pair, whose initiations arrive here. */
  setElsewhere(cable: number, pair: number, table: WireguardCable): void {
    const { publicKey } = table
    const ciphers = this.#ciphersOf(table)
    this.#parts.protocol.addElsewhere({ cable, pair, publicKey, ciphers })
  }

  /** Takes what pair 0 handed over, unless there is no room for it. */
  takeHandovers(): void {
    const { publisher, protocol } = this.#parts
    const ring = publisher.memory.handovers[publisher.memory.pair]
    for (;;) {
      const taken = takeHandover(ring)
      if (taken === undefined) return
      const reason = protocol.accept(taken.message, taken.remote)
      if (reason !== drop.none) this.#count(noCable, reason)
    }
  }

  remove(cable: number, nowMs: number): void {
    this.#parts.protocol.removeElsewhere(cable)
    if (!this.#cables.delete(cable)) return
    this.#parts.protocol.removePeer(cable)
    this.#enact(nowMs)
    this.#parts.publisher.end(cable)
  }

  message(message: Message, nowMs: number): DropReason {
    const bytes = message.slab.subarray(message.offset, message.offset + message.lengthBytes)
    const reason = this.#parts.protocol.receive(bytes, message.remote, nowMs)
    this.#enact(nowMs)
    return reason
  }

  /** A data message was authenticated under `slot`. Call it at least once per slot and breath. */
  authenticated(slot: number, hasData: boolean, nowMs: number): void {
    const keypair = this.#keypairs[slot]
    if (keypair === undefined) return
    this.#parts.protocol.authenticated(keypair, hasData, nowMs, this.#highestCounter(slot))
    if (this.#parts.protocol.actions.length > 0) this.#enact(nowMs)
  }

  wanted(cable: number, nowMs: number): void {
    if (!this.#cables.has(cable)) return
    this.#parts.protocol.wantHandshake(cable, nowMs, this.#parts.wallNowMs())
    this.#enact(nowMs)
  }

  /** A session that somebody who looks on sees from its first message. */
  rekey(cable: number, nowMs: number): void {
    if (!this.#cables.has(cable)) return
    this.#parts.protocol.wantHandshake(cable, nowMs, this.#parts.wallNowMs(), true)
    this.#enact(nowMs)
  }

  /** The engine looks at what was sent every 15 s while there is a session: nothing to do. */
  watch(): void {}

  suspend(nowMs: number): void {
    this.#parts.protocol.suspend()
    this.#enact(nowMs)
  }

  resume(nowMs: number): void {
    this.#parts.protocol.resume(nowMs)
    this.#enact(nowMs)
  }

  step(nowMs: number): boolean {
    const isQueued = this.#parts.protocol.step(nowMs, this.#parts.wallNowMs())
    this.#enact(nowMs)
    return isQueued
  }

  tick(nowMs: number): void {
    this.#parts.protocol.tick(nowMs, this.#parts.wallNowMs())
    this.#enact(nowMs)
  }

  nextDeadlineMs(): number {
    return this.#parts.protocol.nextDeadlineMs()
  }

  #ciphersOf({ ciphers }: WireguardCable): PeerCiphers {
    const { autoCiphers } = this.#parts
    return {
      accepted: rankedCiphers(ciphers, autoCiphers),
      preferred: preferredCipher(ciphers, autoCiphers),
    }
  }

  #enact(nowMs: number): void {
    const { protocol, publisher } = this.#parts
    for (const action of protocol.actions) this.#act(action, nowMs)
    protocol.actions.length = 0
    for (const { cable, reason } of protocol.dropped) {
      publisher.counters[(cable < 0 ? noCable : cable) * COUNTER.WORDS + reason]++
    }
    protocol.dropped.length = 0
  }

  /** One more than the highest message number received under a slot, as the addon keeps it. */
  #highestCounter(slot: number): number {
    const at = (slot * REPLAY.BYTES + REPLAY.NEXT) >> 2
    return this.#replay[at + 1] * 4_294_967_296 + this.#replay[at]
  }

  #act(action: ProtocolAction, nowMs: number): void {
    const { publisher } = this.#parts
    const { cable } = action
    switch (action.kind) {
      case 'send':
        this.#send(cable, action.to, action.message)
        break
      case 'ephemeral':
        this.#parts.secrets.secret(cable, action.key)
        action.key.fill(0)
        break
      case 'keypair':
        this.#install(cable, action.keypair, action.use === 'current')
        break
      case 'promoted':
        this.#publish(cable, action.keypair.slot)
        break
      case 'retired':
        this.#retire(cable, action.keypair)
        break
      case 'keepalive':
        this.#keepalive(cable)
        break
      case 'roamed':
        this.#roamed(cable, action.remote, action.bytes, nowMs)
        break
      case 'handOver':
        if (!this.#parts.handOver(action.pair, action.message, action.remote))
          this.#count(noCable, drop.handshakeQueueFull)
        break
      case 'clearSource':
        publisher.clearSource(cable)
        break
      case 'handshake':
        this.#completed(cable, action.wallMs, nowMs)
        break
      case 'gaveUp':
        publisher.giveUpWaiting(cable)
        this.#parts.wakeOutbound()
        break
      default:
        action satisfies never
    }
  }

  #completed(cable: number, wallMs: number, nowMs: number): void {
    const { instants } = this.#parts.publisher.memory
    instants[cable * INSTANT.WORDS + INSTANT.HANDSHAKE] = nowMs
    instants[cable * INSTANT.WORDS + INSTANT.HANDSHAKE_WALL] = wallMs
    this.#count(cable, COUNTER.HANDSHAKES)
  }

  #send(cable: number, to: Uint8Array | undefined, message: Uint8Array): void {
    const { outbox, publisher } = this.#parts
    const remote = to ?? publisher.remoteRecord(cable)
    if (remote === undefined) return
    if (outbox.datagram(cable, remote, message, handshakeTos)) {
      this.#count(cable, COUNTER.HANDSHAKES_SENT)
    }
  }

  #install(cable: number, keypair: Keypair, isCurrent: boolean): void {
    const { publisher } = this.#parts
    const slot = publisher.slots.add(keypair)
    keypair.wipe()
    keypair.slot = slot
    if (slot < 0) return
    this.#keypairs[slot] = keypair
    publisher.indices.set(keypair.localIndex, slot)
    if (isCurrent) this.#publish(cable, slot)
  }

  #publish(cable: number, slot: number): void {
    this.#parts.publisher.setSlot(cable, slot)
    this.#parts.wakeOutbound()
  }

  #retire(cable: number, keypair: Keypair): void {
    const { publisher } = this.#parts
    const { slot } = keypair
    if (slot < 0) return
    if (publisher.slotOf(cable) === slot) publisher.setSlot(cable, -1)
    publisher.indices.delete(keypair.localIndex)
    this.#keypairs[slot] = undefined
    publisher.slots.retire(slot)
  }

  #keepalive(cable: number): void {
    const { outbox, publisher } = this.#parts
    const slot = publisher.slotOf(cable)
    const remote = publisher.remoteOf(cable)
    if (slot < 0 || remote < 0) return
    outbox.keepalive(cable, slot, remote, publisher.isIpv4(cable))
  }

  /** An authenticated handshake message: it counts, and its sender is where we send from now on. */
  #roamed(cable: number, remote: Uint8Array, bytes: number, nowMs: number): void {
    const { publisher } = this.#parts
    const row = cable * COUNTER.WORDS
    publisher.counters[row + COUNTER.HANDSHAKES_RECEIVED]++
    publisher.counters[row + COUNTER.RX_DATAGRAMS]++
    publisher.counters[row + COUNTER.RX_BYTES] += bytes
    publisher.memory.instants[cable * INSTANT.WORDS + INSTANT.RECEIVED] = nowMs
    const words = new Int32Array(remote.slice().buffer)
    const entry = publisher.remoteOf(cable)
    if (entry < 0 || !publisher.remotes.equals(entry, words, 0)) {
      publisher.setRemote(cable, remote)
    }
  }

  #count(cable: number, column: number): void {
    const row = cable < 0 ? noCable : cable
    this.#parts.publisher.counters[row * COUNTER.WORDS + column]++
  }
}
