// The two directions in which objects of a kind travel between a cluster and its broker, as a plan.
//
//   out: an object of ours, which has no label with a cluster id, gets one on the broker
//   in:  an object with the label of another cluster is copied, label and all
//
// So no object comes back to where it came from. What is on one side and has no source on the other
// is deleted, but only when both sides have been listed: before that absence means nothing. An object
// with another owner's label is never written over, whatever its name.

import { isDeepStrictEqual } from 'node:util'
import { label } from '../kube/names.ts'
import type { Resource, ResourceType } from '../kube/resource-type.ts'
import { newMeta } from '../kube/resources/resource.ts'
import type { Known, Server, Write } from './writes.ts'

export interface Sync<T extends Resource> {
  readonly type: ResourceType<T>
  /** Ours. */
  readonly clusterId: string
  readonly localNamespace: string
  readonly brokerNamespace: string
  readonly local: Known<T>
  readonly broker: Known<T>
  /** Ours that belong on the broker: `ownObjects(local.items)`, or those that will be there. */
  readonly exports: readonly T[]
  /**
   * Objects of the broker that belong here: `foreignObjects(…)`, or what is accepted of them; undefined
   * while that cannot be said.
   */
  readonly imports: readonly T[] | undefined
  /** Ours that are to be here; none of a kind that others make. */
  readonly made: readonly T[]
  /** Whether one of ours has no place any more; never for a kind that others make. */
  readonly isOutdated: (item: T) => boolean
  /** Objects of ours come from all namespaces: the broker's tell from which. */
  readonly isFromAllNamespaces: boolean
  readonly replacement: Replacement<T>
}

/** For those who act when objects come and go, and not when they change. */
export interface Replacement<T extends Resource> {
  /** Whether a change is made by deleting, and creating when the object is seen to be gone. */
  readonly mustRecreate: (before: T, after: T) => boolean
  /** Whether one that has no place any more must be gone before another is created. */
  readonly mustGoFirst: (surplus: T, created: T) => boolean
}

/** Objects are changed where they are. */
export const inPlace: Replacement<Resource> = {
  mustRecreate: () => false,
  mustGoFirst: () => false,
}

export interface SyncPlan {
  readonly writes: readonly Write[]
  readonly conflicts: readonly Conflict[]
}

/** An object that cannot be written, because its name is somebody else's. */
export interface Conflict {
  readonly server: Server
  readonly kind: string
  readonly name: string
  /** The label of what is there; empty without one. */
  readonly owner: string
  /** Of what should be there. */
  readonly clusterId: string
}

export function planSync<T extends Resource>(sync: Sync<T>): SyncPlan {
  const { type, clusterId, local, broker, replacement } = sync
  // Before the broker has been listed there is nothing to copy, and nothing known to be gone.
  const imports = broker.synced ? sync.imports : undefined
  const isCopy = (item: T) => !['', clusterId].includes(ownerOf(item))
  const here = planSide({
    ...{ server: 'local', type, known: local, replacement },
    // Ours first: a name on the broker that is one of ours here is no way to take its place.
    wanted: [
      ...sync.made,
      ...(imports ?? []).map(object =>
        copyOf(type, object, sync.localNamespace, object.meta.labels),
      ),
    ],
    isSurplus: item => (isCopy(item) ? imports !== undefined : sync.isOutdated(item)),
  })
  const there = planSide({
    ...{ server: 'broker', type, known: broker, replacement },
    wanted: sync.exports.map(object => exported(object, sync)),
    isSurplus: item => local.synced && ownerOf(item) === clusterId,
  })
  return {
    writes: [...here.writes, ...there.writes],
    conflicts: [...here.conflicts, ...there.conflicts],
  }
}

/** Objects that began here. */
export function ownObjects<T extends Resource>(items: readonly T[]): readonly T[] {
  return items.filter(item => ownerOf(item) === '')
}

/** Objects of the broker that began in another cluster. */
export function foreignObjects<T extends Resource>(
  items: readonly T[],
  clusterId: string,
): readonly T[] {
  return items.filter(item => !['', clusterId].includes(ownerOf(item)))
}

/** The cluster whose label an object has, or an empty text. */
export function ownerOf({ meta }: Resource): string {
  return meta.labels[label.clusterId] ?? ''
}

interface Side<T extends Resource> {
  readonly server: Server
  readonly type: ResourceType<T>
  readonly known: Known<T>
  /** How objects should be. Their metadata says name, labels and annotations. */
  readonly wanted: readonly T[]
  /** Whether an object that is not wanted should go. */
  readonly isSurplus: (item: T) => boolean
  readonly replacement: Replacement<T>
}

