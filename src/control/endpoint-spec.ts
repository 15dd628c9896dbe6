// An Endpoint as it stands in other objects: without metadata.

import type { EndpointSpec } from '../kube/resources/endpoint.ts'

export function specOf(endpoint: EndpointSpec): EndpointSpec {
  return {
    clusterId: endpoint.clusterId,
    cableName: endpoint.cableName,
    hostname: endpoint.hostname,
    subnets: endpoint.subnets,
    privateIps: endpoint.privateIps,
    publicIps: endpoint.publicIps,
    healthCheckIps: endpoint.healthCheckIps,
    isNatEnabled: endpoint.isNatEnabled,
    backend: endpoint.backend,
    backendConfig: endpoint.backendConfig,
  }
}
