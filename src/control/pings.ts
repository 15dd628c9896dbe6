// The health checks: a pinger (pinger.ts, which decides) for each target of the plan, over one set of
// sockets (ping-socket.ts, which carries). Looked at ten times a second while there are targets;
// round trips do not hang on that, since the kernel notes when a reply came.

import type { Signal } from '../kube/signal.ts'
import { equalBytes, formatAddress } from '../net/address.ts'
import type { Clock } from '../net/clock.ts'
import { type PingNative, PingSocket } from './ping-socket.ts'
import { Pinger } from './pinger.ts'
import type { PingReport, PingTarget, Problem } from './world.ts'

export interface PingsParts {
  readonly native: PingNative
  readonly interfaceName: string
  readonly clock: Clock
  /** Raised when what there is to say of a target is another thing. */
  readonly changed: Signal
  readonly intervalMs: number
  readonly packetLossMost: number
}

interface Check {
  readonly target: PingTarget
  readonly pinger: Pinger
  /** Of requests that may still be answered, by sequence. */
  readonly sentAtMs: Map<number, number>
}

const lookMs = 100
/** Requests whose time is kept. */
const sentMost = 32

export class Pings {
  readonly #parts: PingsParts
  readonly #socket: PingSocket
  #checks = new Map<string, Check>()
  #timer: NodeJS.Timeout | undefined

  constructor(parts: PingsParts) {
    this.#parts = parts
    this.#socket = new PingSocket(parts.native, parts.interfaceName)
  }

  /** From now on these are pinged; of those that stay the same, what is known stays. */
  want(targets: readonly PingTarget[]): void {
    const before = this.#checks
    this.#checks = new Map(targets.map(target => [target.key, this.#checkOf(target, before)]))
    if (this.#checks.size > 0) this.#timer ??= setInterval(() => this.#look(), lookMs)
    else this.#rest()
  }

  reports(): ReadonlyMap<string, PingReport> {
    return new Map([...this.#checks].map(([key, { pinger }]) => [key, pinger.report()]))
  }

  problems(): readonly Problem[] {
    const unsent = [...this.#checks.values()].flatMap(({ target, pinger }) => {
      const { state, message } = pinger.report()
      return state === 'unknown' && message !== '' ? [{ target, message }] : []
    })
    return unsent.map(({ target, message }) => ({
      code: 'ping-not-sent',
      clusterId: target.clusterId,
      object: target.key,
      message,
    }))
  }

  stop(): void {
    this.#checks.clear()
    this.#rest()
  }

  #rest(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#socket.close()
  }

  #checkOf(target: PingTarget, before: ReadonlyMap<string, Check>): Check {
    const check = before.get(target.key)
    if (check !== undefined && isSame(check.target, target)) return check
    const { intervalMs, packetLossMost, clock } = this.#parts
    const firstSequence = Math.floor(clock.monotonicMs()) & 0xffff
    const options = { to: target.to, intervalMs, packetLossMost, firstSequence }
    return { target, pinger: new Pinger(options), sentAtMs: new Map() }
  }

  #look(): void {
    const before = this.#statesText()
    this.#receive()
    const nowMs = this.#parts.clock.monotonicMs()
    for (const check of this.#checks.values()) this.#send(check, nowMs)
    if (this.#statesText() !== before) this.#parts.changed.raise()
  }

  #send({ target, pinger, sentAtMs }: Check, nowMs: number): void {
    const next = pinger.tick(nowMs)
    if (next === undefined) return
    const sent = this.#socket.send(target.from, target.to, next.sequence)
    if (!sent.ok) {
      pinger.onSendError(sent.reason, nowMs)
      return
    }
    sentAtMs.set(next.sequence, sent.sentAtMs)
    const [oldest] = sentAtMs.keys()
    if (sentAtMs.size > sentMost) sentAtMs.delete(oldest)
  }

  #receive(): void {
    for (const { from, sequence, receivedAtMs } of this.#socket.receive()) {
      const text = formatAddress(from)
      for (const { target, pinger, sentAtMs } of this.#checks.values()) {
        const sent = sentAtMs.get(sequence)
        if (sent === undefined || formatAddress(target.to) !== text) continue
        sentAtMs.delete(sequence)
        pinger.onReply(sequence, Math.round((receivedAtMs - sent) * 1e6))
      }
    }
  }

  #statesText(): string {
    return [...this.#checks.values()].map(({ pinger }) => pinger.report().state).join()
  }
}

function isSame(a: PingTarget, b: PingTarget): boolean {
  return equalBytes(a.from.bytes, b.from.bytes) && equalBytes(a.to.bytes, b.to.bytes)
}
