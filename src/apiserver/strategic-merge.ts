// Strategic merge: like a JSON merge patch, but lists that the table names are merged item by item. The
// directives are those that kubectl sends: `$patch: delete|replace|merge` in an item or object,
// `$setElementOrder/LIST` beside a list, `$deleteFromPrimitiveList/LIST`, `$retainKeys`.

import { isRecord } from '../kube/errors.ts'
import type { Body } from './body.ts'
import { badRequest } from './refusal.ts'

type Keys = Readonly<Record<string, string>>

export function strategicMerge(body: Body, patch: Body, keys: Keys, path = ''): Body {
  const directive = patch['$patch']
  if (directive === 'replace') return plain(patch)
  if (directive === 'delete') return {}
  const result: Record<string, unknown> = { ...body }
  const retained = patch['$retainKeys']
  if (Array.isArray(retained)) {
    for (const name of Object.keys(result)) if (!retained.includes(name)) delete result[name]
  }
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith('$') || name === '__proto__') continue
    const inner = path === '' ? name : `${path}.${name}`
    if (value === null) delete result[name]
    else if (Array.isArray(value)) result[name] = mergedList(result[name], value, keys, inner)
    else if (isRecord(value)) {
      const old = result[name]
      result[name] = strategicMerge(isRecord(old) ? old : {}, value, keys, inner)
    } else result[name] = value
  }
  deletePrimitives(result, patch)
  for (const [name, order] of directives(patch, '$setElementOrder/')) {
    const inner = path === '' ? name : `${path}.${name}`
    const [list, live] = [result[name], body[name]]
    if (!Array.isArray(list)) continue
    result[name] = inOrder(list, order, Array.isArray(live) ? live : [], keys[inner])
  }
  return result
}

function mergedList(old: unknown, patch: readonly unknown[], keys: Keys, path: string): unknown[] {
  const key = keys[path]
  const before: readonly unknown[] = Array.isArray(old) ? old : []
  if (key === undefined) return [...patch]
  if (key === '') return inOrder([...new Set([...before, ...patch])], patch, before, key)
  const isReplaced = patch.some(item => isRecord(item) && item['$patch'] === 'replace')
  const result = isReplaced ? [] : [...before]
  const places = placesOf(result, key)
  for (const item of patch) {
    if (!isRecord(item)) throw badRequest(`${path}: expected objects in the list`)
    if (item['$patch'] === 'replace') continue
    const value = item[key]
    if (value === undefined) throw badRequest(`${path}: an item has no merge key ${key}`)
    const at = places.get(value)
    if (item['$patch'] === 'delete') {
      if (at !== undefined) result[at] = undefined
      places.delete(value)
      continue
    }
    const there = at === undefined ? undefined : result[at]
    const merged = strategicMerge(isRecord(there) ? there : {}, item, keys, path)
    if (at === undefined) places.set(value, result.push(merged) - 1)
    else result[at] = merged
  }
  const left = result.filter(item => item !== undefined)
  return inOrder(left, patch, before, key)
}

function deletePrimitives(result: Record<string, unknown>, patch: Body): void {
  for (const [name, values] of directives(patch, '$deleteFromPrimitiveList/')) {
    const [list, gone] = [result[name], new Set(values)]
    if (Array.isArray(list)) result[name] = list.filter(value => !gone.has(value))
  }
}

/**
 * Items that the order names come in that order. Each other one keeps its place before those that it stood
 * before in the live list; where there are none to tell, it comes behind.
 */
function inOrder(
  list: readonly unknown[],
  order: readonly unknown[],
  live: readonly unknown[],
  key: string | undefined,
): unknown[] {
  const [wanted, former] = [placesOf(order, key), placesOf(live, key)]
  const rankIn = (places: Places) => (a: unknown, b: unknown) =>
    (places.get(idOf(a, key)) ?? -1) - (places.get(idOf(b, key)) ?? -1)
  const isNamed = (item: unknown) => wanted.has(idOf(item, key))
  const named = list.filter(isNamed).sort(rankIn(wanted))
  const others = list.filter(item => !isNamed(item)).sort(rankIn(former))
  const result: unknown[] = []
  let taken = 0
  for (const item of named) {
    const next = former.get(idOf(item, key))
    for (; next !== undefined && taken < others.length; taken++) {
      const other = former.get(idOf(others[taken], key))
      if (other === undefined || other > next) break
      result.push(others[taken])
    }
    result.push(item)
  }
  return [...result, ...others.slice(taken)]
}

/** Where an item is first: lists of strangers are long, and each of their items is looked up. */
type Places = Map<unknown, number>

function placesOf(list: readonly unknown[], key: string | undefined): Places {
  const places: Places = new Map()
  for (const [i, item] of list.entries()) {
    const id = idOf(item, key)
    if (!places.has(id)) places.set(id, i)
  }
  return places
}

/** What tells an item from the others. */
function idOf(item: unknown, key: string | undefined): unknown {
  return key && isRecord(item) ? item[key] : item
}

function directives(patch: Body, prefix: string): [string, readonly unknown[]][] {
  return Object.entries(patch).flatMap(([name, value]) =>
    name.startsWith(prefix) && Array.isArray(value) ? [[name.slice(prefix.length), value]] : [],
  )
}

/** Without directives. */
function plain(patch: Body): Body {
  return Object.fromEntries(Object.entries(patch).filter(([name]) => !name.startsWith('$')))
}
