// Takes what this cluster's gateways have written off both API servers: our Cluster and Endpoint here
// and on the broker, copies of the others' here, and all Gateways. What is gone already is no failure;
// what cannot be deleted is named, and the rest is deleted all the same.

import { ownerOf } from '../broker/sync.ts'
import type { KubeClient } from '../kube/client.ts'
import { KubeError, kubeCodeOf } from '../kube/errors.ts'
import { label } from '../kube/names.ts'
import type { Resource, ResourceType } from '../kube/resource-type.ts'
import { clusterType } from '../kube/resources/cluster.ts'
import { endpointType } from '../kube/resources/endpoint.ts'
import { gatewayType } from '../kube/resources/gateway.ts'
import type { Log } from './parts.ts'

export interface UninstallParts {
  readonly local: KubeClient
  readonly broker: KubeClient
  readonly clusterId: string
  readonly namespace: string
  readonly brokerNamespace: string
  readonly log: Log
}

/** What could not be deleted. */
export async function deleteOwnObjects(parts: UninstallParts): Promise<readonly KubeError[]> {
  const { local, broker, clusterId, namespace, brokerNamespace } = parts
  const ours = { namespace: brokerNamespace, labelSelector: `${label.clusterId}=${clusterId}` }
  const isOurs = (item: Resource) => ownerOf(item) === clusterId
  const any = () => true
  const failures = [
    // First what the others act on.
    await deleteAll(parts, broker, endpointType, ours, isOurs),
    await deleteAll(parts, broker, clusterType, ours, isOurs),
    await deleteAll(parts, local, endpointType, { namespace }, any),
    await deleteAll(parts, local, clusterType, { namespace }, any),
    await deleteAll(parts, local, gatewayType, { namespace }, any),
  ]
  return failures.flat()
}

async function deleteAll<T extends Resource>(
  { log }: UninstallParts,
  client: KubeClient,
  type: ResourceType<T>,
  scope: { readonly namespace: string; readonly labelSelector?: string },
  isChosen: (item: Resource) => boolean,
): Promise<KubeError[]> {
  const failures: KubeError[] = []
  try {
    const { items, problems } = await client.list(type, scope)
    // What does not parse was chosen by the server.
    const names = [...items.filter(isChosen).map(({ meta }) => meta), ...problems].map(nameOf)
    for (const name of names) {
      await remove(client, type, { name, namespace: scope.namespace }, failures)
      log.info(`deleted ${type.plural}/${name} at ${client.server}`)
    }
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
    failures.push(error)
  }
  return failures
}

function nameOf({ name }: { readonly name: string }): string {
  return name
}

async function remove(
  client: KubeClient,
  type: ResourceType<Resource>,
  place: { readonly name: string; readonly namespace: string },
  failures: KubeError[],
): Promise<void> {
  try {
    await client.delete(type, place)
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
    if (kubeCodeOf(error) !== 'NOT_FOUND') failures.push(error)
  }
}
