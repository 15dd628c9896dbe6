// A set on paper: tables and the operations of one request in, new tables or an errno out. Pure, so
// a set is applied whole or not at all: nothing is in force before every line was found good.
//
// Main path: device lines first, then one section for each public_key. Sections follow the
// behaviour of the Linux driver and of wireguard-go (device/uapi.go):
//   - `remove` and `update_only` hold for the whole section, wherever they stand in it;
//   - a section with our own public key is ignored, and a peer that has it is dropped when the
//     private key is set;
//   - an allowed IP belongs to one peer: adding it takes it from the one that had it.
// What nobody touched stays the same object, so the data path can tell at a glance.
//
// The index of allowed IPs is built when the first one is set and not before: changing an endpoint
// of a peer with 130 560 of them costs nothing.

import { type Prefix, prefixKey, type Remote } from '../net/address.ts'
import { type CipherChoice, type CipherName, fallbackCipher } from '../tables/cipher.ts'
import { limits } from '../tables/shared.ts'
import type { CableTable, DeviceTable, Tables, WireguardCable } from '../tables/tables.ts'
import { EINVAL, ENOSPC, type Errno } from './errno.ts'
import type { Operation } from './operation.ts'

export type Applied =
  | { readonly kind: 'applied'; readonly tables: Tables }
  | { readonly kind: 'refused'; readonly errno: Errno; readonly problem: string }

export function applyOperations(
  tables: Tables,
  operations: readonly Operation[],
  publicKeyOf: (privateKey: Uint8Array) => Uint8Array,
): Applied {
  const edit = new Edit(tables)
  let next = 0
  for (; next < operations.length && operations[next].kind !== 'publicKey'; next++) {
    if (!edit.applyToDevice(operations[next])) return misplaced(operations[next])
  }
  edit.settleOwnKey(publicKeyOf)
  while (next < operations.length) {
    const end = endOfSection(operations, next)
    for (let i = next + 1; i < end; i++) {
      if (!peerKinds.has(operations[i].kind)) return misplaced(operations[i])
    }
    if (!edit.applySection(operations, next, end)) {
      return { kind: 'refused', errno: ENOSPC, problem: `more than ${limits.cables} peers` }
    }
    next = end
  }
  return { kind: 'applied', tables: edit.finish() }
}

const peerKinds: ReadonlySet<Operation['kind']> = new Set([
  'remove',
  'updateOnly',
  'presharedKey',
  'endpoint',
  'keepalive',
  'replaceAllowedIps',
  'allowedIp',
  'protocolVersion',
  'ciphers',
  'remoteCiphers',
])

function misplaced(operation: Operation): Applied {
  return { kind: 'refused', errno: EINVAL, problem: `${operation.kind} is in the wrong place` }
}

function endOfSection(operations: readonly Operation[], start: number): number {
  let end = start + 1
  while (end < operations.length && operations[end].kind !== 'publicKey') end++
  return end
}

/** A peer that is being edited. */
interface Draft {
  /** As it was; absent for a new one. */
  readonly base: WireguardCable | undefined
  readonly name: string
  readonly publicKey: Uint8Array
  presharedKey: Uint8Array | undefined
  remote: Remote | undefined
  remoteSerial: number
  keepaliveSeconds: number
  enabledCiphers: CipherChoice | undefined
  remoteCiphers: readonly CipherName[] | undefined
  /** Absent: those of `base`. */
  prefixes: Map<string, Prefix> | undefined
  changed: boolean
}

class Edit {
  readonly #before: Tables
  readonly #generation: number
  readonly #peers = new Map<string, Draft>()
  readonly #originals = new Map<string, WireguardCable>()
  readonly #others: CableTable[] = []
  #device: DeviceTable
  #ownKey: string | undefined
  #names: Set<string> | undefined
  #owners: Map<string, Draft> | undefined

