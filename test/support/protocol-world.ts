// Protocol engines in one process, on a virtual clock, over wires that a test may cut. A `Party` is
// one engine with the least of a driver around it: it keeps the keys of installed keypairs, sends
// "data" under the current one, and publishes its instants as the outbound worker does. Data
// messages are not sealed: they carry the key that they would be sealed with, and whoever gets them
// compares it with the receive key of the index.

import assert from 'node:assert/strict'
import { CookieHolder } from '../../src/crypto/cookie.ts'
import type { Keypair } from '../../src/crypto/keypair.ts'
import { Protocol, type ProtocolAction } from '../../src/crypto/protocol.ts'
import { importPrivateKey, publicKeyOf } from '../../src/crypto/x25519.ts'
import { type DropReason, drop } from '../../src/tables/counters.ts'
import { fillRandom, protocolDeps, remoteRecord, toHex, xchacha } from './protocol-deps.ts'
import { seededRandom } from './rng.ts'

export type Packet =
  | { readonly kind: 'handshake'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'data'
      readonly index: number
      readonly key: string
      readonly hasData: boolean
    }

export interface Event {
  readonly atMs: number
  readonly kind: ProtocolAction['kind'] | 'initiation' | 'response' | 'cookie'
}

interface Wire {
  readonly atMs: number
  readonly from: Party
  readonly to: Party
  readonly packet: Packet
}

/** Network delay of every packet. */
export const delayMs = 1

export class World {
  nowMs = 1_000_000
  readonly seed: number
  readonly parties: Party[] = []
  /** Whether a packet is lost. */
  loses: (packet: Packet, from: Party) => boolean = () => false
  readonly #random: () => number
  #wires: Wire[] = []

  constructor(seed = 1) {
    this.seed = seed
    this.#random = seededRandom(seed)
  }

