// Routes and policy rules, applied by difference: what is wanted is compared with what `ip` shows, and
// one `ip -batch` makes up for it. Applying twice does nothing the second time.
//
// What counts as ours, and is deleted when it is not wanted, is a *place*: a whole table (150, 100), or
// the routes of protocol 4 over a device of ours in the main table. Stock Submariner writes that
// protocol (`static`) too, so what it has left is taken over and not doubled. A rule is ours by its
// priority and its table.
//
// A route is replaced in one step, never deleted first: no packet falls between.

import {
  type Address,
  type Family,
  formatAddress,
  formatPrefix,
  type Prefix,
  parsePrefix,
} from '../net/address.ts'
import {
  CommandFailure,
  type Fields,
  isGone,
  numberOf,
  type RunCommand,
  readJson,
  textOf,
} from './commands.ts'
import { addressOf } from './interfaces.ts'

/** `throw` sends a packet on to the next rule; `unreachable` answers that there is no way. */
export type RouteKind = 'unicast' | 'throw' | 'unreachable'

export interface Route {
  readonly kind: RouteKind
  readonly destination: Prefix
  /** Of a unicast route. */
  readonly device?: string
  /** The next hop; absent: the destination is on the link. */
  readonly via?: Address
  /** What this machine's own packets are sent from. */
  readonly source?: Address
}

/** The routes that are ours. */
export type RoutePlace =
  | { readonly kind: 'table'; readonly table: number }
  /** In the main table. */
  | { readonly kind: 'device'; readonly device: string }

/** Every packet of the family looks into the table. */
export interface Rule extends RuleName {
  readonly family: Family
}

/** Of whatever family. */
export interface RuleName {
  readonly priority: number
  readonly table: number
}

export const mainTable = 254
/** RTPROT_STATIC of <linux/rtnetlink.h>. */
const ownProtocol = 4
const families: readonly Family[] = [4, 6]
/** RTN_* of the same file. */
const kindCodes: Readonly<Record<RouteKind, string>> = {
  unicast: '1',
  unreachable: '7',
  throw: '9',
}
/** RT_SCOPE_LINK. */
const linkScope = '253'

/** A route as it is: ours to compare, and what takes it away. */
interface FoundRoute {
  readonly key: string
  /** All that can be different in two routes of one key. */
  readonly form: string
  readonly family: Family
  readonly removal: string
}

/** Makes the routes of a place what is wanted. Says how many lines it took. */
export async function applyRoutes(
  run: RunCommand,
  place: RoutePlace,
  wanted: readonly Route[],
): Promise<number> {
  return await settle(run, [], async () => {
    const found = await Promise.all(families.map(family => readRoutes(run, place, family)))
    return routeChanges(place, found.flat(), wanted)
  })
}

/** Makes the rules for these priorities and tables what is wanted; `none` are to go. */
export async function applyRules(
  run: RunCommand,
  wanted: readonly Rule[],
  none: readonly RuleName[] = [],
): Promise<number> {
  let changes = 0
  for (const family of families) {
    const own = wanted.filter(rule => rule.family === family)
    const others = [...none, ...wanted.filter(rule => rule.family !== family)]
    changes += await settle(run, [`-${family}`], async () =>
      ruleChanges(await readRules(run, family), own, others),
    )
  }
  return changes
}

export function routeChanges(
  place: RoutePlace,
  found: readonly FoundRoute[],
  wanted: readonly Route[],
): string[] {
  const table = place.kind === 'table' ? place.table : mainTable
  const there = new Map(found.map(route => [route.key, route.form]))
  const lines: string[] = []
  const kept = new Set<string>()
  for (const route of wanted) {
    const key = keyOf(route.destination)
    if (kept.has(key)) continue
    kept.add(key)
    if (there.get(key) !== formOf(route)) lines.push(`route replace ${textOfRoute(route, table)}`)
  }
  for (const route of found) if (!kept.has(route.key)) lines.push(route.removal)
  return lines
}

/** Of one family. `none` are to go, unless they are wanted. */
export function ruleChanges(
  found: readonly RuleName[],
  wanted: readonly RuleName[],
  none: readonly RuleName[],
): string[] {
  const text = ({ priority, table }: RuleName) => `priority ${priority} table ${table}`
  const there = new Set(found.map(text))
  const own = new Set(wanted.map(text))
  const unwanted = new Set(none.map(text))
  const lines = [...own].filter(rule => !there.has(rule)).map(rule => `rule add ${rule}`)
  // The kernel takes a rule twice, and deletes one of them at a time.
  const seen = new Set<string>()
  for (const rule of found.map(text)) {
    const isSpare = own.has(rule) ? seen.has(rule) : unwanted.has(rule)
    if (isSpare) lines.push(`rule del ${rule}`)
    seen.add(rule)
  }
  return lines
}

/**
 * Looks and changes. What somebody else changed in between fails a line: then it looks again, once.
 * `ip -batch` stops at a line that fails, and what was done before it stays done.
 */
