// Random changes of JSON: a value somewhere in it becomes another one, goes away, comes twice, or has a
// text in it changed. All from one random generator, so that a seed makes them again.

type Parent = Record<string, unknown> | unknown[]

interface Place {
  readonly parent: Parent
  readonly key: string | number
}

/** A changed copy, with 1 to 3 changes. */
export function mutated(value: unknown, random: () => number): unknown {
  const root = { value: structuredClone(value) }
  const changes = 1 + pick(3, random)
  for (let change = 0; change < changes; change++) {
    const places = placesOf(root)
    // Everything may be gone by now.
    if (places.length > 0) mutate(places[pick(places.length, random)], random)
  }
  // JSON has nothing that is not there.
  return root.value ?? null
}

function pick(count: number, random: () => number): number {
  return Math.floor(random() * count)
}

/** Every value below, not the one at the top. */
function placesOf(parent: Parent): Place[] {
  const keys = Array.isArray(parent) ? parent.keys() : Object.keys(parent)
  return [...keys].flatMap(key => {
    const inner = valueAt({ parent, key })
    const isParent = typeof inner === 'object' && inner !== null
    return [{ parent, key }, ...(isParent ? placesOf(inner as Parent) : [])]
  })
}

function valueAt({ parent, key }: Place): unknown {
  return (parent as Record<string | number, unknown>)[key]
}

/** A copy, so that no value stands in two places and none in itself. */
function put({ parent, key }: Place, value: unknown): void {
  Object.defineProperty(parent, key, {
    value: structuredClone(value),
    configurable: true,
    enumerable: true,
    writable: true,
  })
}

/** Values that somebody could have written where another one was meant. */
const strangers: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1.5, 1e300, '', ' ', 'x', '0', '-1', '70000', 'true', 'null'],
  ...['10.0.0.0/33', '10.0.0.0/8', '10.0.0.1', '::/0', 'fe80::1%1', '2001:db8::1', '999.0.0.1'],
  ...['1h2m3.5s', '1us1', 'µs', '2026-11-28T07:00:00Z', '2026-13-28T07:00:00Z', 'AAAA', 'A'],
  ...['\u0000', '\ud800', 'x'.repeat(5000), [], [[]], {}, { '': '' }, [null], ['', 1]],
  ...['active', 'connected', 'k8s', '[]', '"242.0.0.0/8"', '{', '[{"cluster_id":1}]'],
]

function mutate(place: Place, random: () => number): void {
  const value = valueAt(place)
  const kind = pick(5, random)
  if (kind === 0) put(place, strangers[pick(strangers.length, random)])
  else if (kind === 1) remove(place)
  else if (kind === 2) repeat(place, value, random)
  else if (kind === 3 || typeof value !== 'string') put(place, [value])
  else put(place, mutatedText(value, random))
}

function remove({ parent, key }: Place): void {
  if (Array.isArray(parent)) parent.splice(Number(key), 1)
  else delete parent[key]
}

/** Once more, in an object under a name that means something else there. */
function repeat({ parent }: Place, value: unknown, random: () => number): void {
  if (Array.isArray(parent)) parent.push(structuredClone(value))
  else put({ parent, key: strangeKeys[pick(strangeKeys.length, random)] }, value)
}

const strangeKeys = [
  '__proto__',
  'constructor',
  'toString',
  '',
  'kind',
  'metadata',
  'name',
  'a.b/c',
]

function mutatedText(text: string, random: () => number): string {
  const at = pick(text.length + 1, random)
  const character = String.fromCharCode(pick(3, random) === 0 ? pick(0x1_0000, random) : 0x2d + at)
  return text.slice(0, at) + character + text.slice(at + pick(2, random))
}
