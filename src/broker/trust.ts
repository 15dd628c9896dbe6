// Who may write what in the namespace of a broker, as a function of one write. The embedded API asks it;
// a real API server gets the same rules as an admission policy (trust-policy.ts), and test/trust runs one
// list of attempts on both. Roles (roles.ts) come first: what is refused there never gets here.
//
// One idea: whoever may update the Cluster X acts for the cluster X. It needs no list of accounts.
//
//   Cluster, Endpoint, EndpointSlice   belong to the cluster that their label names. Whoever writes one acts
//                                      for that cluster, before the write and after it, and what the object
//                                      says of itself agrees with the label. So do names, or one member
//                                      could take those that another needs.
//   ServiceImport (aggregated)         belongs to all who export the service. Whoever is listed may write it,
//                                      but no other's entry, time stamp or allocated IP; it goes away with
//                                      its last exporter.
//   anything else                      with a label belongs to the cluster that it names.

import { isRecord } from '../kube/errors.ts'
import { annotation, exportTimestampPrefix, label } from '../kube/names.ts'

export interface WriteAttempt {
  readonly verb: 'create' | 'update' | 'delete'
  readonly kind: string
  /** As it would be; absent in a delete. An update of the status brings the whole object too. */
  readonly object?: unknown
  /** As it is; absent in a create. */
  readonly oldObject?: unknown
  /** Whether the user may update the Cluster of that id; for '': every one, whatever its id. */
  readonly mayUpdateCluster: (id: string) => boolean
  /** For the words of a refusal. */
  readonly user: string
}

/** Why it is refused, in words for the user; undefined when it is not. */
export function refusalOf(attempt: WriteAttempt): string | undefined {
  switch (attempt.kind) {
    case 'Cluster':
    case 'Endpoint':
    case 'EndpointSlice':
      return ownedRefusal(attempt)
    case 'ServiceImport':
      return importRefusal(attempt)
    default:
      return labelledRefusal(attempt)
  }
}

function ownedRefusal(attempt: WriteAttempt): string | undefined {
  const { kind, verb, object, oldObject } = attempt
  // What was there before the rule, without a label, is whose it says that it is.
  const owner = labelOf(oldObject) || clusterIdOf(kind, oldObject)
  if (verb !== 'create' && !attempt.mayUpdateCluster(owner)) return notYours(attempt, owner)
  if (verb === 'delete') return undefined
  const id = labelOf(object)
  if (id === '') return `${kind}: the label ${label.clusterId} is missing`
  const said = clusterIdOf(kind, object)
  const mustSay = kind !== 'EndpointSlice'
  if (said !== id && (mustSay || said !== '')) {
    return `${kind}: it says that it is of the cluster ${quoted(said)}, its label says ${quoted(id)}`
  }
  if (!attempt.mayUpdateCluster(id)) return notYours(attempt, id)
  return nameRefusal(kind, id, textAt(object, 'metadata', 'name'))
}

/** A name that another cluster needs must not be taken from it. */
function nameRefusal(kind: string, id: string, name: string): string | undefined {
  const own = nameOf(id)
  if (kind === 'Cluster' && name !== own) return `Cluster: the name of ${quoted(id)} is ${own}`
  const start = `${own}-submariner-cable-${own}-`
  if (kind === 'Endpoint' && !name.startsWith(start)) {
    return `Endpoint: the names of ${quoted(id)} begin with ${start}`
  }
  return undefined
}

function labelledRefusal(attempt: WriteAttempt): string | undefined {
  const owners = [labelOf(attempt.oldObject), labelOf(attempt.object)].filter(id => id !== '')
  const other = owners.find(id => !attempt.mayUpdateCluster(id))
  return other === undefined ? undefined : notYours(attempt, other)
}

function importRefusal(attempt: WriteAttempt): string | undefined {
  const { verb, object, oldObject, mayUpdateCluster } = attempt
  const [before, after] = [importOf(oldObject), importOf(object)]
  if (after.label !== '') {
    return `ServiceImport: the label ${label.clusterId} has no place here: it is of all exporters`
  }
  if (before.label !== '' && !mayUpdateCluster(before.label)) return notYours(attempt, before.label)
  const touched = touchedIds(before, after).find(id => !mayUpdateCluster(id))
  if (touched !== undefined) {
    const what = verb === 'delete' ? 'is listed in it' : 'would be listed in another way'
    return `ServiceImport: the cluster ${quoted(touched)} ${what}, and ${attempt.user} does not act for it`
  }
  if (verb === 'delete') return undefined
  if (verb === 'update' && !before.ids.concat(after.ids).some(mayUpdateCluster)) {
    return `ServiceImport: ${attempt.user} acts for none of the clusters that are listed in it`
  }
  if (verb === 'update' && before.of !== '' && before.of !== after.of) {
    return 'ServiceImport: the service and namespace that it stands for cannot be changed'
  }
  return allocationRefusal(attempt, before, after)
}

