// A simulated data path: takes tables, has a session with another one when each has the other's key, one of
// them knows where the other is, and the way between is open; counts bytes and carries pings. The
// packets themselves are the business of the simulations beside this one.

import { publicKeyOf } from '../../../../src/control/keys.ts'
import type { PlannedTables } from '../../../../src/control/world.ts'
import type { DatapathStatus } from '../../../../src/tables/status.ts'
import type { CableTable, WireguardCable } from '../../../../src/tables/tables.ts'

export interface CableState {
  readonly cable: WireguardCable
  readonly publicKey: string
  /** The start of the other data path with which there is a session. */
  peerStart: number
  handshakeAtMs: number
  lastHandshakeMs: number
  rxBytes: number
  txBytes: number
  isPassing: boolean
}

const rekeyMs = 120_000
const publicKeys = new Map<string, string>()

export class SimDatapath {
  isRunning = true
  /** Tells one start from the next. */
  start = 1
  generation = 0
  tables: PlannedTables | undefined
  publicKey = ''
  readonly cables = new Map<string, CableState>()
  /** Called with every table that comes into force. */
  readonly #applied: (tables: PlannedTables) => void

  constructor(applied: (tables: PlannedTables) => void) {
    this.#applied = applied
  }

  apply(tables: PlannedTables, generation: number): void {
    this.tables = tables
    this.generation = generation
    this.publicKey = publicTextOf(tables.device.privateKey)
    const before = new Map(this.cables)
    this.cables.clear()
    for (const cable of tables.cables) {
      if (cable.driver !== 'wireguard') continue
      const publicKey = textOf(cable.publicKey)
      const old = before.get(cable.name)
      const isSame = old !== undefined && old.publicKey === publicKey
      this.cables.set(cable.name, isSame ? { ...old, cable } : newState(cable, publicKey))
    }
    this.#applied(tables)
  }

  stop(): void {
    this.isRunning = false
    this.cables.clear()
    this.tables = undefined
    this.generation = 0
    this.publicKey = ''
  }

  restart(): void {
    this.isRunning = true
    this.start++
  }

  /** A second of traffic. `peer`: who answers there now, if the way is open. */
  pass(state: CableState, peer: SimDatapath | undefined, nowMs: number, wallMs: number): void {
    state.txBytes += 32
    state.isPassing = peer !== undefined
    if (peer === undefined) {
      if (nowMs - state.handshakeAtMs > rekeyMs) state.peerStart = 0
      return
    }
    if (state.peerStart !== peer.start || nowMs - state.handshakeAtMs > rekeyMs) {
      state.peerStart = peer.start
      state.handshakeAtMs = nowMs
      state.lastHandshakeMs = wallMs
    }
    state.rxBytes += 32
  }

  status(): DatapathStatus {
    const cables = [...this.cables.values()].map(state => {
      const { cable, lastHandshakeMs, rxBytes, txBytes } = state
      const { name, driver } = cable
      return { name, driver, lastHandshakeMs, rxBytes, txBytes, counters: {}, drops: {} }
    })
    const { generation } = this
    return { ...noStatus, generation, cables }
  }
}

const noStatus: DatapathStatus = {
  ...{ interfaceName: 'hawser0', up: true, mtuBytes: 1420, generation: 0, listenPort: 4500 },
  ...{ fwmark: 0, pid: 1, pairs: 1, startedAtMs: 0 },
  offloads: { tunTso: true, tunUso: true, udpSegmentation: true, udpGro: true, reasons: {} },
  aead: { speeds: [], forms: [] },
  ...{ receiveBufferBytes: 0, sendBufferBytes: 0, cables: [], counters: {}, drops: {} },
}

function newState(cable: WireguardCable, publicKey: string): CableState {
  return {
    ...{ cable, publicKey, peerStart: 0, handshakeAtMs: Number.NEGATIVE_INFINITY },
    ...{ lastHandshakeMs: 0, rxBytes: 0, txBytes: 0, isPassing: false },
  }
}

export function textOf(key: Uint8Array): string {
  return Buffer.from(key).toString('base64')
}

/** Of one that was seen before, without computing it again. */
export function publicTextOf(privateKey: Uint8Array | undefined): string {
  if (privateKey === undefined) return ''
  const text = textOf(privateKey)
  let found = publicKeys.get(text)
  if (found === undefined) {
    found = textOf(publicKeyOf(privateKey))
    publicKeys.set(text, found)
  }
  return found
}

export function isWireguard(cable: CableTable): cable is WireguardCable {
  return cable.driver === 'wireguard'
}