async function settle(
  run: RunCommand,
  options: readonly string[],
  changes: () => Promise<readonly string[]>,
): Promise<number> {
  for (let attempt = 0; ; attempt++) {
    const lines = await changes()
    if (lines.length === 0) return 0
    try {
      await run(['ip', ...options, '-batch', '-'], `${lines.join('\n')}\n`)
      return lines.length
    } catch (error) {
      if (!(error instanceof CommandFailure) || attempt > 0) throw error
    }
  }
}

async function readRoutes(
  run: RunCommand,
  place: RoutePlace,
  family: Family,
): Promise<FoundRoute[]> {
  const where = place.kind === 'table' ? ['table', String(place.table)] : ['dev', place.device]
  try {
    const list = await readJson(run, ['ip', '-N', '-j', `-${family}`, 'route', 'show', ...where])
    const own = list.filter(
      fields => place.kind === 'table' || numberOf(fields, 'protocol') === ownProtocol,
    )
    return own.flatMap(fields => foundRoute(fields, place, family))
  } catch (error) {
    // A table without routes does not exist, and a device may not yet.
    if (isGone(error)) return []
    throw error
  }
}

function foundRoute(fields: Fields, place: RoutePlace, family: Family): FoundRoute[] {
  const destination = destinationOf(textOf(fields, 'dst'), family)
  if (destination === undefined) return []
  const type = textOf(fields, 'type') || kindCodes.unicast
  const via = addressOf(fields, 'gateway')
  const source = addressOf(fields, 'prefsrc')
  const device = type === kindCodes.unicast ? deviceOf(fields, place) : ''
  const table = place.kind === 'table' ? place.table : mainTable
  const metric = numberOf(fields, 'metric')
  // `ip` does not name the protocol of what a person added: RTPROT_BOOT.
  const protocol = numberOf(fields, 'protocol') || 3
  // A route of another metric stands beside ours and is another one.
  const isOwnMetric = metric === (family === 4 ? 0 : defaultMetric6)
  // `ip` prints numbers with -N and takes words; of a kind that is not ours the destination is enough.
  const word = Object.entries(kindCodes).find(([, code]) => code === type)?.[0] ?? ''
  const kind = word === 'unicast' || word === '' ? '' : `${word} `
  const parts = [
    `route del ${kind}${formatPrefix(destination)} table ${table}`,
    device === '' ? '' : `dev ${device}`,
    via === undefined ? '' : `via ${formatAddress(via)}`,
    `proto ${protocol}`,
    metric === 0 ? '' : `metric ${metric}`,
  ]
  return [
    {
      key: isOwnMetric ? keyOf(destination) : `${keyOf(destination)} metric ${metric}`,
      form: formOfParts(type, device, via, source, protocol),
      family,
      removal: parts.filter(part => part !== '').join(' '),
    },
  ]
}

/** IP6_RT_PRIO_USER of <linux/ipv6_route.h>: what a route without a metric gets. */
const defaultMetric6 = 1024

/** `ip` leaves the device out when it was asked for that device's routes. */
function deviceOf(fields: Fields, place: RoutePlace): string {
  return textOf(fields, 'dev') || (place.kind === 'device' ? place.device : '')
}

function destinationOf(text: string, family: Family): Prefix | undefined {
  if (text === 'default') return parsePrefix(family === 4 ? '0.0.0.0/0' : '::/0')
  try {
    return parsePrefix(text)
  } catch {
    return undefined
  }
}

function keyOf(destination: Prefix): string {
  return formatPrefix(destination)
}

function formOf({ kind, device = '', via, source }: Route): string {
  return formOfParts(kindCodes[kind], device, via, source, ownProtocol)
}

function formOfParts(
  type: string,
  device: string,
  via: Address | undefined,
  source: Address | undefined,
  protocol: number,
): string {
  const hop = via === undefined ? '-' : formatAddress(via)
  return [type, device, hop, source === undefined ? '-' : formatAddress(source), protocol].join(' ')
}

function textOfRoute({ kind, destination, device, via, source }: Route, table: number): string {
  const isLink = kind === 'unicast' && via === undefined && destination.family === 4
  return [
    kind === 'unicast' ? '' : kind,
    formatPrefix(destination),
    via === undefined ? '' : `via ${formatAddress(via)}`,
    device === undefined ? '' : `dev ${device}`,
    `table ${table} proto ${ownProtocol}`,
    isLink ? `scope ${linkScope}` : '',
    source === undefined ? '' : `src ${formatAddress(source)}`,
  ]
    .filter(part => part !== '')
    .join(' ')
}

async function readRules(run: RunCommand, family: Family): Promise<RuleName[]> {
  let list: Fields[] = []
  try {
    list = await readJson(run, ['ip', '-N', '-j', `-${family}`, 'rule', 'show'])
  } catch (error) {
    if (!isGone(error)) throw error
  }
  return list
    .filter(fields => isForEverything(fields))
    .map(fields => ({
      priority: numberOf(fields, 'priority'),
      table: numberOf(fields, 'table'),
    }))
}

/** A rule with a selector at our priority is somebody else's. */
function isForEverything(fields: Fields): boolean {
  const known = ['priority', 'src', 'table', 'protocol']
  return fields['src'] === 'all' && Object.keys(fields).every(name => known.includes(name))
}
