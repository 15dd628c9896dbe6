// A broker as the trust suite finds it: members c1, c2 and c3 (which has not written anything yet), and s1,
// which runs stock Submariner. Raw objects, as they would be sent.

import { objectName } from '../../../src/kube/names.ts'
import type { Manifest } from '../../../src/kube/resources/raw.ts'

export const brokerNamespace = objectName.brokerNamespace

export const clusterLabel = 'submariner-io/clusterID'
export const sourceLabel = 'multicluster.kubernetes.io/source-cluster'
export const stampOf = (id: string) => `timestamp.submariner.io/${id}`
export const allocatedBy = 'lighthouse.submariner.io/clusterset-ip-allocated-by'
export const serviceNameKey = 'multicluster.kubernetes.io/service-name'
const sourceNamespaceKey = 'lighthouse.submariner.io/sourceNamespace'

const namespace = brokerNamespace

export function clusterObject(id: string, name = id): Manifest {
  const number = Number(/\d+$/.exec(id)?.[0] ?? 0)
  return {
    apiVersion: 'submariner.io/v1',
    kind: 'Cluster',
    metadata: { name, namespace, labels: { [clusterLabel]: id } },
    spec: {
      cluster_id: id,
      cluster_cidr: [`10.${number}.0.0/16`],
      service_cidr: [`100.${64 + number}.0.0/16`],
      global_cidr: [],
    },
  }
}

export function endpointObject(
  id: string,
  name = `${id}-submariner-cable-${id}-gateway`,
): Manifest {
  return {
    apiVersion: 'submariner.io/v1',
    kind: 'Endpoint',
    metadata: { name, namespace, labels: { [clusterLabel]: id } },
    spec: {
      cluster_id: id,
      cable_name: `submariner-cable-${id}-gateway`,
      hostname: 'node-1',
      subnets: ['10.1.0.0/16'],
      private_ip: '192.0.2.1',
      public_ip: '',
      nat_enabled: false,
      backend: 'wireguard',
      backend_config: { 'udp-port': '4500' },
    },
  }
}

export function sliceObject(id: string, name = `web-${id}`): Manifest {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name,
      namespace,
      labels: {
        [clusterLabel]: id,
        [sourceLabel]: id,
        'endpointslice.kubernetes.io/managed-by': 'lighthouse-agent.submariner.io',
      },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['100.65.0.7'], conditions: { ready: true } }],
    ports: [{ name: 'http', protocol: 'TCP', port: 80 }],
  }
}

/** An aggregated one, exported by these clusters. */
export function importObject(
  name: string,
  exporters: readonly string[],
  allocator?: string,
): Manifest {
  const stamps = exporters.map(id => [stampOf(id), '1700000000000000000'])
  const spec = {
    type: 'ClusterSetIP',
    ports: [{ name: 'http', protocol: 'TCP', port: 80 }],
    ...(allocator === undefined ? {} : { ips: ['243.0.0.1'] }),
  }
  return {
    apiVersion: 'multicluster.x-k8s.io/v1alpha1',
    kind: 'ServiceImport',
    metadata: {
      name: `${name}-default`,
      namespace,
      annotations: {
        [serviceNameKey]: name,
        [sourceNamespaceKey]: 'default',
        ...Object.fromEntries(stamps),
        ...(allocator === undefined ? {} : { [allocatedBy]: allocator }),
      },
    },
    spec,
    status: { clusters: exporters.map(cluster => ({ cluster })) },
  }
}

/** What is there before each attempt, besides accounts and their Secrets. */
export const worldObjects: readonly Manifest[] = [
  clusterObject('c1'),
  clusterObject('c2'),
  endpointObject('c1'),
  endpointObject('c2'),
  sliceObject('c1'),
  sliceObject('c2'),
  importObject('web', ['c1', 'c2'], 'c1'),
  importObject('solo', ['c1']),
]

export const memberIds = ['c1', 'c2', 'c3'] as const
export const stockMemberId = 's1'

/** Who attempts something. */
export type TrustUser = (typeof memberIds)[number] | typeof stockMemberId | 'admin' | 'nobody'
