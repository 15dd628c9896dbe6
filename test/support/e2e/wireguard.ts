// Tables for the two clusters joined by a WireGuard cable.

import { parsePrefix, parseRemote } from '../../../src/net/address.ts'
import type { DeviceTable, WireguardCable } from '../../../src/tables/tables.ts'
import type { Spaces } from '../namespaces.ts'
import { type KeyPair, newKeyPair } from '../sim/pair.ts'
import { cableRoutes, east, type Side, west } from './clusters.ts'
import { Gateway } from './gateway.ts'

export const port = 4500

const keys = new Map<Side, KeyPair>([
  [east, newKeyPair()],
  [west, newKeyPair()],
])

function keysOf(side: Side): KeyPair {
  return keys.get(side) ?? newKeyPair()
}

export function deviceOf(side: Side): DeviceTable {
  return { privateKey: keysOf(side).privateKey, listenPort: port, fwmark: 0 }
}

/** The cable that leads to a cluster. */
export function cableTo(side: Side, changes: Partial<WireguardCable> = {}): WireguardCable {
  return {
    name: side.gateway,
    driver: 'wireguard',
    publicKey: keysOf(side).publicKey,
    remote: parseRemote(`${side.address}:${port}`),
    remoteSerial: 1,
    allowedIps: side.prefixes.map(parsePrefix),
    keepaliveSeconds: 0,
    ...changes,
  }
}

export interface Joined {
  readonly east: Gateway
  readonly west: Gateway
}

/** Starts both gateways and joins them; `changes` hold for both cables. */
export async function joinByWireguard(
  spaces: Spaces,
  changes: Partial<WireguardCable> = {},
): Promise<Joined> {
  const start = async (own: Side, other: Side) => {
    const gateway = await Gateway.start(spaces, own.gateway)
    await gateway.apply(deviceOf(own), [cableTo(other, changes)])
    await cableRoutes(spaces, own, other.prefixes)
    return gateway
  }
  const [eastGateway, westGateway] = await Promise.all([start(east, west), start(west, east)])
  return { east: eastGateway, west: westGateway }
}
