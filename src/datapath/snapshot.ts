// From one snapshot of tables to the next: checks the new one whole before anything is touched,
// gives each cable its index, and tells what has changed. Pure, but for the index book.

import { equalBytes, formatPrefix, type Prefix, prefixKey } from '../net/address.ts'
import { GatewayError } from '../net/errors.ts'
import { buildTrie, type PrefixEntry, type PrefixTable } from '../routing/prefix-trie.ts'
import { equalCiphers } from '../tables/cipher.ts'
import { limits } from '../tables/shared.ts'
import type { CableTable, Tables } from '../tables/tables.ts'
import type { CableChange } from './mail.ts'

/** Indices of the cables that are in force, by name. */
export type CableIndices = ReadonlyMap<string, number>

export interface SnapshotPlan {
  /** The next tables, which share with those before the prefixes that are the same. */
  readonly tables: Tables
  readonly indices: CableIndices
  readonly changes: readonly CableChange[]
  /** Absent: the routes are the same as before. */
  readonly routes: PrefixTable | undefined
}

/** Throws GatewayError when the snapshot cannot be applied whole. */
export function planSnapshot(
  before: Tables,
  beforeIndices: CableIndices,
  beforeMtuBytes: number,
  posted: Tables,
  tunMtuBytes: number,
): SnapshotPlan {
  const beforeByName = new Map(before.cables.map(table => [table.name, table]))
  const next = sharePrefixes(beforeByName, posted)
  const hasSamePrefixes = next.cables.every(
    table => beforeByName.get(table.name)?.allowedIps === table.allowedIps,
  )
  checkCables(next)
  // Those in force were found to have one owner each.
  if (!hasSamePrefixes) checkPrefixes(next)
  const indices = assignIndices(beforeByName, beforeIndices, next)
  const changes: CableChange[] = []
  for (const [name, cable] of beforeIndices) {
    if (indices.get(name) !== cable) changes.push({ kind: 'remove', cable })
  }
  for (const table of next.cables) {
    const cable = indices.get(table.name) ?? -1
    const known = beforeIndices.get(table.name) === cable ? beforeByName.get(table.name) : undefined
    const mtuBytes = table.mtuBytes ?? tunMtuBytes
    const isSame =
      known !== undefined &&
      mtuBytes === (known.mtuBytes ?? beforeMtuBytes) &&
      equalCable(known, table)
    if (isSame) continue
    // Allowed IPs travel in the routes: the workers do not need them twice.
    const bare: CableTable = { ...table, allowedIps: [] }
    const isNew = known === undefined || !isSameIdentity(known, table)
    if (known !== undefined && isNew) changes.push({ kind: 'remove', cable })
    changes.push({ kind: 'set', cable, isNew, table: bare, mtuBytes })
  }
  const hasSameRoutes =
    hasSamePrefixes && changes.every(change => change.kind === 'set' && !change.isNew)
  const routes = hasSameRoutes ? undefined : buildRoutes(next, indices)
  return { tables: next, indices, changes, routes }
}

/**
 * Whoever posts decodes a snapshot anew, most often with the prefixes that are in force already: a
 * hundred thousand of them take 20 MB, which need not be there twice.
 */
function sharePrefixes(before: ReadonlyMap<string, CableTable>, next: Tables): Tables {
  const cables = next.cables.map(table => {
    const known = before.get(table.name)?.allowedIps
    if (known === undefined || known === table.allowedIps) return table
    return equalPrefixes(known, table.allowedIps) ? { ...table, allowedIps: known } : table
  })
  return { ...next, cables }
}

function equalPrefixes(a: readonly Prefix[], b: readonly Prefix[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) {
    if (a[i].bits !== b[i].bits || !equalBytes(a[i].bytes, b[i].bytes)) return false
  }
  return true
}

