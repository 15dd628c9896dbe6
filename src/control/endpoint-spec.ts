// An Endpoint as it is shown in other objects: without metadata, and with its texts cut to what a name
// has. Others write them, and what they write must not make our Gateway larger than a server takes.

import type { BackendConfig } from '../kube/resources/backend-config.ts'
import type { EndpointSpec } from '../kube/resources/endpoint.ts'
import { cut } from './problems.ts'

const nameMost = 253
const listMost = 16
const othersMost = { entries: 32, characters: 2000 } as const

export function shownSpec(endpoint: EndpointSpec): EndpointSpec {
  return {
    clusterId: endpoint.clusterId,
    cableName: cut(endpoint.cableName, nameMost),
    hostname: cut(endpoint.hostname, nameMost),
    subnets: endpoint.subnets,
    privateIps: endpoint.privateIps,
    publicIps: endpoint.publicIps,
    healthCheckIps: endpoint.healthCheckIps,
    isNatEnabled: endpoint.isNatEnabled,
    backend: cut(endpoint.backend, nameMost),
    backendConfig: shownConfig(endpoint.backendConfig),
  }
}

function shownConfig(config: BackendConfig): BackendConfig {
  const { interfaceName, cables, ciphers, others } = config
  const names = (list: readonly string[] | undefined) =>
    list?.slice(0, listMost).map(name => cut(name, nameMost))
  return {
    ...config,
    interfaceName: interfaceName === undefined ? undefined : cut(interfaceName, nameMost),
    cables: names(cables),
    ciphers: names(ciphers),
    others: isSmall(others) ? others : {},
  }
}

function isSmall(others: BackendConfig['others']): boolean {
  const entries = Object.entries(others)
  if (entries.length > othersMost.entries) return false
  return (
    entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0) <=
    othersMost.characters
  )
}

/** About how many bytes it has as JSON, hardly ever more. */
export function sizeOf({ subnets, backendConfig, ...spec }: EndpointSpec): number {
  const { interfaceName, cables, ciphers, others } = backendConfig
  const texts = [
    spec.cableName,
    spec.hostname,
    spec.backend,
    interfaceName,
    cables,
    ciphers,
    others,
  ]
  // Names of fields, addresses and a key; a prefix of the longest, with quotes and a comma.
  return 800 + subnets.length * 46 + Buffer.byteLength(JSON.stringify(texts))
}
