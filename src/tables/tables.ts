// What control posts to the data path: a whole snapshot with a generation, plain data that can be
// cloned, sent over a socket and read back. A snapshot is never changed; a new one replaces it.
// State that outlives a snapshot (sessions, roamed remotes, counters) is keyed by cable name
// and public key, and kept when the cable is still there.

import type { Address, Prefix, Remote } from '../net/address.ts'
import type { CipherTable } from './cipher.ts'

export interface DeviceTable {
  /** 32 bytes, clamped or not. Absent: no WireGuard cable can work. */
  readonly privateKey?: Uint8Array
  /** 0: the kernel chooses, status tells which. */
  readonly listenPort: number
  /** SO_MARK of the UDP sockets, 0 for none. */
  readonly fwmark: number
  /** Present when there are VXLAN cables: our tunnel address and VNI. */
  readonly vxlan?: VxlanTable
}

export interface VxlanTable {
  readonly vni: number
  /** Address of our end inside the tunnel, 241.x.y.z. */
  readonly address: Address
  /** Six bytes, the same at every start of this gateway. */
  readonly mac: Uint8Array
}

interface CableTableBase {
  /** Stable: the remote cluster, or the first 8 characters of the public key. Unique. */
  readonly name: string
  readonly remote?: Remote
  /**
   * Counts the times that the remote was set: a higher number than in the snapshot before makes the
   * data path send to `remote` again, an equal one keeps the address that the peer has roamed to.
   */
  readonly remoteSerial: number
  readonly allowedIps: readonly Prefix[]
  /** Largest inner packet; absent: that of the TUN device. */
  readonly mtuBytes?: number
}

export interface WireguardCable extends CableTableBase {
  readonly driver: 'wireguard'
  readonly publicKey: Uint8Array
  readonly presharedKey?: Uint8Array
  /** Seconds, 0: off. */
  readonly keepaliveSeconds: number
  /** Absent: ChaCha20-Poly1305, as for any WireGuard peer. */
  readonly ciphers?: CipherTable
}

export interface VxlanCable extends CableTableBase {
  readonly driver: 'vxlan'
  /** The remote's address inside the tunnel, for which ARP is resolved. */
  readonly tunnelAddress: Address
}

export type CableTable = WireguardCable | VxlanCable

export interface Tables {
  readonly generation: number
  readonly device: DeviceTable
  readonly cables: readonly CableTable[]
}

export const emptyTables: Tables = {
  generation: 0,
  device: { listenPort: 0, fwmark: 0 },
  cables: [],
}
