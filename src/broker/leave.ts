// leave: takes a cluster out of a clusterset, and evict: takes one off the broker that cannot do it itself.
// Both may be run again. The settings go first, so that gateways stop; what a second run has to know, the
// broker Secret, goes last.
//
// A member's own token is enough to leave: it deletes its account, and what belongs to that goes with it.

import type { BrokerInfo } from '../kube/broker-info.ts'
import type { KubeClient } from '../kube/client.ts'
import { kubeCodeOf } from '../kube/errors.ts'
import { annotation, memberAccountName, objectName } from '../kube/names.ts'
import type { ResourcePlace } from '../kube/resource-type.ts'
import { namespaceType, serviceAccountType } from '../kube/resources/bare.ts'
import { brokerType } from '../kube/resources/broker.ts'
import { clusterType } from '../kube/resources/cluster.ts'
import { endpointType } from '../kube/resources/endpoint.ts'
import { gatewayType } from '../kube/resources/gateway.ts'
import { rawType, typeOfManifest } from '../kube/resources/raw.ts'
import { routeAgentType } from '../kube/resources/route-agent.ts'
import { secretType } from '../kube/resources/secret.ts'
import { submarinerType } from '../kube/resources/submariner.ts'
import { GatewayError } from '../net/errors.ts'
import { crdManifests } from './crds.ts'
import { isManaged, listOrNone, lookUp, namesOf, remove } from './ensure.ts'
import { unlabelGatewayNodes } from './gateway-node.ts'
import { componentManifests } from './member-manifests.ts'
import { removeMember, rolesOf } from './membership.ts'
import type { Progress } from './progress.ts'

/** How a member reaches its broker. */
export interface BrokerAccess {
  readonly url: string
  readonly namespace: string
  readonly token: string
  /** PEM; empty for the system's roots. */
  readonly ca: string
  readonly isInsecure: boolean
}

export interface LeaveSettings {
  readonly operatorNamespace: string
  /** With it the rights of an admin; without it the cluster leaves by its own token. */
  readonly info: BrokerInfo | undefined
  /** The broker is gone, or to be told later. */
  readonly isWithoutBroker: boolean
}

interface Membership {
  readonly clusterId: string
  readonly access: BrokerAccess
}

export async function leave(
  local: KubeClient,
  settings: LeaveSettings,
  openBroker: (access: BrokerAccess) => KubeClient,
  progress: Progress,
): Promise<void> {
  const { operatorNamespace, info } = settings
  const member = await progress.step('membership', () => findMembership(local, settings))
  if (member === undefined)
    progress.note('this cluster is no member; what join installs is looked for')
  await progress.step('settings and labels of gateway nodes', async () => {
    await remove(local, submarinerType, {
      name: objectName.submariner,
      namespace: operatorNamespace,
    })
    await unlabelGatewayNodes(local)
  })
  if (member !== undefined && settings.isWithoutBroker) {
    progress.warn(
      `the broker still has ${member.clusterId}: hawser broker evict ${member.clusterId}`,
    )
  } else if (member !== undefined) {
    const broker = openBroker(member.access)
    try {
      await leaveBroker(broker, member, info !== undefined, progress)
    } finally {
      broker.close()
    }
  }
  await progress.step('objects, accounts and roles here', () =>
    removeLocal(local, operatorNamespace),
  )
  await progress.step('custom resource definitions', () => removeCrds(local))
  await progress.step(`Secrets and namespace ${operatorNamespace}`, () =>
    removeNamespace(local, operatorNamespace),
  )
}

async function findMembership(
  local: KubeClient,
  { operatorNamespace: namespace, info }: LeaveSettings,
): Promise<Membership | undefined> {
  const settings = await lookUp(local, submarinerType, {
    name: objectName.submariner,
    namespace,
  }).catch(ifNoSuchKind)
  const secret = (await lookUp(local, secretType, { name: objectName.brokerSecret, namespace }))
    ?.value
  const clusterId = settings?.value.clusterId ?? secret?.meta.annotations[annotation.joinedAs]
  if (clusterId === undefined) return undefined
  const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes)
  if (info !== undefined) {
    const { namespace: there, token, ca } = info.token
    const access = { url: info.brokerUrl, namespace: there, token: text(token), ca: text(ca) }
    return { clusterId, access: { ...access, isInsecure: false } }
  }
  const broker = settings?.value.broker
  const url = broker?.apiServer ?? secret?.meta.annotations[annotation.joinedAt] ?? ''
  const access = {
    url,
    namespace: broker?.namespace ?? text(secret?.data['namespace']),
    token: text(secret?.data['token']) || (broker?.token ?? ''),
    ca: text(secret?.data['ca.crt']),
    isInsecure: broker?.isInsecure ?? false,
  }
  if (access.token !== '' && url !== '') return { clusterId, access }
  throw new GatewayError(
    'NO_CREDENTIALS',
    `the cluster is a member as ${clusterId}, and has no token for its broker any more`,
    { hint: 'hawser leave broker-info.subm; or hawser leave --without-broker' },
  )
}

