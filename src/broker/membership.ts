// A member on the broker: the claim to its id and subnets, its account, and all that is to go when it goes.
//
// The claim stands on the ServiceAccount, which join makes first: who the cluster is (the uid of its
// kube-system, as good a name as a cluster has) and what subnets it will have. The Cluster object comes from
// its gateway, later; two joins in a row would not see each other by that alone.

import type { KubeClient } from '../kube/client.ts'
import { kubeCodeOf } from '../kube/errors.ts'
import {
  annotation,
  exportTimestampAnnotation,
  label,
  memberAccountName,
  memberRoleBindingName,
  memberTokenName,
} from '../kube/names.ts'
import { serviceAccountType } from '../kube/resources/bare.ts'
import { clusterType } from '../kube/resources/cluster.ts'
import { endpointType } from '../kube/resources/endpoint.ts'
import { isRecord, readTexts } from '../kube/resources/fields.ts'
import { type Raw, rawOfManifest, rawType } from '../kube/resources/raw.ts'
import { type Secret, secretType } from '../kube/resources/secret.ts'
import { formatPrefix, type Prefix, parsePrefix } from '../net/address.ts'
import { GatewayError } from '../net/errors.ts'
import { waitForToken } from './deploy.ts'
import { ensure, listOrNone, lookUp, namesOf, remove } from './ensure.ts'
import { memberAccountManifest, memberManifests, type RoleUse, rbac } from './manifests.ts'
import type { Owner } from './overlap.ts'
import type { Progress } from './progress.ts'

export interface Claim {
  readonly clusterId: string
  /** Of the cluster that joins. */
  readonly memberUid: string
  /** Whether that cluster was joined under this id already, as it says itself. */
  readonly isJoined: boolean
}

/** Throws ID_TAKEN when another cluster has the id. Writes nothing. */
export async function checkClaim(
  broker: KubeClient,
  namespace: string,
  claim: Claim,
): Promise<void> {
  const { clusterId } = claim
  const account = await lookUp(broker, serviceAccountType, {
    name: memberAccountName(clusterId),
    namespace,
  })
  const claimant = account?.value.meta.annotations[annotation.member]
  if (claimant === claim.memberUid) return
  const cluster = await lookUp(broker, rawClusters, { name: clusterId, namespace })
  const isOthers = claimant !== undefined || (cluster !== undefined && !claim.isJoined)
  if (isOthers) throw idTaken(claim.clusterId)
}

/** Makes the account, the claim on it, and what belongs to it. Returns the Secret of its token. */
export async function ensureMember(
  broker: KubeClient,
  namespace: string,
  claim: Claim,
  subnets: readonly Prefix[],
): Promise<Secret> {
  const { clusterId, memberUid } = claim
  const manifest = memberAccountManifest(namespace, clusterId, {
    [annotation.member]: memberUid,
    [annotation.memberSubnets]: subnets.map(formatPrefix).join(','),
  })
  try {
    await broker.create(serviceAccounts, rawOfManifest(manifest))
  } catch (error) {
    if (kubeCodeOf(error) !== 'ALREADY_EXISTS') throw error
    // It was made by a former run, or by somebody who was faster.
    await checkClaim(broker, namespace, claim)
  }
  const account = await ensure(broker, manifest)
  const roles = await rolesOf(broker, namespace)
  for (const each of memberManifests(namespace, clusterId, account, roles)) {
    await ensure(broker, each)
  }
  return waitForToken(broker, namespace, memberTokenName(clusterId))
}

const rawClusters = rawType('submariner.io/v1', 'Cluster')
const serviceAccounts = rawType('v1', 'ServiceAccount')
const roleType = rawType(rbac, 'Role')
const roleBindings = rawType(rbac, 'RoleBinding')

/**
 * What we can do about Roles: an API with roles of its own, such as that of `hawser broker serve`, has none
 * as objects; and the admin of a broker that subctl made may bind the role that is there and make none.
 */
export async function rolesOf(client: KubeClient, namespace: string): Promise<RoleUse> {
  try {
    await client.listPage(roleType, { namespace }, { limit: 1 })
    return 'own'
  } catch (error) {
    const code = kubeCodeOf(error)
    if (code === 'NO_SUCH_KIND') return 'none'
    if (code === 'FORBIDDEN') return 'stock'
    throw error
  }
}

