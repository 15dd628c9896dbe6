// Entry of both worker threads: builds one half of the path, then breathes for ever. A breath begins
// with one poll over the descriptors and the wake-up, with the next deadline as its time-out; an idle
// worker sleeps in it and costs nothing. Between breaths it takes mail from the main thread.
//
// The loop never returns to the event loop (a worker inside a blocking call cannot be terminated), so
// stopping is a mail and a wake-up.

import { randomFillSync } from 'node:crypto'
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { createXchacha } from '../crypto/xchacha.ts'
import { type ContextMemory, loadNative } from '../native.ts'
import { systemClock } from '../net/clock.ts'
import { POLL, STATE } from '../packet/batch.ts'
import { stepBreath } from '../tables/memory.ts'
import { worker } from '../tables/shared.ts'
import { applyInbound, applyOutbound } from './apply.ts'
import { buildInbound, buildOutbound } from './build.ts'
import type { Mail, Report, WorkerStart } from './mail.ts'

/** One half of the path, as the loop sees it. */
interface Half {
  readonly context: number
  readonly batch: ContextMemory
  readonly breathIndex: number
  watch(polls: Int32Array): number
  nextDeadlineMs(): number
  /** A negative errno ends the worker. */
  breathe(nowMs: number, isWoken: boolean): number
  take(mail: Mail, nowMs: number): void
  /** Wipes secrets. */
  end(): void
}

const native = loadNative()
const start = workerData as WorkerStart
const port = parentPort as MessagePort

function report(message: Report): void {
  port.postMessage(message)
}

function wakeInbound(pair: number): void {
  native.wake(start.wakeFds.inbound[pair])
}

function outboundHalf(): Half {
  const { outbound, tap, context, batch } = buildOutbound({
    native,
    memory: start.memory,
    tunFd: start.tunFd,
    segmentsMax: start.segmentsMax,
    wakeInbound,
    tellUp: () => report({ kind: 'up' }),
    monotonicMs: systemClock.monotonicMs,
  })
  return {
    context,
    batch,
    breathIndex: worker.outbound,
    watch: polls => outbound.watch(polls),
    nextDeadlineMs: () => Number.POSITIVE_INFINITY,
    breathe: nowMs => outbound.breathe(nowMs),
    take(mail) {
      if (mail.kind === 'captures') {
        tap.use(mail.order)
        report({ kind: 'applied', serial: mail.serial })
      } else if (mail.kind === 'link') {
        outbound.setLink(mail.up)
        report({ kind: 'applied', serial: mail.serial })
      }
      if (mail.kind !== 'apply') return
      applyOutbound(outbound, mail)
      report({ kind: 'applied', serial: mail.serial })
    },
    end() {},
  }
}

async function inboundHalf(): Promise<Half> {
  // Only this worker needs it: a WebAssembly instance less in the other.
  const { default: sodium } = await import('libsodium-wrappers')
  await sodium.ready
  const built = buildInbound({
    native,
    memory: start.memory,
    tunFd: start.tunFd,
    coalesce: start.coalesce,
    xchacha: createXchacha(sodium),
    random: bytes => void randomFillSync(bytes),
    wallNowMs: systemClock.wallMs,
    autoCiphers: start.autoCiphers,
    monotonicMs: systemClock.monotonicMs,
    wakeOutbound() {
      for (const fd of start.wakeFds.outbound) native.wake(fd)
    },
    wakeInbound,
    foreignSink(bytes, remote) {
      report({ kind: 'foreign', remote, bytes })
      return true
    },
  })
  const { inbound, outbox, tap, wireguard, context, batch } = built
  return {
    context,
    batch,
    breathIndex: worker.inbound,
    watch: polls => inbound.watch(polls),
    nextDeadlineMs: () => inbound.nextDeadlineMs(),
    breathe(nowMs, isWoken) {
      inbound.breathe(nowMs, isWoken)
      return 0
    },
    take(mail, nowMs) {
      if (mail.kind === 'apply') {
        const full = applyInbound(built, mail, nowMs)
        report({ kind: 'applied', serial: mail.serial, ...(full === undefined ? {} : { full }) })
      } else if (mail.kind === 'foreign') {
        outbox.datagram(-1, mail.remote, mail.bytes, 0)
        report({ kind: 'sent' })
      } else if (mail.kind === 'link') {
        if (mail.up) inbound.resume(nowMs)
        else inbound.suspend(nowMs)
        report({ kind: 'applied', serial: mail.serial })
      } else if (mail.kind === 'captures') {
        tap.use(mail.order)
        for (const cable of mail.rekey) wireguard.rekey(cable, nowMs)
        report({ kind: 'applied', serial: mail.serial })
      }
    },
    end() {
      built.wireguard.setPrivateKey(undefined, 0)
      built.publisher.slots.wipeAll()
    },
  }
}

/**
 * How long a busy worker looks for more before it sleeps. Waking a sleeper costs the sender an
 * interrupt to another CPU, per packet where packets are small; see docs/performance.md.
 */
const lingerMs = 0.02

/** Waits and breathes until it is told to stop. */
function run(half: Half): string {
  const { context, batch } = half
  const { polls, state } = batch
  const ownWakeFd = start.wakeFds[start.role][start.memory.pair]
  state[STATE.NOW_MS] = systemClock.monotonicMs()
  for (;;) {
    const watched = half.watch(polls)
    const wakeAt = watched * POLL.WORDS
    polls[wakeAt] = ownWakeFd
    polls[wakeAt + 1] = POLL.IN | POLL.WAKE
    const deadlineMs = half.nextDeadlineMs()
    const timeoutMs =
      deadlineMs === Number.POSITIVE_INFINITY
        ? deadlineMs
        : Math.max(0, deadlineMs - state[STATE.NOW_MS])
    native.poll(context, watched + 1, timeoutMs, lingerMs)
    const nowMs = state[STATE.NOW_MS]
    const isWoken = polls[wakeAt + 2] !== 0
    stepBreath(start.memory, half.breathIndex)
    if (isWoken && takeMail(half, nowMs)) return ''
    const error = half.breathe(nowMs, isWoken)
    stepBreath(start.memory, half.breathIndex)
    if (error < 0) return error === -EBADFD ? 'the device was deleted' : `errno ${-error}`
  }
}

const EBADFD = 77

/** True: stop. */
function takeMail(half: Half, nowMs: number): boolean {
  for (;;) {
    const received = receiveMessageOnPort(port)
    if (!received) return false
    const mail = received.message as Mail
    if (mail.kind === 'stop') return true
    half.take(mail, nowMs)
  }
}

const half = start.role === 'outbound' ? outboundHalf() : await inboundHalf()
report({ kind: 'ready' })
const reason = run(half)
half.end()
if (reason !== '') report({ kind: 'ended', reason, failed: !reason.includes('deleted') })
port.close()