async function leaveBroker(
  broker: KubeClient,
  { clusterId, access }: Membership,
  isAdmin: boolean,
  progress: Progress,
): Promise<void> {
  try {
    await removeMember(broker, access.namespace, clusterId, isAdmin, progress)
  } catch (error) {
    const code = kubeCodeOf(error)
    // After a run that failed later than this, or when somebody has evicted it.
    if (code === 'UNAUTHORIZED' && !isAdmin) {
      progress.note(
        'the broker does not know the token of this cluster any more: it has left already',
      )
      return
    }
    if (code === 'FORBIDDEN' && !isAdmin) {
      progress.warn(`the rest on the broker is for an admin: hawser broker evict ${clusterId}`)
      return
    }
    throw error
  }
}

async function removeLocal(local: KubeClient, namespace: string): Promise<void> {
  for (const type of [endpointType, clusterType, gatewayType, routeAgentType]) {
    for (const where of await namesOf(local, type, { namespace })) await remove(local, type, where)
  }
  const hasRoles = (await rolesOf(local, namespace)) !== 'none'
  for (const manifest of [...componentManifests(namespace, hasRoles)].reverse()) {
    const type = typeOfManifest(manifest)
    const found = await lookUp(local, type, manifest.metadata)
    if (found !== undefined && isManaged(found.value)) {
      await remove(local, type, manifest.metadata)
    }
  }
}

/** Those that are ours, unless this cluster is a broker too, or somebody has objects of them. */
async function removeCrds(local: KubeClient): Promise<void> {
  if ((await listOrNone(local, brokerType, {})).length > 0) return
  for (const crd of crdManifests()) {
    const found = await lookUp(local, crdType, crd.metadata)
    if (found === undefined || !isManaged(found.value)) continue
    if ((await namesOf(local, placeOf(crd['spec']), {})).length > 0) continue
    await remove(local, crdType, crd.metadata)
  }
}

const crdType = rawType('apiextensions.k8s.io/v1', 'CustomResourceDefinition')

function placeOf(spec: unknown): ResourcePlace {
  const { group, names, scope, versions } = spec as {
    readonly group: string
    readonly names: { readonly plural: string; readonly kind: string }
    readonly scope: string
    readonly versions: readonly { readonly name: string }[]
  }
  const { plural, kind } = names
  return { group, version: versions[0].name, plural, kind, namespaced: scope === 'Namespaced' }
}

async function removeNamespace(local: KubeClient, name: string): Promise<void> {
  for (const secret of [objectName.wireguardSecret, objectName.pskSecret]) {
    await remove(local, secretType, { name: secret, namespace: name })
  }
  await remove(local, secretType, { name: objectName.brokerSecret, namespace: name })
  const found = await lookUp(local, namespaceType, { name })
  if (found !== undefined && isManaged(found.value)) await remove(local, namespaceType, { name })
}

function ifNoSuchKind(error: unknown): undefined {
  if (kubeCodeOf(error) === 'NO_SUCH_KIND') return undefined
  throw error
}

/** One that does not parse is evicted like any other. */
const rawClusters = rawType('submariner.io/v1', 'Cluster')

/** Takes a member off the broker, with an admin's rights. Throws ENOENT when it has none of that name. */
export async function evict(
  broker: KubeClient,
  namespace: string,
  clusterId: string,
  progress: Progress,
): Promise<void> {
  const account = { name: memberAccountName(clusterId), namespace }
  const isThere =
    (await lookUp(broker, rawClusters, { name: clusterId, namespace })) !== undefined ||
    (await lookUp(broker, serviceAccountType, account)) !== undefined
  if (!isThere) {
    const members = await membersOf(broker, namespace)
    throw new GatewayError(
      'ENOENT',
      `the broker ${namespace} has no member ${JSON.stringify(clusterId)}`,
      { hint: members.length === 0 ? 'it has no members' : `one of ${members.join(', ')}` },
    )
  }
  await removeMember(broker, namespace, clusterId, true, progress)
}

/** Those whose gateway has written a Cluster, and those that have only joined. */
async function membersOf(broker: KubeClient, namespace: string): Promise<readonly string[]> {
  const clusters = await broker.list(clusterType, { namespace })
  const accounts = await broker.list(serviceAccountType, { namespace })
  const prefix = memberAccountName('')
  const joined = accounts.items
    .map(({ meta }) => meta.name)
    .filter(name => name.startsWith(prefix))
    .map(name => name.slice(prefix.length))
  return [...new Set([...clusters.items.map(each => each.clusterId), ...joined])].sort()
}
