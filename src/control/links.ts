// What the data path's counters say of the cables, as the stock WireGuard driver judges its peers (spec
// 4.6). Per cable, at each look:
//
//   another data path or key: counters fell          begin anew, connecting
//   less than 10.002 s since bytes were last noted   as it was, unless the first handshake is done
//   no handshake yet, for more than 130 s            error
//   no handshake yet, some bytes                     connecting
//   bytes in or out                                  connected; they are noted
//   the last handshake more than 130 s ago           error
//   quiet for less than 20.004 s                     as it was
//   else                                             error
//
// A VXLAN cable is connected once the data path has it: there is nothing to be seen of its other end.

import type { CableStatus, DatapathStatus } from '../tables/status.ts'
import type { LinkReport } from './world.ts'

/** The keepalive, and a little. */
const checkLeastMs = 10_002
const quietMostMs = 20_004
const handshakeMostMs = 130_000

interface Noted {
  readonly checkedAtMs: number
  readonly txBytes: number
  readonly rxBytes: number
}

interface Link {
  readonly driver: CableStatus['driver']
  readonly noted: Noted
  readonly lastHandshakeMs: number
  readonly report: LinkReport
}

const noMessage = ''

export class CableLinks {
  #links = new Map<string, Link>()

  /** Looks at the cables and returns what there is to say of each. `nowMs`: wall clock. */
  look(status: DatapathStatus | undefined, nowMs: number): ReadonlyMap<string, LinkReport> {
    // A data path that does not answer for a moment has not lost its cables.
    if (status !== undefined) {
      const before = this.#links
      this.#links = new Map(
        status.cables.map(cable => [cable.name, judged(before.get(cable.name), cable, nowMs)]),
      )
    }
    return new Map([...this.#links].map(([name, { report }]) => [name, report]))
  }
}

function judged(before: Link | undefined, cable: CableStatus, nowMs: number): Link {
  if (cable.driver === 'vxlan') return vxlanLink(nowMs)
  const link = before !== undefined && continues(before, cable) ? before : newLink(cable, nowMs)
  // A clock that was set back begins the wait anew.
  const noted = { ...link.noted, checkedAtMs: Math.min(link.noted.checkedAtMs, nowMs) }
  return judgedWireguard({ ...link, noted, lastHandshakeMs: cable.lastHandshakeMs }, cable, nowMs)
}

function judgedWireguard(link: Link, cable: CableStatus, nowMs: number): Link {
  const { noted, report } = link
  const elapsedMs = nowMs - noted.checkedAtMs
  const { txBytes, rxBytes, lastHandshakeMs } = cable
  const isShaken = lastHandshakeMs > 0
  // Stock lets ten seconds pass before it looks; a first handshake says as much at once.
  const sinceMs = nowMs - lastHandshakeMs
  const isFirst = isShaken && sinceMs <= handshakeMostMs && report.state === 'connecting'
  if (elapsedMs < checkLeastMs && !isFirst) return link
  if (!isShaken) {
    if (elapsedMs > handshakeMostMs) return failed(link, 'no initial handshake', elapsedMs)
    if (txBytes > 0 || rxBytes > 0) return reported(link, 'connecting', 'no initial handshake yet')
    return link
  }
  if (txBytes > noted.txBytes || rxBytes > noted.rxBytes || isFirst) {
    const message = `Rx=${rxBytes} Bytes, Tx=${txBytes} Bytes`
    return reported(
      { ...link, noted: { checkedAtMs: nowMs, txBytes, rxBytes } },
      'connected',
      message,
    )
  }
  if (sinceMs > handshakeMostMs) return failed(link, 'no handshake', sinceMs)
  if (elapsedMs < quietMostMs) return link
  return failed(link, 'no bytes sent or received', elapsedMs)
}

/** Whether the counters can be those that were seen before, and more. */
function continues({ driver, noted, lastHandshakeMs }: Link, cable: CableStatus): boolean {
  return (
    driver === cable.driver &&
    noted.txBytes <= cable.txBytes &&
    noted.rxBytes <= cable.rxBytes &&
    lastHandshakeMs <= cable.lastHandshakeMs
  )
}

function newLink({ driver }: CableStatus, nowMs: number): Link {
  const noted = { checkedAtMs: nowMs, txBytes: 0, rxBytes: 0 }
  const report: LinkReport = { state: 'connecting', message: noMessage, traffic: noted }
  return { driver, noted, lastHandshakeMs: 0, report }
}

function vxlanLink(nowMs: number): Link {
  const noted = { checkedAtMs: nowMs, txBytes: 0, rxBytes: 0 }
  const report: LinkReport = { state: 'connected', message: noMessage, traffic: undefined }
  return { driver: 'vxlan', noted, lastHandshakeMs: 0, report }
}

function reported(link: Link, state: LinkReport['state'], message: string): Link {
  return { ...link, report: { state, message, traffic: link.noted } }
}

function failed(link: Link, what: string, elapsedMs: number): Link {
  return reported(link, 'error', `${what} for ${(elapsedMs / 1000).toFixed(1)} seconds`)
}
