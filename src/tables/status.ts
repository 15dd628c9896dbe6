// What the data path tells: one value, read by the CLI, the UAPI and control. Plain data without any
// key in it. Fields are added and never renamed, because `hawser status -o json` shows them as they
// are, and because either end of the socket may be of another release (docs/wire.md).

import type { Remote } from '../net/address.ts'
import type { CipherName } from './cipher.ts'

export interface CableStatus {
  readonly name: string
  readonly driver: 'wireguard' | 'vxlan'
  /** Where datagrams go now: the configured remote, or the one the peer has roamed to. */
  readonly remote?: Remote
  /** What its packets are sealed with now; absent without a session, and for VXLAN. */
  readonly cipher?: CipherName
  /** Wall-clock ms of the last completed handshake, 0 for never. */
  readonly lastHandshakeMs: number
  /** UDP payload bytes, handshakes and keepalives included, as `wg show` counts them. */
  readonly rxBytes: number
  readonly txBytes: number
  /** Counters by name (`rx-packets`, `handshakes`, …); those that are 0 are left out. */
  readonly counters: Readonly<Record<string, number>>
  /** Drops by reason; those that are 0 are left out. */
  readonly drops: Readonly<Record<string, number>>
}

export interface OffloadStatus {
  /** TUN: TCP and UDP superpackets in and out. */
  readonly tunTso: boolean
  readonly tunUso: boolean
  readonly udpSegmentation: boolean
  readonly udpGro: boolean
  /** Why a mode is off, or that one which is on was not tested, by its name above. */
  readonly reasons: Readonly<Record<string, string>>
}

/** What `auto` goes by: measured when the data path started. */
export interface CipherSpeed {
  readonly name: CipherName
  readonly nsPerPacket: number
}

export interface AeadStatus {
  /** The fastest first. Empty when a data path of an older version did not tell. */
  readonly speeds: readonly CipherSpeed[]
  /** The form of the AEAD in force for each cipher, as `cipher/form`. */
  readonly forms: readonly string[]
}

export interface DatapathStatus {
  readonly interfaceName: string
  readonly up: boolean
  readonly mtuBytes: number
  readonly generation: number
  readonly listenPort: number
  readonly fwmark: number
  readonly pid: number
  /** Pairs of workers. */
  readonly pairs: number
  readonly startedAtMs: number
  readonly offloads: OffloadStatus
  readonly aead: AeadStatus
  readonly receiveBufferBytes: number
  readonly sendBufferBytes: number
  readonly cables: readonly CableStatus[]
  /** Counters and drops that belong to no known cable. */
  readonly counters: Readonly<Record<string, number>>
  readonly drops: Readonly<Record<string, number>>
}

/** A datagram that is no cable packet, handed to whoever attached. */
export interface ForeignDatagram {
  readonly from: Remote
  /** Wall-clock ms. */
  readonly receivedAtMs: number
  readonly bytes: Uint8Array
}