/** The changes that a new MTU of the device brings for cables without one of their own. */
export function planMtu(
  tables: Tables,
  indices: CableIndices,
  tunMtuBytes: number,
): readonly CableChange[] {
  return tables.cables
    .filter(table => table.mtuBytes === undefined)
    .map(table => ({
      kind: 'set',
      cable: indices.get(table.name) ?? -1,
      isNew: false,
      table: { ...table, allowedIps: [] },
      mtuBytes: tunMtuBytes,
    }))
}

function checkCables(tables: Tables): void {
  if (tables.cables.length > limits.cables) {
    throw new GatewayError(
      'ENOSPC',
      `${tables.cables.length} cables, ${limits.cables} are possible`,
    )
  }
  const names = new Set<string>()
  for (const table of tables.cables) {
    if (names.has(table.name)) {
      throw new GatewayError('EEXIST', `two cables have the name ${JSON.stringify(table.name)}`)
    }
    names.add(table.name)
    if (table.driver === 'vxlan' && tables.device.vxlan === undefined) {
      throw new GatewayError('EINVAL', `cable ${table.name}: the device has no VXLAN address`)
    }
  }
}

function checkPrefixes(tables: Tables): void {
  const owners = new Map<string, string>()
  for (const table of tables.cables) {
    for (const prefix of table.allowedIps) {
      const key = prefixKey(prefix)
      const owner = owners.get(key)
      if (owner !== undefined && owner !== table.name) {
        const text = formatPrefix(prefix)
        throw new GatewayError('EEXIST', `${text} belongs to the cables ${owner} and ${table.name}`)
      }
      owners.set(key, table.name)
    }
  }
}

function assignIndices(
  beforeByName: ReadonlyMap<string, CableTable>,
  before: CableIndices,
  next: Tables,
): Map<string, number> {
  const indices = new Map<string, number>()
  const taken = new Set<number>(before.values())
  for (const { name, driver } of next.cables) {
    const known = before.get(name)
    // With another driver it may be another worker's, and two would write its row at once.
    const isSame = beforeByName.get(name)?.driver === driver
    if (known !== undefined && isSame) indices.set(name, known)
  }
  let free = 0
  for (const { name } of next.cables) {
    if (indices.has(name)) continue
    // Not the index of a cable that this snapshot removes: its packets may still be under way.
    while (taken.has(free)) free++
    if (free >= limits.cables) throw new GatewayError('ENOSPC', 'the table of cables is full')
    taken.add(free)
    indices.set(name, free)
  }
  return indices
}

function buildRoutes(tables: Tables, indices: CableIndices): PrefixTable {
  return buildTrie(routeEntries(tables, indices))
}

function* routeEntries(tables: Tables, indices: CableIndices): Generator<PrefixEntry> {
  for (const table of tables.cables) {
    const value = indices.get(table.name) ?? -1
    for (const prefix of table.allowedIps) yield { prefix, value }
  }
}

/** Whether the cable goes on being the same one: its session and counters are kept. */
function isSameIdentity(a: CableTable, b: CableTable): boolean {
  if (a.driver !== b.driver) return false
  if (a.driver === 'vxlan' || b.driver === 'vxlan') return true
  return equalBytes(a.publicKey, b.publicKey)
}

/** Allowed IPs excepted. */
function equalCable(a: CableTable, b: CableTable): boolean {
  if (a === b) return true
  if (!isSameIdentity(a, b) || a.remoteSerial !== b.remoteSerial) return false
  if (a.driver === 'wireguard' && b.driver === 'wireguard') {
    return (
      a.keepaliveSeconds === b.keepaliveSeconds &&
      equalCiphers(a.ciphers, b.ciphers) &&
      equalOptionalBytes(a.presharedKey, b.presharedKey)
    )
  }
  if (a.driver === 'vxlan' && b.driver === 'vxlan') {
    return equalBytes(a.tunnelAddress.bytes, b.tunnelAddress.bytes)
  }
  return false
}

function equalOptionalBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b)
}