  constructor(before: Tables) {
    this.#before = before
    this.#generation = before.generation + 1
    this.#device = before.device
    for (const cable of before.cables) {
      if (cable.driver !== 'wireguard') this.#others.push(cable)
      else {
        this.#originals.set(textOf(cable.publicKey), cable)
        this.#peers.set(textOf(cable.publicKey), draftOf(cable))
      }
    }
  }

  /** Returns false for an operation that belongs into a peer's section. */
  applyToDevice(operation: Operation): boolean {
    switch (operation.kind) {
      case 'privateKey': {
        const { privateKey: _, ...rest } = this.#device
        this.#device = operation.key === undefined ? rest : { ...rest, privateKey: operation.key }
        return true
      }
      case 'listenPort':
        this.#device = { ...this.#device, listenPort: operation.port }
        return true
      case 'fwmark':
        this.#device = { ...this.#device, fwmark: operation.mark }
        return true
      case 'replacePeers':
        this.#peers.clear()
        return true
      default:
        return false
    }
  }

  /** Called when the device lines are done: no peer may have our own key. */
  settleOwnKey(publicKeyOf: (privateKey: Uint8Array) => Uint8Array): void {
    const { privateKey } = this.#device
    if (privateKey === undefined) return
    this.#ownKey = textOf(publicKeyOf(privateKey))
    this.#peers.delete(this.#ownKey)
  }

  /** The section operations[start, end). Returns false when there is no room for the peer. */
  applySection(operations: readonly Operation[], start: number, end: number): boolean {
    const first = operations[start]
    if (first.kind !== 'publicKey') return false
    const key = textOf(first.key)
    if (key === this.#ownKey) return true
    let remove = false
    let updateOnly = false
    for (let i = start + 1; i < end; i++) {
      remove ||= operations[i].kind === 'remove'
      updateOnly ||= operations[i].kind === 'updateOnly'
    }
    const known = this.#peers.get(key)
    if (remove) {
      if (known !== undefined) this.#remove(key, known)
      return true
    }
    if (known === undefined && updateOnly) return true
    if (known === undefined && this.#count() >= limits.cables) return false
    const draft = known ?? this.#create(key, first.key)
    for (let i = start + 1; i < end; i++) this.#applyToPeer(draft, operations[i])
    return true
  }

  finish(): Tables {
    const cables = [...this.#others]
    for (const draft of this.#peers.values()) cables.push(frozen(draft))
    return { generation: this.#generation, device: this.#device, cables }
  }

  #applyToPeer(draft: Draft, operation: Operation): void {
    switch (operation.kind) {
      case 'presharedKey':
        draft.presharedKey = operation.key
        break
      case 'endpoint':
        draft.remote = operation.remote
        draft.remoteSerial = this.#generation
        break
      case 'keepalive':
        draft.keepaliveSeconds = operation.seconds
        break
      case 'ciphers':
        draft.enabledCiphers = operation.enabled
        break
      case 'remoteCiphers':
        draft.remoteCiphers = operation.remote
        break
      case 'replaceAllowedIps':
        this.#disown(draft)
        draft.prefixes = new Map()
        break
      case 'allowedIp':
        this.#applyAllowedIp(draft, operation.prefix, operation.remove)
        break
      default:
        return
    }
    draft.changed = true
  }

  #applyAllowedIp(draft: Draft, prefix: Prefix, remove: boolean): void {
    const owners = this.#ownersByPrefix()
    const key = prefixKey(prefix)
    const owner = owners.get(key)
    if (remove) {
      if (owner !== draft) return
      owners.delete(key)
      prefixesOf(draft).delete(key)
      return
    }
    if (owner === draft) return
    if (owner !== undefined) {
      prefixesOf(owner).delete(key)
      owner.changed = true
    }
    owners.set(key, draft)
    prefixesOf(draft).set(key, prefix)
  }

  #ownersByPrefix(): Map<string, Draft> {
    if (this.#owners !== undefined) return this.#owners
    const owners = new Map<string, Draft>()
    for (const draft of this.#peers.values()) {
      for (const key of prefixesOf(draft).keys()) owners.set(key, draft)
    }
    this.#owners = owners
    return owners
  }

  #disown(draft: Draft): void {
    if (this.#owners === undefined) return
    for (const key of prefixesOf(draft).keys()) this.#owners.delete(key)
  }

  #remove(key: string, draft: Draft): void {
    this.#disown(draft)
    this.#peers.delete(key)
  }

  /**
   * A peer that was replaced or removed in this same set comes back under its name. Its serial is
   * new, so that an endpoint in this set counts over the address that it had roamed to.
   */
  #create(key: string, publicKey: Uint8Array): Draft {
    const draft: Draft = {
      base: undefined,
      name: this.#originals.get(key)?.name ?? this.#newName(publicKey),
      publicKey,
      presharedKey: undefined,
      remote: undefined,
      remoteSerial: this.#generation,
      keepaliveSeconds: 0,
      enabledCiphers: undefined,
      remoteCiphers: undefined,
      prefixes: new Map(),
      changed: true,
    }
    this.#peers.set(key, draft)
    return draft
  }

  /** The first eight characters of the key, or as many as tell it from every other cable. */
  #newName(publicKey: Uint8Array): string {
    this.#names ??= new Set(this.#before.cables.map(cable => cable.name))
    const text = Buffer.from(publicKey).toString('base64')
    let length = 8
    while (length < text.length && this.#names.has(text.slice(0, length))) length++
    const name = text.slice(0, length)
    this.#names.add(name)
    return name
  }

  #count(): number {
    return this.#others.length + this.#peers.size
  }
}