  add(name: string, settings: { clockMs?: number } = {}): Party {
    const secret = new Uint8Array(32).fill(this.parties.length + 1)
    const address = [192, 0, 2, this.parties.length + 1]
    const party = new Party(this, name, secret, address, this.#random, settings.clockMs ?? 0)
    this.parties.push(party)
    return party
  }

  send(from: Party, to: Party, packet: Packet): void {
    if (this.loses(packet, from)) return
    this.#wires.push({ atMs: this.nowMs + delayMs, from, to, packet })
  }

  /** Lets time pass, with all that happens in it. */
  run(forMs: number): void {
    const untilMs = this.nowMs + forMs
    for (let steps = 0; ; steps++) {
      assert.ok(steps < 1_000_000, `no end of events at ${this.nowMs}, seed ${this.seed}`)
      const deadlines = this.parties.map(({ protocol }) => protocol.nextDeadlineMs())
      const nextMs = Math.min(...deadlines, ...this.#wires.map(({ atMs }) => atMs))
      if (nextMs > untilMs) break
      this.nowMs = Math.max(this.nowMs, nextMs)
      const arrived = this.#wires.filter(({ atMs }) => atMs <= this.nowMs)
      this.#wires = this.#wires.filter(({ atMs }) => atMs > this.nowMs)
      for (const { from, to, packet } of arrived) to.deliver(packet, from)
      for (const party of this.parties) party.tick()
    }
    this.nowMs = untilMs
  }
}

interface Installed {
  readonly keypair: Keypair
  readonly sendKey: string
  readonly receiveKey: string
}

export class Party {
  readonly name: string
  remote: Uint8Array
  /** How far the wall clock is ahead. */
  clockMs: number
  publicKey: Uint8Array
  protocol: Protocol
  readonly events: Event[] = []
  readonly drops: DropReason[] = []
  readonly roamedTo: Uint8Array[] = []
  /** Handshake messages that were sent, in order. */
  readonly handshakes: Uint8Array[] = []
  /** Packets with data that were received and opened. */
  received = 0
  keepalivesReceived = 0
  /** Cleared keypairs must be gone from here. */
  readonly installed = new Map<number, Installed>()
  readonly current = new Map<number, Keypair>()
  readonly waiting = new Map<number, number>()
  readonly #world: World
  #secret: Uint8Array
  #watcher: (bytes: Uint8Array) => void = () => undefined
  readonly #random: () => number
  readonly #peers = new Map<number, Party>()
  readonly #sent = new Map<number, number>()
  readonly #dataSent = new Map<number, number>()
  readonly #unanswered = new Map<number, number>()
  readonly #receivedMs = new Map<number, number>()

  constructor(
    world: World,
    name: string,
    secret: Uint8Array,
    address: number[],
    random: () => number,
    clockMs: number,
  ) {
    this.#world = world
    this.name = name
    this.#secret = secret
    this.#random = random
    this.clockMs = clockMs
    this.remote = remoteRecord(address, 51_820)
    this.publicKey = publicKeyOf(importPrivateKey(secret))
    this.protocol = this.#makeProtocol()
  }

  get wallMs(): number {
    return 1_700_000_000_000 + this.#world.nowMs + this.clockMs
  }

  /** A new process with the same keys and peers, and no memory. */
  restart(keepaliveSeconds = 0): void {
    this.installed.clear()
    this.current.clear()
    this.waiting.clear()
    for (const map of [this.#sent, this.#dataSent, this.#unanswered, this.#receivedMs]) map.clear()
    this.protocol = this.#makeProtocol()
    for (const [cable, peer] of this.#peers) this.addPeer(peer, { cable, keepaliveSeconds })
  }

  /** Stops sending under the session, as if its keys had expired. */
  restartSession(): void {
    this.current.clear()
  }

  /** Another private key, while running. */
  setSecret(secret: Uint8Array): void {
    this.#secret = secret
    this.publicKey = publicKeyOf(importPrivateKey(secret))
    this.protocol.setPrivateKey(secret, this.#world.nowMs)
    this.work()
  }

  /** Shows each array that the engine fills with random bytes. */
  watchRandom(watcher: (bytes: Uint8Array) => void): void {
    this.#watcher = watcher
  }

  /** Puts the engine under load: strangers who know its public key and nothing else. */
  overload(): void {
    const holder = new CookieHolder(xchacha, this.publicKey)
    for (let stranger = 0; stranger < 1_000; stranger++) {
      const message = fillRandom(this.#random, new Uint8Array(148))
      message.fill(0, 132)
      message.set([1, 0, 0, 0])
      holder.stamp(message, this.#world.nowMs)
      const from = remoteRecord([10, 0, stranger >> 8, stranger], 1_000)
      assert.equal(this.protocol.receive(message, from, this.#world.nowMs), drop.none)
      if (this.protocol.actions.some(({ cable }) => cable === -1)) return
    }
    assert.fail('not under load after 1000 messages')
  }

  addPeer(
    peer: Party,
    settings: { cable?: number; presharedKey?: Uint8Array; keepaliveSeconds?: number } = {},
  ): void {
    const { cable = 0, presharedKey, keepaliveSeconds = 0 } = settings
    this.#peers.set(cable, peer)
    const { publicKey } = peer
    const psk = presharedKey === undefined ? {} : { presharedKey }
    this.protocol.addPeer(cable, { publicKey, keepaliveSeconds, ...psk }, this.#world.nowMs)
    this.work()
  }

  /** A packet from the TUN device, as the outbound worker treats it. */
  sendData(cable = 0): void {
    const { nowMs } = this.#world
    const keypair = this.current.get(cable)
    if (keypair === undefined || nowMs >= keypair.rejectAtMs) {
      this.waiting.set(cable, (this.waiting.get(cable) ?? 0) + 1)
      this.protocol.wantHandshake(cable, nowMs, this.wallMs)
      this.work()
      return
    }
    this.#transmit(cable, keypair, true)
    if (nowMs >= keypair.rekeyAtMs) this.protocol.wantHandshake(cable, nowMs, this.wallMs)
    this.work()
  }

  tick(): void {
    const { nowMs } = this.#world
    if (this.protocol.nextDeadlineMs() <= nowMs) this.protocol.tick(nowMs, this.wallMs)
    this.work()
  }

  deliver(packet: Packet, from: Party): void {
    const { nowMs } = this.#world
    if (packet.kind === 'handshake') {
      const reason = this.protocol.receive(packet.bytes, from.remote, nowMs)
      if (reason !== drop.none) this.drops.push(reason)
      this.work()
      while (this.protocol.step(nowMs, this.wallMs)) this.work()
      return
    }
    const entry = this.installed.get(packet.index)
    if (entry === undefined || nowMs >= entry.keypair.rejectAtMs) {
      this.drops.push(entry === undefined ? drop.unknownIndex : drop.keyExpired)
      return
    }
    assert.equal(packet.key, entry.receiveKey, `${this.name} has the key of its peer`)
    if (packet.hasData) this.received++
    else this.keepalivesReceived++
    this.protocol.authenticated(entry.keypair, packet.hasData, nowMs)
    this.#receivedMs.set(entry.keypair.cable, nowMs)
    this.work()
  }

  count(kind: Event['kind']): number {
    return this.events.filter(event => event.kind === kind).length
  }

  times(kind: Event['kind']): number[] {
    return this.events.filter(event => event.kind === kind).map(({ atMs }) => atMs)
  }

  /** Works off the engine's decisions. */
  work(): void {
    const { protocol } = this
    const actions = protocol.actions.splice(0)
    for (const action of actions) {
      this.events.push({ atMs: this.#world.nowMs, kind: action.kind })
      this.#act(action)
    }
    for (const { reason } of protocol.dropped.splice(0)) this.drops.push(reason)
  }

  #makeProtocol(): Protocol {
    const sent = {
      sentMs: (cable: number) => this.#sent.get(cable) ?? 0,
      dataSentMs: (cable: number) => this.#dataSent.get(cable) ?? 0,
      unansweredMs: (cable: number) => this.#unanswered.get(cable) ?? 0,
    }
    const deps = protocolDeps(this.#random, sent)
    const random = (bytes: Uint8Array): void => {
      deps.random(bytes)
      this.#watcher(bytes)
    }
    const protocol = new Protocol({ ...deps, random })
    protocol.setPrivateKey(this.#secret, this.#world.nowMs)
    return protocol
  }

  #act(action: ProtocolAction): void {
    const { cable } = action
    switch (action.kind) {
      case 'send':
        this.#sendHandshake(cable, action.message, action.to)
        break
      case 'keypair':
        this.#install(cable, action.keypair, action.use === 'current')
        break
      case 'promoted':
        this.#use(cable, action.keypair)
        break
      case 'retired':
        assert.ok(this.installed.delete(action.keypair.localIndex), 'it was installed')
        if (this.current.get(cable) === action.keypair) this.current.delete(cable)
        break
      case 'keepalive': {
        const keypair = this.current.get(cable)
        assert.ok(keypair, 'a keepalive has a session')
        this.#transmit(cable, keypair, false)
        break
      }
      case 'roamed':
        this.#receivedMs.set(cable, this.#world.nowMs)
        this.roamedTo.push(action.remote)
        break
      case 'gaveUp':
        this.waiting.delete(cable)
        break
      case 'handOver':
        throw new Error('this engine is the only one')
      case 'clearSource':
      case 'ephemeral':
      case 'handshake':
        break
      default:
        action satisfies never
    }
  }

  #sendHandshake(cable: number, bytes: Uint8Array, to: Uint8Array | undefined): void {
    const kinds = ['', 'initiation', 'response', 'cookie'] as const
    const kind = kinds[bytes[0]]
    this.handshakes.push(bytes)
    if (kind !== '') this.events.push({ atMs: this.#world.nowMs, kind })
    const peer = to === undefined ? this.#peers.get(cable) : this.#world.parties.find(isAt(to))
    if (peer !== undefined) this.#world.send(this, peer, { kind: 'handshake', bytes })
  }

  #install(cable: number, keypair: Keypair, isCurrent: boolean): void {
    const sendKey = toHex(keypair.sendKey)
    const receiveKey = toHex(keypair.receiveKey)
    assert.ok(!/^0+$/.test(sendKey), 'the keys are there to be installed')
    this.installed.set(keypair.localIndex, { keypair, sendKey, receiveKey })
    keypair.wipe()
    if (isCurrent) this.#use(cable, keypair)
  }

  #use(cable: number, keypair: Keypair): void {
    this.current.set(cable, keypair)
    const waiting = this.waiting.get(cable) ?? 0
    this.waiting.delete(cable)
    for (let i = 0; i < waiting; i++) this.#transmit(cable, keypair, true)
  }

  #transmit(cable: number, keypair: Keypair, hasData: boolean): void {
    const { nowMs } = this.#world
    const peer = this.#peers.get(cable)
    const entry = this.installed.get(keypair.localIndex)
    assert.ok(peer && entry, 'sent under an installed keypair')
    if (hasData) {
      const receivedMs = this.#receivedMs.get(cable) ?? 0
      if ((this.#unanswered.get(cable) ?? 0) <= receivedMs) this.#unanswered.set(cable, nowMs)
      this.#sent.set(cable, nowMs)
      this.#dataSent.set(cable, nowMs)
    }
    const index = keypair.remoteIndex
    this.#world.send(this, peer, { kind: 'data', index, key: entry.sendKey, hasData })
  }
}

function isAt(remote: Uint8Array): (party: Party) => boolean {
  return party => Buffer.compare(party.remote, remote) === 0
}

/** Two parties that know each other under cable 0. */
export function makePair(seed = 1): { world: World; a: Party; b: Party } {
  const world = new World(seed)
  const a = world.add('a')
  const b = world.add('b')
  a.addPeer(b)
  b.addPeer(a)
  return { world, a, b }
}
