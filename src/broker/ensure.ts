// Makes objects be there, or not be there, whatever was before: each call may be the second one after a
// failure, and calls that have nothing to do write nothing.

import { setTimeout as delay } from 'node:timers/promises'
import type { KubeClient, ObjectName, Scope, Stored } from '../kube/client.ts'
import { kubeCodeOf } from '../kube/errors.ts'
import { identityOf } from '../kube/objects.ts'
import type { Resource, ResourcePlace, ResourceType } from '../kube/resource-type.ts'
import {
  covers,
  type Manifest,
  type Raw,
  rawOfManifest,
  rawType,
  typeOfManifest,
  withManifest,
} from '../kube/resources/raw.ts'
import { exitCode, GatewayError } from '../net/errors.ts'

/** On what we install, so that it is known again when it is to go. */
export const managedBy = { 'app.kubernetes.io/managed-by': 'hawser' } as const

export function isManaged({ meta }: Resource): boolean {
  return Object.entries(managedBy).every(([key, value]) => meta.labels[key] === value)
}

/** Creates the object, or makes what is there have all its fields. */
export async function ensure(client: KubeClient, manifest: Manifest): Promise<Raw> {
  const type = typeOfManifest(manifest)
  const wanted = rawOfManifest(manifest)
  for (let attempt = 1; ; attempt++) {
    const found = await lookUp(client, type, wanted.meta)
    try {
      if (found === undefined) return (await client.create(type, wanted)).value
      if (isCovered(found.value, wanted)) return found.value
      if (isFixed(manifest, found.value, wanted)) {
        await remove(client, type, wanted.meta, found.value.meta.uid)
        continue
      }
      return (await client.update(type, found, withManifest(found.value, wanted))).value
    } catch (error) {
      // Somebody else was at it between the look and the write.
      const code = kubeCodeOf(error)
      if (attempt === attemptsMost || (code !== 'CONFLICT' && code !== 'ALREADY_EXISTS'))
        throw error
    }
  }
}

const attemptsMost = 5

/** Undefined when there is none. */
export async function lookUp<T extends Resource>(
  client: KubeClient,
  type: ResourceType<T>,
  { name, namespace }: ObjectName,
): Promise<Stored<T> | undefined> {
  try {
    return await client.get(type, { name, ...(namespace === undefined ? {} : { namespace }) })
  } catch (error) {
    if (kubeCodeOf(error) === 'NOT_FOUND') return undefined
    throw error
  }
}

/** Returns whether it was there. A kind that the server does not know has no objects. */
export async function remove(
  client: KubeClient,
  type: ResourcePlace,
  { name, namespace }: ObjectName,
  uid?: string,
): Promise<boolean> {
  const where = { name, ...(namespace === undefined ? {} : { namespace }) }
  try {
    await client.delete(type, where, uid === undefined ? {} : { uid })
    return true
  } catch (error) {
    const code = kubeCodeOf(error)
    if (code === 'NOT_FOUND' || code === 'NO_SUCH_KIND') return false
    throw error
  }
}

/** What a list has; nothing when the server does not know the kind. */
export async function listOrNone<T extends Resource>(
  client: KubeClient,
  type: ResourceType<T>,
  scope: Scope,
): Promise<readonly T[]> {
  try {
    return (await client.list(type, scope)).items
  } catch (error) {
    if (kubeCodeOf(error) === 'NO_SUCH_KIND') return []
    throw error
  }
}

/** The objects of a list by name, those too that do not parse; none when the server lacks the kind. */
export async function namesOf(
  client: KubeClient,
  type: ResourcePlace,
  scope: Scope,
): Promise<readonly ObjectName[]> {
  const names: ObjectName[] = []
  let continueToken = ''
  try {
    do {
      const page = await client.listPage(type, scope, { limit: 500, continueToken })
      for (const item of page.items) {
        const { name, namespace } = identityOf(item)
        names.push(type.namespaced ? { name, namespace } : { name })
      }
      continueToken = page.continueToken
    } while (continueToken !== '')
  } catch (error) {
    if (kubeCodeOf(error) !== 'NO_SUCH_KIND') throw error
  }
  return names
}

function isCovered(found: Raw, wanted: Raw): boolean {
  const { labels, annotations } = found.meta
  return (
    covers(found.body, wanted.body) &&
    covers(labels, wanted.meta.labels) &&
    covers(annotations, wanted.meta.annotations) &&
    (wanted.owners.length === 0 || covers(found.owners, wanted.owners))
  )
}

/** The role of a binding cannot be changed: the server wants it deleted and made anew. */
function isFixed({ kind }: Manifest, found: Raw, wanted: Raw): boolean {
  const isBinding = kind === 'RoleBinding' || kind === 'ClusterRoleBinding'
  return isBinding && !covers(found.body['roleRef'], wanted.body['roleRef'])
}

const crdType = rawType('apiextensions.k8s.io/v1', 'CustomResourceDefinition')

/**
 * Installs the definitions that are missing and brings those up to date that are ours: one that somebody
 * else keeps may be newer. Resolves when the server serves them all.
 */
export async function ensureCrds(client: KubeClient, crds: readonly Manifest[]): Promise<void> {
  for (const crd of crds) {
    const { metadata } = crd
    const found = await lookUp(client, crdType, { name: metadata.name })
    if (found !== undefined && !isManaged(found.value)) continue
    await ensure(client, { ...crd, metadata: { ...metadata, labels: managedBy } })
  }
  for (const { metadata } of crds) {
    await waitFor(`the definition ${metadata.name} is served`, async () => {
      const found = await lookUp(client, crdType, { name: metadata.name })
      return found !== undefined && isEstablished(found.value) ? true : undefined
    })
  }
}

function isEstablished({ body }: Raw): boolean {
  const status = body['status']
  const conditions = typeof status === 'object' && status !== null && 'conditions' in status
  // A server that serves them in another way than by their objects has no conditions to show.
  if (!conditions || !Array.isArray(status.conditions)) return false
  return status.conditions.some(condition =>
    covers(condition, { type: 'Established', status: 'True' }),
  )
}

const waitMs = 60_000
const lookAgainMs = 100

/** Looks until there is something. What servers do by themselves takes them a moment. */
export async function waitFor<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (let waitedMs = 0; ; waitedMs += lookAgainMs) {
    const found = await look()
    if (found !== undefined) return found
    if (waitedMs >= waitMs) {
      throw new GatewayError('NOT_YET', `after ${waitMs / 1000} s it is still not so: ${what}`, {
        hint: 'is the kube-controller-manager of that cluster running? Then run this again',
        exit: exitCode.timedOut,
      })
    }
    await delay(lookAgainMs)
  }
}
