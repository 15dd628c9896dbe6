// What stock Submariner 0.24 does with the Endpoints of other clusters, as far as its WireGuard driver
// goes: which it installs, when it leaves a peer as it is, and by what it removes one (pkg/cableengine
// and pkg/cable/wireguard of submariner-io/submariner; the rules, not the code). It works on objects as
// they come from the API and answers with the settings of `wg set`. Its ways are kept, the odd ones
// above all:
//
//   an Endpoint that is older than the one installed for that cluster is ignored
//   the same cable with the same address and backend_config is left alone
//   with an unchanged key nothing is set anew: neither a new address nor new allowed IPs
//   a deleted Endpoint takes the peer with its key along, whoever has that key by then

export interface StockEndpoint {
  readonly metadata: { readonly name: string; readonly creationTimestamp: string }
  readonly spec: {
    readonly cluster_id: string
    readonly cable_name: string
    readonly subnets: readonly string[]
    readonly private_ip: string
    readonly public_ip: string
    readonly nat_enabled: boolean
    readonly backend: string
    readonly backend_config?: Readonly<Record<string, string>>
  }
}

/** Arguments of `wg set DEVICE`, without the preshared key, which comes from a file. */
export type PeerCommand =
  | { readonly kind: 'set'; readonly key: string; readonly settings: readonly string[] }
  | { readonly kind: 'remove'; readonly key: string }

interface Installed {
  readonly endpoint: StockEndpoint
  readonly useIp: string
}

const keepaliveSeconds = 10

export class StockEngine {
  readonly #clusterId: string
  /** By cluster. */
  readonly #installed = new Map<string, Installed>()
  /** Of the driver: the key of each cluster. */
  readonly #connections = new Map<string, string>()

  constructor(clusterId: string) {
    this.#clusterId = clusterId
  }

  /** For an Endpoint that was made or has changed. */
  install(endpoint: StockEndpoint): PeerCommand[] {
    const { cluster_id: id, cable_name: cable } = endpoint.spec
    if (id === this.#clusterId) return []
    const commands: PeerCommand[] = []
    const useIp = usedAddress(endpoint)
    const before = this.#installed.get(id)
    if (before !== undefined) {
      if (createdAt(endpoint) < createdAt(before.endpoint)) return []
      if (before.endpoint.spec.cable_name !== cable)
        commands.push(...this.#disconnect(before.endpoint))
      else if (before.useIp === useIp && sameConfig(before.endpoint, endpoint)) return []
    }
    this.#installed.set(id, { endpoint, useIp })
    return [...commands, ...this.#connect(endpoint, useIp)]
  }

  /** For an Endpoint that was deleted. */
  remove(endpoint: StockEndpoint): PeerCommand[] {
    const { cluster_id: id, cable_name: cable } = endpoint.spec
    if (this.#installed.get(id)?.endpoint.spec.cable_name === cable) this.#installed.delete(id)
    return id === this.#clusterId ? [] : this.#disconnect(endpoint)
  }

  #connect({ spec }: StockEndpoint, useIp: string): PeerCommand[] {
    const key = spec.backend_config?.['publicKey']
    if (key === undefined) throw new Error(`Endpoint of ${spec.cluster_id} has no publicKey`)
    const oldKey = this.#connections.get(spec.cluster_id)
    if (oldKey === key) return []
    this.#connections.set(spec.cluster_id, key)
    const port = spec.backend_config?.['udp-port'] ?? '4500'
    const settings = [
      ...['endpoint', useIp.includes(':') ? `[${useIp}]:${port}` : `${useIp}:${port}`],
      ...['persistent-keepalive', String(keepaliveSeconds)],
      ...['allowed-ips', spec.subnets.join(',')],
    ]
    const set: PeerCommand = { kind: 'set', key, settings }
    return oldKey === undefined ? [set] : [{ kind: 'remove', key: oldKey }, set]
  }

  #disconnect({ spec }: StockEndpoint): PeerCommand[] {
    const key = spec.backend_config?.['publicKey']
    if (key === undefined) return []
    if (this.#connections.get(spec.cluster_id) === key) this.#connections.delete(spec.cluster_id)
    return [{ kind: 'remove', key }]
  }
}

/** Without NAT discovery: the public address when NAT is said to be there, else the private one. */
function usedAddress({ spec }: StockEndpoint): string {
  return spec.nat_enabled ? spec.public_ip : spec.private_ip
}

function createdAt({ metadata }: StockEndpoint): number {
  return Date.parse(metadata.creationTimestamp)
}

function sameConfig(a: StockEndpoint, b: StockEndpoint): boolean {
  const text = ({ spec }: StockEndpoint) =>
    JSON.stringify(Object.entries(spec.backend_config ?? {}).sort())
  return text(a) === text(b)
}