/** IPs, and who has allocated them, change through that cluster alone. */
function allocationRefusal(
  attempt: WriteAttempt,
  before: ImportView,
  after: ImportView,
): string | undefined {
  if (before.ips === after.ips && before.allocator === after.allocator) return undefined
  const claims = [before, after].filter(({ ips, allocator }) => ips !== '' || allocator !== '')
  const other = claims.find(({ allocator }) => !attempt.mayUpdateCluster(allocator))
  if (other === undefined) return undefined
  const whose = other.allocator === '' ? 'no cluster' : `the cluster ${quoted(other.allocator)}`
  return `ServiceImport: its IPs are allocated by ${whose}, and ${attempt.user} does not act for it`
}

interface ImportView {
  readonly label: string
  /** By cluster id: `entry`, and the time stamp if there is one. */
  readonly entries: ReadonlyMap<string, string>
  readonly ids: readonly string[]
  readonly ips: string
  readonly allocator: string
  /** Service and namespace. */
  readonly of: string
}

function importOf(object: unknown): ImportView {
  const annotations = recordAt(object, 'metadata', 'annotations')
  const entries = new Map<string, string>()
  for (const entry of listOf(recordAt(object, 'status')['clusters'])) {
    // Whatever else stands in an entry belongs to it.
    const id = textAt(entry, 'cluster')
    entries.set(id, `${entries.get(id) ?? ''}${JSON.stringify(entry)}`)
  }
  for (const [key, stamp] of Object.entries(annotations)) {
    if (!key.startsWith(exportTimestampPrefix)) continue
    const id = key.slice(exportTimestampPrefix.length)
    entries.set(id, `${entries.get(id) ?? ''}${String(stamp)}`)
  }
  const of = [annotations[annotation.serviceName], annotations[annotation.sourceNamespace]]
  return {
    label: labelOf(object),
    entries,
    ids: [...entries.keys()],
    ips: listOf(recordAt(object, 'spec')['ips']).map(String).join(),
    allocator: textAt(annotations, annotation.clustersetIpAllocatedBy),
    of: of.every(text => text === undefined) ? '' : of.join('/'),
  }
}

/** The clusters whose entry or time stamp comes, goes or changes. */
function touchedIds(before: ImportView, after: ImportView): string[] {
  const ids = new Set([...before.ids, ...after.ids])
  return [...ids].filter(id => before.entries.get(id) !== after.entries.get(id))
}

function notYours({ kind, verb, user }: WriteAttempt, id: string): string {
  const whose = id === '' ? 'without a cluster' : `of the cluster ${quoted(id)}`
  return `${kind}: ${user} may not ${verb} one ${whose}: that is for whoever may update the Cluster`
}

function labelOf(object: unknown): string {
  return textAt(recordAt(object, 'metadata', 'labels'), label.clusterId)
}

/** What the object says itself. */
function clusterIdOf(kind: string, object: unknown): string {
  return kind === 'EndpointSlice'
    ? textAt(recordAt(object, 'metadata', 'labels'), label.sourceCluster)
    : textAt(recordAt(object, 'spec'), 'cluster_id')
}

/** A label's value as the name of an object: ensureValidName, as far as such a value needs it. */
function nameOf(id: string): string {
  return id.toLowerCase().replaceAll('_', '-')
}

function recordAt(object: unknown, ...path: readonly string[]): Record<string, unknown> {
  let value = object
  for (const step of path) value = isRecord(value) ? value[step] : undefined
  return isRecord(value) ? value : {}
}

/** The text at a path; empty for whatever else is there. */
function textAt(object: unknown, ...path: readonly string[]): string {
  const value = recordAt(object, ...path.slice(0, -1))[path.at(-1) ?? '']
  return typeof value === 'string' ? value : ''
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 80))
}
