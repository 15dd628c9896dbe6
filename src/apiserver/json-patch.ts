// JSON patch (RFC 6902) of what strangers write: pointers (RFC 6901) lead through fields that an object has
// itself, never through inherited ones; and what `copy` repeats is limited, since each may double what is
// there. The operations of a patch are done in order, on a copy; the first that cannot be done ends it.

import { isRecord } from '../kube/errors.ts'
import { type Body, isSame } from './body.ts'
import { badRequest, Refusal } from './refusal.ts'

const operationsMost = 10_000
/** Of all that is copied within one patch, as JSON: as long as a body may be. */
const copiedMost = 3 * 1024 * 1024

interface Operation {
  readonly op: string
  readonly path: string
  readonly from?: string
  readonly value?: unknown
}

/** The object as the patch wants it; the given one is left as it is. Throws Refusal. */
export function jsonPatched(body: Body, patch: unknown): unknown {
  if (!Array.isArray(patch) || !patch.every(isOperation)) {
    throw badRequest('a JSON patch is a list of operations with op and path')
  }
  if (patch.length > operationsMost) {
    const most = `The allowed maximum operations in a JSON patch is ${operationsMost}`
    throw new Refusal('RequestEntityTooLarge', `${most}, got ${patch.length}`)
  }
  // A pointer begins with '', and so the whole object is a field like any other.
  const root: Fields = { '': structuredClone(body) }
  let copied = 0
  for (const operation of patch) copied = perform(root, operation, copied)
  return root['']
}

/** Returns how much has been copied by then. */
function perform(root: Fields, { op, path, from, value }: Operation, copied: number): number {
  switch (op) {
    case 'add':
      insert(placeOf(root, path), asked(path, value))
      break
    case 'remove':
      removed(placeOf(root, path))
      break
    case 'replace': {
      const place = placeOf(root, path)
      removed(place)
      insert(place, asked(path, value))
      break
    }
    case 'move': {
      const moved = removed(placeOf(root, from ?? ''))
      insert(placeOf(root, path), moved)
      break
    }
    case 'copy': {
      const text = JSON.stringify(valueAt(placeOf(root, from ?? '')))
      if (copied + text.length > copiedMost) {
        const why = `more than ${copiedMost} bytes would be copied within the object`
        throw new Refusal('RequestEntityTooLarge', why)
      }
      insert(placeOf(root, path), JSON.parse(text))
      return copied + text.length
    }
    case 'test':
      if (!isSame(valueAt(placeOf(root, path)), value)) throw unusable(`testing ${path} failed`)
      break
    default:
      throw unusable(`there is no operation ${JSON.stringify(op)}`)
  }
  return copied
}

type Fields = Record<string, unknown>

/** A field of an object, or an item of a list, be it there or not. */
type Place =
  | { readonly kind: 'field'; readonly of: Fields; readonly key: string; readonly pointer: string }
  | { readonly kind: 'item'; readonly of: unknown[]; readonly at: number; readonly pointer: string }

/** Throws Refusal unless all but its last step is there. */
function placeOf(root: Fields, pointer: string): Place {
  const tokens = pointer.split('/').map(token => token.replaceAll('~1', '/').replaceAll('~0', '~'))
  let place: Place = { kind: 'field', of: root, key: '', pointer }
  for (const token of tokens.slice(1)) {
    const value = valueAt(place)
    if (Array.isArray(value)) {
      const at =
        token === '-' ? value.length : /^(?:0|[1-9]\d{0,8})$/.test(token) ? Number(token) : -1
      place = { kind: 'item', of: value, at, pointer }
    } else if (isRecord(value) && token !== '__proto__') {
      place = { kind: 'field', of: value, key: token, pointer }
    } else throw missing(pointer)
  }
  return place
}

function isThere(place: Place): boolean {
  if (place.kind === 'field') return Object.hasOwn(place.of, place.key)
  return place.at >= 0 && place.at < place.of.length
}

function valueAt(place: Place): unknown {
  if (!isThere(place)) throw missing(place.pointer)
  return place.kind === 'field' ? place.of[place.key] : place.of[place.at]
}

function removed(place: Place): unknown {
  const value = valueAt(place)
  if (place.kind === 'field') delete place.of[place.key]
  else place.of.splice(place.at, 1)
  return value
}

/** An item moves those behind it. */
function insert(place: Place, value: unknown): void {
  if (place.kind === 'field') place.of[place.key] = value
  else if (place.at >= 0 && place.at <= place.of.length) place.of.splice(place.at, 0, value)
  else throw missing(place.pointer)
}

/** The value that an operation has to bring. */
function asked(path: string, value: unknown): unknown {
  if (value === undefined) throw unusable(`${path}: a value is missing`)
  return structuredClone(value)
}

function isOperation(value: unknown): value is Operation {
  if (!isRecord(value) || typeof value['op'] !== 'string') return false
  const pointers = [value['path'], value['from'] ?? '']
  return pointers.every(pointer => typeof pointer === 'string' && /^$|^\//.test(pointer))
}

function missing(pointer: string): Refusal {
  return unusable(`there is no ${JSON.stringify(pointer)}`)
}

function unusable(reason: string): Refusal {
  const why = 'the server rejected our request due to an error in our request'
  return new Refusal('Invalid', `${why}: ${reason}`, {})
}
