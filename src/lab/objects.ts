// The objects of a lab's cluster that Hawser finds there and does not make: two Nodes as their kubelets
// would have registered them, two Pods that run, and a Service in front of them. As kubelets do, a status
// is written by itself, through the status subresource.

import type { Resource, ResourcePlace, ResourceType } from '../kube/resource-type.ts'
import { newMeta, parseResource } from '../kube/resources/resource.ts'
import { type ClusterPlan, type NodePlan, nodesOf, type PodPlan, podsOf } from './topology.ts'

/** An object as it is sent: nothing of it is looked at. */
export interface LabObject extends Resource {
  readonly place: ResourcePlace
  readonly body: Readonly<Record<string, unknown>>
  readonly status: Readonly<Record<string, unknown>> | undefined
}

/** Both pods have the label by which the Service finds them. */
export const pageLabels = { app: 'page' } as const
export const pageService = 'page'
export const pageNamespace = 'default'
export const pagePort = 80

/** In the order in which they can be made. */
export function clusterObjects(cluster: ClusterPlan): readonly LabObject[] {
  return [
    labObject(places.namespace, pageNamespace, {}),
    ...nodesOf(cluster).map(nodeObject),
    ...podsOf(cluster).map(pod => podObject(pod, nodeOf(cluster, pod))),
    labObject(places.service, pageService, {
      spec: {
        type: 'ClusterIP',
        selector: pageLabels,
        ipFamilyPolicy: 'RequireDualStack',
        ipFamilies: ['IPv4', 'IPv6'],
        ports: [{ name: 'http', port: pagePort, targetPort: pagePort, protocol: 'TCP' }],
      },
    }),
  ]
}

/** What a client has to know to send such an object. */
export function labObjectType(place: ResourcePlace): ResourceType<LabObject> {
  return {
    ...place,
    parse: raw =>
      parseResource(place, raw, (_, meta) => ({ meta, place, body: {}, status: undefined })),
    serialize: ({ body }) => ({ ...body }),
  }
}

const places = {
  namespace: place('namespaces', 'Namespace', false),
  node: place('nodes', 'Node', false),
  pod: place('pods', 'Pod', true),
  service: place('services', 'Service', true),
} as const

function place(plural: string, kind: string, namespaced: boolean): ResourcePlace {
  return { group: '', version: 'v1', plural, kind, namespaced }
}

function nodeObject(node: NodePlan): LabObject {
  const parts = { spec: { podCIDR: node.podCidr, podCIDRs: [node.podCidr, node.podCidr6] } }
  const addresses = [
    { type: 'InternalIP', address: node.address },
    { type: 'InternalIP', address: node.address6 },
    { type: 'Hostname', address: node.hostname },
  ]
  const labels = { 'kubernetes.io/hostname': node.hostname, 'kubernetes.io/os': 'linux' }
  return {
    ...labObject(places.node, node.hostname, parts, labels),
    status: { addresses, conditions: [ready] },
  }
}

function podObject(pod: PodPlan, node: NodePlan): LabObject {
  const ports = [{ name: 'http', containerPort: pagePort, protocol: 'TCP' }]
  const parts = {
    spec: { nodeName: node.hostname, containers: [{ name: 'page', image: 'page', ports }] },
  }
  const podIPs = [pod.address, pod.address6].map(ip => ({ ip }))
  return {
    ...labObject(places.pod, pod.name, parts, pageLabels),
    status: {
      phase: 'Running',
      hostIP: node.address,
      podIP: pod.address,
      podIPs,
      conditions: [ready],
    },
  }
}

const ready = { type: 'Ready', status: 'True' } as const

function labObject(
  place: ResourcePlace,
  name: string,
  parts: Readonly<Record<string, unknown>>,
  labels: Readonly<Record<string, string>> = {},
): LabObject {
  const namespace = place.namespaced ? pageNamespace : ''
  const metadata = { name, ...(place.namespaced ? { namespace } : {}), labels }
  return {
    meta: newMeta(name, namespace, labels),
    place,
    body: { apiVersion: 'v1', kind: place.kind, metadata, ...parts },
    status: undefined,
  }
}

function nodeOf(cluster: ClusterPlan, pod: PodPlan): NodePlan {
  return pod.node === 'gateway' ? cluster.gateway : cluster.worker
}
