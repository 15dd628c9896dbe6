// ARP on a VXLAN cable (RFC 826): finds the MAC address of one remote's tunnel address, and answers
// for ours. Sans-I/O: frames and instants in, frames and states out. One resolution per cable, so
// nothing here grows with what strangers send.
//
//   unresolved -(wanted)-> asking: broadcast, again after 1 s, given up after 3
//   asking -(reply)-> resolved: asked again by unicast every 60 s while the cable sends, and when it
//   has sent for 5 s and heard nothing (the remote may have another MAC since it was started anew)
//   resolved -(3 unanswered)-> asking

import type { Address } from '../net/address.ts'

/** Ethernet header and ARP packet for IPv4. */
export const arpFrameBytes = 14 + 28

const OPER_REQUEST = 1
const OPER_REPLY = 2
const retryMs = 1000
const refreshMs = 60_000
const silenceMs = 5000
/** How often a cable that sends is looked at for silence. */
const checkMs = 2500
const attemptsMax = 3

export interface ArpPacket {
  readonly isRequest: boolean
  readonly senderMac: Uint8Array
  readonly senderAddress: number
  readonly targetAddress: number
}

/**
 *   0 destination MAC 6 | 6 source MAC 6 | 12 EtherType 0x0806
 *  14 hardware type 1 | 16 protocol 0x0800 | 18 lengths 6, 4 | 20 operation
 *  22 sender MAC 6 | 28 sender address 4 | 32 target MAC 6 | 38 target address 4
 * Returns undefined for what is no ARP packet for IPv4 over Ethernet.
 */
export function parseArp(bytes: Uint8Array): ArpPacket | undefined {
  if (bytes.length < arpFrameBytes) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const isArp =
    view.getUint16(12) === 0x0806 &&
    view.getUint16(14) === 1 &&
    view.getUint16(16) === 0x0800 &&
    view.getUint16(18) === 0x0604
  const operation = view.getUint16(20)
  if (!isArp || (operation !== OPER_REQUEST && operation !== OPER_REPLY)) return undefined
  return {
    isRequest: operation === OPER_REQUEST,
    senderMac: bytes.slice(22, 28),
    senderAddress: view.getUint32(28),
    targetAddress: view.getUint32(38),
  }
}

export function buildArp(
  isRequest: boolean,
  ownMac: Uint8Array,
  ownAddress: number,
  targetMac: Uint8Array | undefined,
  targetAddress: number,
): Uint8Array {
  const frame = new Uint8Array(arpFrameBytes)
  const view = new DataView(frame.buffer)
  if (targetMac) frame.set(targetMac, 0)
  else frame.fill(0xff, 0, 6)
  frame.set(ownMac, 6)
  view.setUint16(12, 0x0806)
  view.setUint16(14, 1)
  view.setUint16(16, 0x0800)
  view.setUint16(18, 0x0604)
  view.setUint16(20, isRequest ? OPER_REQUEST : OPER_REPLY)
  frame.set(ownMac, 22)
  view.setUint32(28, ownAddress)
  if (targetMac) frame.set(targetMac, 32)
  view.setUint32(38, targetAddress)
  return frame
}

export function ipv4Number(address: Address): number {
  const [a, b, c, d] = address.bytes
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
}

type State =
  | { readonly kind: 'unresolved' }
  | { readonly kind: 'asking'; readonly attempts: number; readonly againAtMs: number }
  | {
      readonly kind: 'resolved'
      readonly mac: Uint8Array
      readonly confirmedMs: number
      readonly attempts: number
      readonly againAtMs: number
    }

export type ArpStep =
  | { readonly kind: 'none' }
  /** Send a request, by broadcast or to the known MAC. */
  | { readonly kind: 'ask'; readonly mac: Uint8Array | undefined }
  | { readonly kind: 'gaveUp' }

/** Resolution of one tunnel address. */
export class ArpResolver {
  #state: State = { kind: 'unresolved' }

  get mac(): Uint8Array | undefined {
    return this.#state.kind === 'resolved' ? this.#state.mac : undefined
  }

  /** Packets wait. */
  wanted(nowMs: number): ArpStep {
    if (this.#state.kind !== 'unresolved') return { kind: 'none' }
    this.#state = { kind: 'asking', attempts: 1, againAtMs: nowMs + retryMs }
    return { kind: 'ask', mac: undefined }
  }

  /** The remote has told its MAC. True when it differs from what was known. */
  learn(mac: Uint8Array, nowMs: number): boolean {
    const known = this.mac
    const againAtMs = nowMs + checkMs
    this.#state = { kind: 'resolved', mac, confirmedMs: nowMs, attempts: 0, againAtMs }
    return known === undefined || mac.some((byte, i) => byte !== known[i])
  }

  /**
   * `sentMs`: when the cable last sent data; a quiet cable is not asked about. `silentMs`: for how
   * long it has been sending without hearing anything.
   */
  tick(nowMs: number, sentMs: number, silentMs: number): ArpStep {
    const state = this.#state
    if (state.kind === 'unresolved' || nowMs < state.againAtMs) return { kind: 'none' }
    if (state.kind === 'asking') {
      if (state.attempts >= attemptsMax) {
        this.#state = { kind: 'unresolved' }
        return { kind: 'gaveUp' }
      }
      this.#state = { ...state, attempts: state.attempts + 1, againAtMs: nowMs + retryMs }
      return { kind: 'ask', mac: undefined }
    }
    if (state.attempts >= attemptsMax) {
      this.#state = { kind: 'asking', attempts: 1, againAtMs: nowMs + retryMs }
      return { kind: 'ask', mac: undefined }
    }
    if (state.attempts === 0) {
      const isQuiet = nowMs - sentMs > refreshMs
      if (isQuiet || (nowMs - state.confirmedMs < refreshMs && silentMs < silenceMs)) {
        const againAtMs = isQuiet ? Number.POSITIVE_INFINITY : nowMs + checkMs
        this.#state = { ...state, againAtMs }
        return { kind: 'none' }
      }
    }
    this.#state = { ...state, attempts: state.attempts + 1, againAtMs: nowMs + retryMs }
    return { kind: 'ask', mac: state.mac }
  }

  /** The cable sends again after it was quiet: its MAC is to be confirmed. */
  wake(nowMs: number): void {
    const state = this.#state
    if (state.kind === 'resolved' && state.againAtMs === Number.POSITIVE_INFINITY) {
      this.#state = { ...state, againAtMs: nowMs }
    }
  }

  nextDeadlineMs(): number {
    return this.#state.kind === 'unresolved' ? Number.POSITIVE_INFINITY : this.#state.againAtMs
  }
}