function draftOf(cable: WireguardCable): Draft {
  return {
    base: cable,
    name: cable.name,
    publicKey: cable.publicKey,
    presharedKey: cable.presharedKey,
    remote: cable.remote,
    remoteSerial: cable.remoteSerial,
    keepaliveSeconds: cable.keepaliveSeconds,
    enabledCiphers: cable.ciphers?.enabled,
    remoteCiphers: cable.ciphers?.remote,
    prefixes: undefined,
    changed: false,
  }
}

function prefixesOf(draft: Draft): Map<string, Prefix> {
  if (draft.prefixes !== undefined) return draft.prefixes
  const prefixes = new Map<string, Prefix>()
  for (const prefix of draft.base?.allowedIps ?? []) prefixes.set(prefixKey(prefix), prefix)
  draft.prefixes = prefixes
  return prefixes
}

function frozen(draft: Draft): WireguardCable {
  const { base, remote, presharedKey, prefixes } = draft
  if (base !== undefined && !draft.changed) return base
  return {
    driver: 'wireguard',
    name: draft.name,
    publicKey: draft.publicKey,
    remoteSerial: draft.remoteSerial,
    keepaliveSeconds: draft.keepaliveSeconds,
    allowedIps: prefixes === undefined ? (base?.allowedIps ?? []) : [...prefixes.values()],
    ...(base?.mtuBytes === undefined ? {} : { mtuBytes: base.mtuBytes }),
    ...(remote === undefined ? {} : { remote }),
    ...(presharedKey === undefined ? {} : { presharedKey }),
    ...ciphersOf(draft),
  }
}

/** A remote that is told alone says what it takes; this side then enables no more than before. */
function ciphersOf({ enabledCiphers, remoteCiphers }: Draft): Pick<WireguardCable, 'ciphers'> {
  if (enabledCiphers === undefined && remoteCiphers === undefined) return {}
  return {
    ciphers: {
      enabled: enabledCiphers ?? [fallbackCipher],
      ...(remoteCiphers === undefined ? {} : { remote: remoteCiphers }),
    },
  }
}

/** A public key as a key for maps. */
function textOf(publicKey: Uint8Array): string {
  return Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.byteLength).toString(
    'latin1',
  )
}
