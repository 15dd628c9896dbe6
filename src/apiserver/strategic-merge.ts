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
  for (const item of patch) {
    if (!isRecord(item)) throw badRequest(`${path}: expected objects in the list`)
    if (item['$patch'] === 'replace') continue
    const value = item[key]
    if (value === undefined) throw badRequest(`${path}: an item has no merge key ${key}`)
    const at = result.findIndex(each => isRecord(each) && each[key] === value)
    if (item['$patch'] === 'delete') {
      if (at >= 0) result.splice(at, 1)
      continue
    }
    const there = at >= 0 && isRecord(result[at]) ? (result[at] as Body) : {}
    const merged = strategicMerge(there, item, keys, path)
    if (at >= 0) result[at] = merged
    else result.push(merged)
  }
  return inOrder(result, patch, before, key)
}

function deletePrimitives(result: Record<string, unknown>, patch: Body): void {
  for (const [name, values] of directives(patch, '$deleteFromPrimitiveList/')) {
    const list = result[name]
    if (Array.isArray(list)) result[name] = list.filter(value => !values.includes(value))
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
  const idOf = (item: unknown) => (key && isRecord(item) ? item[key] : item)
  const [places, former] = [order.map(idOf), live.map(idOf)]
  const isNamed = (item: unknown) => places.includes(idOf(item))
  const rankIn = (ids: readonly unknown[]) => (a: unknown, b: unknown) =>
    ids.indexOf(idOf(a)) - ids.indexOf(idOf(b))
  const named = list.filter(isNamed).sort(rankIn(places))
  const others = list.filter(item => !isNamed(item)).sort(rankIn(former))
  const result: unknown[] = []
  while (named.length > 0 && others.length > 0) {
    const [other, next] = [others[0], named[0]].map(item => former.indexOf(idOf(item)))
    const isBefore = other >= 0 && next >= 0 && other < next
    result.push(isBefore ? others.shift() : named.shift())
  }
  return [...result, ...named, ...others]
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
