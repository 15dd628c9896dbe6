// What a cold start without any API forwards by: the objects of the broker as they were last listed, and
// our own Endpoint as it was last described. All of them, not only those that are believed: they are
// judged again whenever they are read.

import { isDeepStrictEqual } from 'node:util'
import type { OwnObjects } from './own-objects.ts'
import { isListed, sourceOf } from './remotes.ts'
import type { Remembered, World } from './world.ts'

export function remember(world: World, own: OwnObjects): Remembered {
  const { clusterId, hostname } = world.settings
  const { clusters, endpoints } = sourceOf(world)
  const isOurs = (endpoint: { readonly clusterId: string }) => endpoint.clusterId === clusterId
  const others = endpoints.filter(endpoint => !isOurs(endpoint))
  const last = world.remembered.endpoints.filter(
    endpoint => isOurs(endpoint) && endpoint.hostname === hostname,
  )
  // Before the Node has been read we do not know what it changes.
  const described = world.node === undefined ? last : [own.endpoint]
  // The same object while it is the same: then nothing is to be written.
  const ourselves = isDeepStrictEqual(last, described) ? last : described
  const kept = isListed(world) ? clusters.filter(cluster => !isOurs(cluster)) : clusters
  return { clusters: kept, endpoints: [...others, ...ourselves] }
}

/** Objects are never changed: another one is another object. */
export function isSameMemory(a: Remembered, b: Remembered): boolean {
  const isSameList = (one: readonly unknown[], other: readonly unknown[]) =>
    one.length === other.length && one.every((item, index) => item === other[index])
  return isSameList(a.clusters, b.clusters) && isSameList(a.endpoints, b.endpoints)
}
