// What a gateway knows when it starts and nobody answers: its key, the PSK, the clusters as they were
// last known, the Submariner resource, and the epoch in which it held the lease. Files of mode 0600 in a
// directory of mode 0700; each is replaced whole (temporary file, fsync, rename), so that a crash or a
// full disk leaves the one before.
//
// Nothing here throws: a file that cannot be read counts as absent, one that cannot be written stays
// wanted and is tried again at the next look, and both are problems with what to do about them.

import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { parseObject } from '../kube/objects.ts'
import type { Resource, ResourceType } from '../kube/resource-type.ts'
import { clusterType } from '../kube/resources/cluster.ts'
import { endpointType } from '../kube/resources/endpoint.ts'
import { newMeta } from '../kube/resources/resource.ts'
import { type Submariner, submarinerType } from '../kube/resources/submariner.ts'
import type { Problem, Remembered } from './world.ts'

/** The first one is tried first; the other is the one writable path of the stock DaemonSet. */
export const stateDirectories = ['/var/lib/hawser', '/etc/ipsec.d/hawser'] as const

const file = {
  privateKey: 'wireguard.key',
  presharedKey: 'psk',
  remembered: 'remotes.json',
  submariner: 'submariner.json',
  epoch: 'held-epoch',
} as const

type FileName = (typeof file)[keyof typeof file]

const keyBytes = 32

export class StateDirectory {
  /** Undefined: there is none that can be written; everything lasts as long as the process. */
  readonly path: string | undefined
  /** What is in the files, or should be. */
  readonly #texts = new Map<FileName, string>()
  /** Not written yet. */
  readonly #unwritten = new Set<FileName>()
  readonly #problems = new Map<string, Problem>()

  /** The directory that was asked for, else the first of the usual ones that can be written. */
  static open(wanted: string | undefined): StateDirectory {
    const reasons: string[] = []
    for (const path of wanted === undefined ? stateDirectories : [wanted]) {
      try {
        mkdirSync(path, { recursive: true, mode: 0o700 })
        chmodSync(path, 0o700)
        return new StateDirectory(path)
      } catch (error) {
        reasons.push(textOf(error))
      }
    }
    const state = new StateDirectory(undefined)
    state.#note('directory', wanted ?? stateDirectories[0], reasons.join('; '))
    return state
  }

  private constructor(path: string | undefined) {
    this.path = path
  }

  problems(): readonly Problem[] {
    return [...this.#problems.values()]
  }

  /** The stored key of this gateway; a new one, stored, where there was none. */
  privateKey(): Uint8Array {
    return this.#readKey(file.privateKey) ?? this.newPrivateKey()
  }

  /** Another one, in the place of the one before. */
  newPrivateKey(): Uint8Array {
    const key = clamped(new Uint8Array(randomBytes(keyBytes)))
    this.#writeKey(file.privateKey, key)
    return key
  }

  /** The cluster's own, from its Secret. */
  keepPrivateKey(key: Uint8Array): void {
    this.#writeKey(file.privateKey, key)
  }

  /** As it was derived last; for a start at which its Secret cannot be read. */
  presharedKey(): Uint8Array | undefined {
    return this.#readKey(file.presharedKey)
  }

  keepPresharedKey(key: Uint8Array): void {
    this.#writeKey(file.presharedKey, key)
  }

  /** The epoch in which this machine was the holder when it last knew. */
  heldEpoch(): number | undefined {
    const text = this.#read(file.epoch)?.trim()
    if (text === undefined || text === '') return undefined
    if (/^\d{1,15}$/.test(text)) return Number(text)
    this.#note(file.epoch, this.#where(file.epoch), 'it is no epoch')
    return undefined
  }

  keepHeldEpoch(epoch: number | undefined): void {
    this.#write(file.epoch, epoch === undefined ? '' : `${epoch}\n`)
  }

  remembered(): Remembered {
    const raw = this.#readJson(file.remembered)
    const lists = isRecord(raw) ? raw : {}
    return {
      clusters: this.#parseAll(clusterType, lists['clusters']),
      endpoints: this.#parseAll(endpointType, lists['endpoints']),
    }
  }

  keepRemembered({ clusters, endpoints }: Remembered): void {
    const lists = {
      clusters: clusters.map(cluster => clusterType.serialize(cluster)),
      endpoints: endpoints.map(endpoint => endpointType.serialize(endpoint)),
    }
    this.#write(file.remembered, `${JSON.stringify(withTimes(lists, { clusters, endpoints }))}\n`)
  }

  submariner(): Submariner | undefined {
    const raw = this.#readJson(file.submariner)
    return raw === undefined ? undefined : this.#parseAll(submarinerType, [raw])[0]
  }

  /** What settings are made of: the gateways in its status change every few seconds. */
  keepSubmariner(submariner: Submariner): void {
    const { meta, status } = submariner
    const raw = submarinerType.serialize({
      ...submariner,
      meta: { ...newMeta(meta.name, meta.namespace), annotations: meta.annotations },
      status: status && { ...status, gateways: [] },
    })
    this.#write(file.submariner, `${JSON.stringify(raw)}\n`)
  }

  /** The cluster has left: neither its settings nor the others are of any use. */
  forget(): void {
    this.#write(file.submariner, '')
    this.#write(file.remembered, '')
  }

  /** Writes what could not be written before. */
  retry(): void {
    for (const name of [...this.#unwritten]) this.#store(name)
  }

  #parseAll<T extends Resource>(type: ResourceType<T>, raws: unknown): T[] {
    if (!Array.isArray(raws)) return []
    return raws.flatMap(raw => {
      const parsed = parseObject(type, raw)
      return parsed.ok ? [parsed.value] : []
    })
  }

  #readJson(name: FileName): unknown {
    const text = this.#read(name)
    if (text === undefined || text === '') return undefined
    try {
      return JSON.parse(text)
    } catch {
      this.#note(name, this.#where(name), 'it is no JSON; what it held is forgotten')
      return undefined
    }
  }

  #readKey(name: FileName): Uint8Array | undefined {
    const text = this.#read(name)?.trim()
    if (text === undefined || text === '') return undefined
    if (/^[A-Za-z0-9+/]{43}=$/.test(text)) return new Uint8Array(Buffer.from(text, 'base64'))
    this.#note(name, this.#where(name), 'it holds no key; another one is used')
    return undefined
  }

