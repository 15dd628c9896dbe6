// Our Cluster and our Endpoint, as they should be. A gateway that is passive describes itself too, in its
// Gateway, and publishes nothing. What the Node says of a gateway on it wins over the settings; while
// the Node is not known, what this gateway published last does, so that a cold start without an API
// listens where the others send.

import { endpointName, ensureValidName, ownCableName, stockCableName } from '../kube/names.ts'
import { emptyBackendConfig } from '../kube/resources/backend-config.ts'
import type { Cluster } from '../kube/resources/cluster.ts'
import type { Endpoint, EndpointSpec, FamilyAddresses } from '../kube/resources/endpoint.ts'
import { type GatewayOverrides, gatewayOverrides } from '../kube/resources/node.ts'
import { newMeta } from '../kube/resources/resource.ts'
import { type Address, parseAddress } from '../net/address.ts'
import { type CipherName, cipherNames } from '../tables/cipher.ts'
import { problem } from './problems.ts'
import { publishedSubnets } from './subnets.ts'
import type { ControlSettings, Problem, World } from './world.ts'

export interface OwnObjects {
  readonly cluster: Cluster
  readonly endpoint: Endpoint
  /** Whether the Endpoint may be shown to others: not without an address to be reached at. */
  readonly isReachable: boolean
  /** Of the cables. */
  readonly udpPort: number
  readonly problems: readonly Problem[]
}

export function describeSelf(world: World): OwnObjects {
  const { settings, self } = world
  const problems: Problem[] = []
  const overrides = overridesOf(world, problems)
  const udpPort = overrides.udpPort ?? settings.udpPort
  const spec = endpointSpec(world, overrides)
  const isReachable = (self.privateIps.ipv4 ?? self.privateIps.ipv6) !== undefined
  const name = endpointName(settings.clusterId, spec.cableName)
  if (!isReachable) {
    const message = 'it is not published: this gateway has found no private address of its own'
    problems.push(problem('no-private-ip', '', `endpoints/${name}`, message))
  }
  if (settings.missingDriver !== undefined) {
    const message =
      `there is no cable driver ${JSON.stringify(settings.missingDriver)}; ` +
      `in use: ${settings.drivers.join(', ')}`
    problems.push(problem('missing-driver', '', '', message))
  }
  return {
    cluster: ownCluster(world),
    endpoint: { meta: newMeta(name, settings.namespace), ...spec },
    isReachable,
    udpPort,
    problems,
  }
}

function ownCluster({ settings }: World): Cluster {
  return {
    meta: newMeta(ensureValidName(settings.clusterId), settings.namespace),
    clusterId: settings.clusterId,
    clusterCidrs: settings.clusterCidrs,
    serviceCidrs: settings.serviceCidrs,
    globalCidrs: settings.globalCidrs,
    colorCodes: settings.colorCodes,
  }
}

function endpointSpec(world: World, overrides: GatewayOverrides): EndpointSpec {
  const { settings, self, keys } = world
  const { clusterId, drivers } = settings
  const privateIp = self.privateIps.ipv4 ?? self.privateIps.ipv6
  const publicIps = publicIpsOf(world, overrides)
  const hasWireguard = drivers.includes('wireguard')
  return {
    clusterId,
    cableName:
      settings.hasStockAgents && privateIp !== undefined
        ? stockCableName(clusterId, privateIp)
        : ownCableName(clusterId),
    hostname: settings.hostname,
    subnets: publishedSubnets(settings),
    privateIps: self.privateIps,
    publicIps,
    healthCheckIps: healthCheckIpsOf(world),
    // Stock peers then use the public address, and end on one that is not there.
    isNatEnabled: settings.isNatEnabled && (publicIps.ipv4 ?? publicIps.ipv6) !== undefined,
    backend: drivers[0],
    backendConfig: {
      ...emptyBackendConfig,
      udpPort: overrides.udpPort ?? settings.udpPort,
      isPreferredServer: overrides.isPreferredServer ?? settings.isPreferredServer,
      publicKey: hasWireguard ? keys.publicKey : undefined,
      interfaceName: hasWireguard ? settings.interfaceName : undefined,
      cables: drivers,
      ciphers: hasWireguard ? enabledCiphers(settings) : undefined,
    },
  }
}

function enabledCiphers({ ciphers }: ControlSettings): readonly CipherName[] {
  return ciphers === 'auto' ? cipherNames : ciphers
}

/** With Globalnet remotes ping the gateway's global IP, which it writes on our Gateway. */
function healthCheckIpsOf({ settings, self, local }: World): FamilyAddresses {
  if (settings.globalCidrs.length === 0) return self.healthCheckIps
  const name = ensureValidName(settings.hostname)
  const gateway = local.gateways.items.find(({ meta }) => meta.name === name)
  const globalIp = gateway?.globalIp
  return { ipv4: globalIp?.family === 4 ? globalIp : undefined, ipv6: self.healthCheckIps.ipv6 }
}

const noOverrides: GatewayOverrides = {
  udpPort: undefined,
  nattDiscoveryPort: undefined,
  publicIp: undefined,
  isPreferredServer: undefined,
}

/** Of the Node; while it is not known or not understood, those that this gateway last had. */
function overridesOf(world: World, problems: Problem[]): GatewayOverrides {
  const { node, settings, remembered } = world
  const parsed = node && gatewayOverrides(node)
  if (parsed?.ok === true) return parsed.value
  if (parsed !== undefined) {
    problems.push(problem('node-override', '', `nodes/${parsed.name}`, parsed.problem))
  }
  const last = remembered.endpoints.find(
    ({ clusterId, hostname }) => clusterId === settings.clusterId && hostname === settings.hostname,
  )
  if (last === undefined) return noOverrides
  const { udpPort, isPreferredServer } = last.backendConfig
  return { ...noOverrides, udpPort, isPreferredServer }
}

/** What the Node says outright; what has to be looked up is looked up elsewhere. */
function publicIpsOf({ self }: World, { publicIp }: GatewayOverrides): FamilyAddresses {
  const said = (publicIp ?? '').split(',').map(form => /^\s*ipv([46]):(.+?)\s*$/.exec(form))
  const found = said.flatMap(match => {
    const address = match && addressOf(match[2])
    return address?.family === Number(match?.[1]) ? [address] : []
  })
  if (found.length === 0) return self.publicIps
  return {
    ipv4: found.find(({ family }) => family === 4) ?? self.publicIps.ipv4,
    ipv6: found.find(({ family }) => family === 6) ?? self.publicIps.ipv6,
  }
}

function addressOf(text: string): Address | undefined {
  try {
    return parseAddress(text)
  } catch {
    return undefined
  }
}