/** The subnets of the other members: of their Clusters, else as they have claimed them. */
export async function otherOwners(
  broker: KubeClient,
  namespace: string,
  clusterId: string,
): Promise<readonly Owner[]> {
  const clusters = (await broker.list(clusterType, { namespace })).items
  const accounts = (await broker.list(serviceAccountType, { namespace })).items
  const owners = new Map<string, readonly Prefix[]>()
  for (const { meta } of accounts) {
    const text = meta.annotations[annotation.memberSubnets]
    if (text !== undefined) owners.set(meta.name.replace(/^cluster-/, ''), prefixesOf(text))
  }
  for (const cluster of clusters) {
    const { clusterCidrs, serviceCidrs, globalCidrs } = cluster
    const own = globalCidrs.length > 0 ? globalCidrs : [...serviceCidrs, ...clusterCidrs]
    owners.set(cluster.clusterId, own)
  }
  owners.delete(clusterId)
  return [...owners].map(([id, cidrs]) => ({ clusterId: id, cidrs }))
}

/** Somebody may have written anything there. */
function prefixesOf(text: string): Prefix[] {
  try {
    return text.split(',').filter(Boolean).map(parsePrefix)
  } catch {
    return []
  }
}

/**
 * Takes everything of a member off the broker. `isAdmin`: whoever calls may delete its Role and token, and
 * does so first, so that a gateway that is still running writes nothing again. A member itself cannot: it
 * deletes its account at the end, and the rest goes with that.
 */
export async function removeMember(
  broker: KubeClient,
  namespace: string,
  clusterId: string,
  isAdmin: boolean,
  progress: Progress,
): Promise<void> {
  const account = { name: memberAccountName(clusterId), namespace }
  if (isAdmin) {
    await progress.step(`rights of ${account.name}`, async () => {
      await remove(broker, roleBindings, { name: memberRoleBindingName(clusterId), namespace })
      // The admin of a broker that subctl made may not, and then there is none.
      if ((await rolesOf(broker, namespace)) === 'own') await remove(broker, roleType, account)
      await remove(broker, secretType, { name: memberTokenName(clusterId), namespace })
    })
  }
  await progress.step(`Endpoints and services of ${clusterId}`, async () => {
    const scope = { namespace, labelSelector: `${label.clusterId}=${clusterId}` }
    for (const type of [endpointType, endpointSlices]) {
      for (const where of await namesOf(broker, type, scope)) await remove(broker, type, where)
    }
    for (const found of await listOrNone(broker, serviceImports, { namespace })) {
      await leaveImport(broker, found, clusterId)
    }
  })
  await progress.step(`Cluster ${clusterId}`, () =>
    remove(broker, clusterType, { name: clusterId, namespace }),
  )
  await progress.step(`account ${account.name}`, () => remove(broker, serviceAccountType, account))
}

const endpointSlices = rawType('discovery.k8s.io/v1', 'EndpointSlice')
const serviceImports = rawType('multicluster.x-k8s.io/v1alpha1', 'ServiceImport')

/** Its own entry and time stamp go; the last exporter takes the object along. */
async function leaveImport(broker: KubeClient, found: Raw, clusterId: string): Promise<void> {
  const stamp = exportTimestampAnnotation(clusterId)
  const entries = entriesOf(found)
  const others = entries.filter(id => id !== clusterId)
  const isStamped = stamp in found.meta.annotations
  if (others.length === entries.length && !isStamped) return
  const { name, namespace, uid, resourceVersion } = found.meta
  if (others.length === 0) {
    try {
      await broker.delete(serviceImports, { name, namespace }, { uid, resourceVersion })
    } catch (error) {
      if (kubeCodeOf(error) === 'NOT_FOUND') return
      if (kubeCodeOf(error) !== 'CONFLICT') throw error
      // Perhaps another cluster exports the service since it was read.
      const now = await lookUp(broker, serviceImports, { name, namespace })
      if (now !== undefined) await leaveImport(broker, now.value, clusterId)
    }
    return
  }
  if (others.length < entries.length) {
    await broker.change(
      serviceImports,
      { name, namespace },
      current => {
        const clusters = entriesOf(current).filter(id => id !== clusterId)
        const status = { ...recordOf(current.body['status']), clusters: clusters.map(toEntry) }
        return { ...current, body: { ...current.body, status } }
      },
      { status: true },
    )
  }
  if (isStamped) {
    const patch = { metadata: { annotations: { [stamp]: null } } }
    await broker.patch(serviceImports, { name, namespace }, patch)
  }
}

function entriesOf({ body }: Raw): string[] {
  const { clusters } = recordOf(body['status'])
  const list = Array.isArray(clusters) ? clusters.filter(isRecord) : []
  return readTexts({ values: { names: list.map(entry => entry['cluster']) }, path: '' }, 'names')
}

function toEntry(cluster: string): { readonly cluster: string } {
  return { cluster }
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {}
}

function idTaken(clusterId: string): GatewayError {
  return new GatewayError(
    'ID_TAKEN',
    `another cluster has joined this broker as ${JSON.stringify(clusterId)}`,
    {
      hint: `another --clusterid; or, when that one is gone for good, hawser broker evict ${clusterId}`,
    },
  )
}