  #writeKey(name: FileName, key: Uint8Array): void {
    this.#write(name, `${Buffer.from(key).toString('base64')}\n`)
  }

  #read(name: FileName): string | undefined {
    if (this.path === undefined) return this.#texts.get(name)
    try {
      const text = readFileSync(join(this.path, name), 'utf8')
      this.#texts.set(name, text)
      return text
    } catch (error) {
      if (!isMissing(error)) this.#note(name, this.#where(name), textOf(error))
      return undefined
    }
  }

  #write(name: FileName, text: string): void {
    if (this.#texts.get(name) === text && !this.#unwritten.has(name)) return
    this.#texts.set(name, text)
    this.#store(name)
  }

  #store(name: FileName): void {
    const text = this.#texts.get(name)
    if (this.path === undefined || text === undefined) return
    try {
      replaceFile(this.path, name, text)
      this.#unwritten.delete(name)
      this.#problems.delete(name)
    } catch (error) {
      this.#unwritten.add(name)
      this.#note(name, this.#where(name), textOf(error))
    }
  }

  #where(name: FileName): string {
    return join(this.path ?? stateDirectories[0], name)
  }

  #note(key: string, where: string, why: string): void {
    const message = `${where}: ${why}; without it a start while the API is away forwards nothing`
    this.#problems.set(key, { code: 'state-directory', clusterId: '', object: where, message })
  }
}

/** Owners of subnets are told by age, which serialization leaves to the server. */
function withTimes(
  lists: { clusters: Record<string, unknown>[]; endpoints: Record<string, unknown>[] },
  { clusters, endpoints }: Remembered,
): unknown {
  const stamped = (raws: Record<string, unknown>[], from: readonly Resource[]) =>
    raws.map((raw, index) => {
      const { createdAtMs } = from[index].meta
      if (createdAtMs === 0) return raw
      const metadata = isRecord(raw['metadata']) ? raw['metadata'] : {}
      const creationTimestamp = new Date(createdAtMs).toISOString()
      return { ...raw, metadata: { ...metadata, creationTimestamp } }
    })
  return {
    clusters: stamped(lists.clusters, clusters),
    endpoints: stamped(lists.endpoints, endpoints),
  }
}

/** After a crash there is either text in the file, whole. */
function replaceFile(directory: string, name: string, text: string): void {
  const path = join(directory, name)
  const temporary = `${path}.new`
  const fd = openSync(temporary, 'w', 0o600)
  try {
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
    fsyncSync(fd)
  } catch (error) {
    closeSync(fd)
    unlinkSync(temporary)
    throw error
  }
  closeSync(fd)
  renameSync(temporary, path)
  syncDirectory(directory)
}

/** The rename itself lasts only with its directory. */
function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** As X25519 uses it: the same bytes then stand in `wg show`. */
function clamped(key: Uint8Array): Uint8Array {
  key[0] &= 0xf8
  key[31] = (key[31] & 0x7f) | 0x40
  return key
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
