// Mail between the main thread and the workers: rare, plain data. The workers take it between breaths.

import type { TapOrder } from '../capture/tap.ts'
import type { PrefixTable } from '../routing/prefix-trie.ts'
import type { CipherName } from '../tables/cipher.ts'
import type { SharedMemory } from '../tables/shared.ts'
import type { CableTable, VxlanTable } from '../tables/tables.ts'
import type { SendSockets } from './outbound.ts'

export type Role = 'outbound' | 'inbound'

/** What a worker is started with. */
export interface WorkerStart {
  readonly role: Role
  /** As the worker's pair sees it. */
  readonly memory: SharedMemory
  /** The pair's queue of the TUN device. */
  readonly tunFd: number
  /** The descriptors that wake the workers, by pair. */
  readonly wakeFds: Readonly<Record<Role, readonly number[]>>
  readonly segmentsMax: number
  /** STATE.COALESCE of the inbound batch. */
  readonly coalesce: number
  /** What the cipher `auto` means on this machine. */
  readonly autoCiphers: readonly CipherName[]
}

/** One cable of a snapshot that is new, changed or gone. Allowed IPs travel in the routes. */
export type CableChange =
  | {
      readonly kind: 'set'
      readonly cable: number
      readonly isNew: boolean
      readonly table: CableTable
      readonly mtuBytes: number
    }
  | { readonly kind: 'remove'; readonly cable: number }

export type Mail =
  | {
      readonly kind: 'apply'
      readonly serial: number
      readonly routes: PrefixTable
      readonly sockets: SendSockets
      readonly privateKey: { readonly bytes: Uint8Array | undefined } | undefined
      readonly vxlan: VxlanTable | undefined
      readonly changes: readonly CableChange[]
    }
  | { readonly kind: 'link'; readonly serial: number; readonly up: boolean }
  | { readonly kind: 'foreign'; readonly remote: Uint8Array; readonly bytes: Uint8Array }
  /** The captures that run from now on; cables of `rekey` are to make new sessions. */
  | {
      readonly kind: 'captures'
      readonly serial: number
      readonly order: TapOrder
      readonly rekey: readonly number[]
    }
  | { readonly kind: 'stop' }

export type Report =
  | { readonly kind: 'ready' }
  /** The device, which was down, has come up. */
  | { readonly kind: 'up' }
  /** One datagram of `foreign` mail was taken. */
  | { readonly kind: 'sent' }
  /** `full` names a table without room; the snapshot is in force but for that. */
  | { readonly kind: 'applied'; readonly serial: number; readonly full?: string }
  | { readonly kind: 'foreign'; readonly remote: Uint8Array; readonly bytes: Uint8Array }
  | { readonly kind: 'ended'; readonly reason: string; readonly failed: boolean }