/** What makes one side as it should be; nothing before it has been listed. */
function planSide<T extends Resource>(side: Side<T>): SyncPlan {
  const { server, type, known } = side
  if (!known.synced) return { writes: [], conflicts: [] }
  const present = new Map(known.items.map(item => [keyOf(item), item]))
  const ours = new Map<string, T>()
  const conflicts: Conflict[] = []
  for (const wanted of side.wanted) {
    const key = keyOf(wanted)
    const there = ours.get(key) ?? present.get(key)
    if (ours.has(key) || (there !== undefined && ownerOf(there) !== ownerOf(wanted))) {
      const owner = there === undefined ? '' : ownerOf(there)
      const clusterId = ownerOf(wanted)
      conflicts.push({ server, kind: type.kind, name: wanted.meta.name, owner, clusterId })
    } else ours.set(key, wanted)
  }
  const surplus = known.items.filter(item => !ours.has(keyOf(item)) && side.isSurplus(item))
  const unreadable = new Set(known.problems.map(({ namespace, name }) => `${namespace}/${name}`))
  const writes = [...ours].flatMap(([key, wanted]) => {
    const before = present.get(key)
    if (before !== undefined) return changeOf(side, before, wanted)
    // It is created when it is seen to be gone.
    if (unreadable.has(key)) return [deletion(side, wanted.meta, 'it cannot be read')]
    const isEarly = surplus.some(item => side.replacement.mustGoFirst(item, wanted))
    return isEarly ? [] : [creation(side, wanted)]
  })
  const deletions = surplus.map(({ meta }) => deletion(side, meta, 'nothing stands behind it'))
  return { writes: [...deletions, ...writes], conflicts }
}

function changeOf<T extends Resource>(side: Side<T>, before: T, wanted: T): Write[] {
  const { server, type, replacement } = side
  if (isAsWanted(type, before, wanted)) return []
  if (replacement.mustRecreate(before, wanted)) {
    return [deletion(side, before.meta, 'it is to be made anew')]
  }
  const meta = {
    ...before.meta,
    labels: { ...before.meta.labels, ...wanted.meta.labels },
    annotations: { ...before.meta.annotations, ...wanted.meta.annotations },
  }
  const key = `${type.kind}/${wanted.meta.name}`
  const object = { ...wanted, meta }
  return [{ verb: 'update', server, key, type, object, reason: reasonOf(server, wanted) }]
}

function creation<T extends Resource>({ server, type }: Side<T>, object: T): Write {
  const key = `${type.kind}/${object.meta.name}`
  return { verb: 'create', server, key, type, object, reason: reasonOf(server, object) }
}

function reasonOf(server: Server, wanted: Resource): string {
  const owner = ownerOf(wanted)
  if (server === 'broker' || owner === '') return 'as we are now'
  return `as cluster ${owner} has it on the broker`
}

function deletion<T extends Resource>(
  { server, type }: Side<T>,
  { name, namespace, uid }: Resource['meta'],
  reason: string,
): Write {
  return { verb: 'delete', server, key: `${type.kind}/${name}`, type, name, namespace, uid, reason }
}

/** Its content, and labels and annotations as far as we want some. */
function isAsWanted<T extends Resource>(type: ResourceType<T>, before: T, wanted: T): boolean {
  if (!holds(before.meta.labels, wanted.meta.labels)) return false
  if (!holds(before.meta.annotations, wanted.meta.annotations)) return false
  const [there, here] = [contentOf(type, before), contentOf(type, wanted)]
  // The server has its own order of keys.
  return there === here || isDeepStrictEqual(JSON.parse(there), JSON.parse(here))
}

type Texts = Readonly<Record<string, string>>

function holds(there: Texts, wanted: Texts): boolean {
  return Object.keys(wanted).every(name => there[name] === wanted[name])
}

/** Objects are never changed, and most stay for a long time. */
const contents = new WeakMap<Resource, string>()

/** Everything but the metadata, as it is written. */
function contentOf<T extends Resource>(type: ResourceType<T>, object: T): string {
  const found = contents.get(object)
  if (found !== undefined) return found
  const { metadata: _, ...content } = type.serialize(object)
  const text = JSON.stringify(content)
  contents.set(object, text)
  return text
}

function keyOf({ meta }: Resource): string {
  return `${meta.namespace}/${meta.name}`
}

function exported<T extends Resource>(object: T, sync: Sync<T>): T {
  const { namespace, labels } = object.meta
  const origin = sync.isFromAllNamespaces ? { [label.originatingNamespace]: namespace } : {}
  const own = { ...labels, ...origin, [label.clusterId]: sync.clusterId }
  return copyOf(sync.type, object, sync.brokerNamespace, own)
}

/** The object in another place. Of its metadata name, labels and annotations go along. */
function copyOf<T extends Resource>(
  type: ResourceType<T>,
  object: T,
  namespace: string,
  labels: Texts,
): T {
  const { name, annotations } = object.meta
  const copy = { ...object, meta: { ...newMeta(name, namespace, labels), annotations } }
  contents.set(copy, contentOf(type, object))
  return copy
}
