// The tables that the lab posts to each gateway's data path: the work of a control plane, for a full
// mesh whose keys and addresses are all known in one place.

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { parseAddress, parsePrefix } from '../net/address.ts'
import { cipherNames } from '../tables/cipher.ts'
import type { CableTable, DeviceTable, Tables, WireguardCable } from '../tables/tables.ts'
import type { ClusterPlan, LabPlan } from './topology.ts'

interface KeyPair {
  readonly publicKey: Uint8Array
  readonly privateKey: Uint8Array
}

/** One snapshot for each cluster, in the order of the plan, with fresh keys at every call. */
export function labTables(plan: LabPlan): readonly Tables[] {
  const keys = plan.clusterPlans.map(generateKeys)
  const presharedKeys = new Map<string, Uint8Array>()
  const presharedKey = (a: number, b: number): Uint8Array => {
    const pair = `${Math.min(a, b)}-${Math.max(a, b)}`
    const known = presharedKeys.get(pair) ?? randomBytes(32)
    presharedKeys.set(pair, known)
    return known
  }
  return plan.clusterPlans.map((cluster, own) => ({
    generation: 1,
    device: deviceTable(plan, cluster, keys[own]),
    cables: plan.clusterPlans.flatMap((remote, other) => {
      if (other === own) return []
      return cableTable(plan, remote, {
        publicKey: keys[other].publicKey,
        presharedKey: presharedKey(own, other),
      })
    }),
  }))
}

function deviceTable(plan: LabPlan, cluster: ClusterPlan, keys: KeyPair): DeviceTable {
  const device = { listenPort: plan.cablePort, fwmark: 0 }
  if (plan.driver === 'wireguard') return { ...device, privateKey: keys.privateKey }
  const mac = Uint8Array.of(0x02, 0x68, 0x61, 0x77, 0x00, cluster.index)
  return { ...device, vxlan: { vni: 1000, address: tunnelAddress(cluster), mac } }
}

function cableTable(
  plan: LabPlan,
  remote: ClusterPlan,
  secrets: Pick<WireguardCable, 'publicKey' | 'presharedKey'>,
): CableTable {
  const base = {
    name: remote.name,
    remote: { address: parseAddress(remote.wireAddress), port: plan.cablePort, scope: 0 },
    remoteSerial: 1,
    allowedIps: [parsePrefix(remote.podCidr), parsePrefix(remote.podCidr6)],
    mtuBytes: plan.cableMtuBytes,
  }
  if (plan.driver === 'vxlan')
    return { ...base, driver: 'vxlan', tunnelAddress: tunnelAddress(remote) }
  // The keepalive makes the first handshake happen before anybody sends.
  return { ...base, driver: 'wireguard', ...secrets, keepaliveSeconds: 25, ...ciphersOf(plan) }
}

/** Both ends of a cable are told the same, so each knows what the other accepts. */
function ciphersOf({ cipher }: LabPlan): Pick<WireguardCable, 'ciphers'> {
  if (cipher === undefined) return {}
  return { ciphers: { enabled: cipher, remote: cipher === 'auto' ? cipherNames : cipher } }
}

/** The stock VXLAN driver's rule: 241 and the last three octets of the gateway's own address. */
function tunnelAddress(cluster: ClusterPlan) {
  return parseAddress(cluster.wireAddress.replace(/^\d+/, '241'))
}

function generateKeys(): KeyPair {
  const { privateKey } = generateKeyPairSync('x25519')
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' })
  return { privateKey: Buffer.from(d, 'base64url'), publicKey: Buffer.from(x, 'base64url') }
}
