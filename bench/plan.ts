// What `npm run bench` measures of whom when nobody asks for something else, so that a whole run stays
// under 25 minutes: Hawser and what it is compared with most closely in every case on both wires, the
// others where a goal or a table needs them. A case that is named, or a wire, is measured of all.

import {
  type CaseName,
  type ContestantName,
  caseNames,
  type WireName,
  wireNames,
} from './run-record.ts'

/** Cases by wire, in the order in which they are measured. */
export type Plan = Readonly<Partial<Record<WireName, readonly CaseName[]>>>

/** A part of a turn: cases on one wire. */
export interface Step {
  readonly wire: WireName
  readonly cases: readonly CaseName[]
}

/** What the arguments of the bench ask for. */
export interface Choice {
  readonly wires: readonly WireName[]
  readonly cases: readonly CaseName[] | 'planned'
}

const path: readonly CaseName[] = ['tcp1', 'tcp4', 'udp64', 'udp1372', 'rtt']
const everything: Plan = { superpackets: [...path, 'idle', 'loaded-rtt'], packets: path }
const clear: Plan = { superpackets: path, packets: ['tcp1', 'tcp4', 'rtt'] }
const rust: Plan = { superpackets: ['tcp1', 'udp64', 'udp1372', 'rtt', 'idle'] }
/** Beside hawser-aes, on both wires: twice as many ratios. */
const variant: Plan = { superpackets: ['tcp1'], packets: ['tcp1'] }

export const plans: Readonly<Record<ContestantName, Plan>> = {
  plain: { superpackets: path, packets: path },
  vxlan: clear,
  'wg-debian': { superpackets: [...path, 'idle'] },
  'wg-newest': everything,
  'wg-tailscale': everything,
  boringtun: rust,
  gotatun: rust,
  hawser: everything,
  'hawser-aes': everything,
  'hawser-noop': variant,
  'hawser-capture': variant,
  'hawser-vxlan': { ...clear, superpackets: [...path, 'idle'] },
}

/** What costs something in one case is measured in that case and in no other. */
export const onlyTcp1: readonly ContestantName[] = ['hawser-noop', 'hawser-capture']

/** A contestant's turn; empty when nothing that was asked for is measured of it. */
export function stepsOf(name: ContestantName, choice: Choice): readonly Step[] {
  const steps: Step[] = []
  for (const wire of wireNames) {
    if (!choice.wires.includes(wire)) continue
    const named = choice.cases === 'planned' ? plans[name][wire] : choice.cases
    const cases = caseNames.filter(
      candidate =>
        named?.includes(candidate) &&
        (candidate === 'tcp1' || !onlyTcp1.includes(name)) &&
        // What an idle daemon costs does not depend on the wire.
        (candidate !== 'idle' || steps.length === 0),
    )
    if (cases.length > 0) steps.push({ wire, cases })
  }
  return steps
}

interface Lengths {
  readonly seconds: number
  readonly pings: number
}

/** How long a turn takes on a quiet machine, its network and daemons included. */
export function secondsOf(steps: readonly Step[], lengths: Lengths): number {
  const aside = { turn: 1.5, wire: 0.4, case: 0.7 }
  let sum = aside.turn
  for (const { cases } of steps) {
    sum += aside.wire
    for (const name of cases) sum += aside.case + secondsOfCase(name, lengths)
  }
  return sum
}

/** Without the look at whether the machine is quiet. */
export function secondsOfCase(name: CaseName, { seconds, pings }: Lengths): number {
  if (name === 'rtt') return pings / 95
  if (name === 'idle') return 2
  return name.startsWith('udp') ? udpSeconds(seconds) : seconds
}

/** The sender is not paced: a second less shows as much. */
export function udpSeconds(seconds: number): number {
  return Math.max(1, seconds - 1)
}
