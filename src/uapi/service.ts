// What the requests of all connections have in common: the data path that they read and change.
//
// Sets run one after another, also across connections: each is worked out on the tables that the
// one before has put in force, and an update that nobody saw cannot be lost. Gets run at any time,
// over one snapshot.
//
// Secrets: what a set has put out of force is wiped, and so is what a refused set brought along. A
// get that still walks over the old snapshot delays that until it is done.

import type { Datapath } from '../datapath/datapath.ts'
import type { Tables } from '../tables/tables.ts'
import { applyOperations } from './apply.ts'
import { EIO, type Errno, errnoName, errnoOf, errnoOk } from './errno.ts'
import { formatDevice } from './format.ts'
import type { Operation } from './operation.ts'
import { publicKeyOf } from './own-key.ts'

/** The part of the data path that the UAPI needs. */
export type UapiDatapath = Pick<Datapath, 'tables' | 'apply' | 'status'>

export interface UapiService {
  /** Writes the device and its peers; the caller's `write` resolves when the chunk may go. */
  get(write: (chunk: Uint8Array) => Promise<void>): Promise<Errno>
  /** Applies a set whole or not at all. Takes over the keys in the operations. Never rejects. */
  set(operations: readonly Operation[]): Promise<Errno>
}

export function createUapiService(
  datapath: UapiDatapath,
  log: (line: string) => void,
): UapiService {
  const retired = new Retired()
  let lastSet: Promise<unknown> = Promise.resolve()

  async function setNow(operations: readonly Operation[]): Promise<Errno> {
    const before = datapath.tables
    let errno: Errno = errnoOk
    try {
      const applied = applyOperations(before, operations, publicKeyOf)
      if (applied.kind === 'applied') await datapath.apply(applied.tables)
      else {
        errno = applied.errno
        log(`uapi: set refused: ${applied.problem} (${errnoName(errno)})`)
      }
    } catch (error) {
      errno = errnoOf(error)
      log(`uapi: set failed: ${messageOf(error)} (${errnoName(errno)})`)
    }
    retired.add(secretsIn(operations), datapath.tables)
    retired.add(secretsOf(before), datapath.tables)
    return errno
  }

  return {
    async get(write) {
      const { tables } = datapath
      const chunks = chunksOf(tables, datapath, log)
      if (chunks === undefined) return EIO
      retired.enter()
      try {
        for (const chunk of chunks) await write(chunk)
      } finally {
        retired.leave()
      }
      return errnoOk
    },
    set(operations) {
      if (operations.length === 0) return Promise.resolve(errnoOk)
      const result = lastSet.then(() => setNow(operations))
      lastSet = result
      return result
    },
  }
}

function chunksOf(
  tables: Tables,
  datapath: UapiDatapath,
  log: (line: string) => void,
): Iterable<Uint8Array> | undefined {
  try {
    return formatDevice(tables, datapath.status())
  } catch (error) {
    log(`uapi: get failed: ${messageOf(error)}`)
    return undefined
  }
}

/** Secrets out of force, which wait until no get reads them. */
class Retired {
  #secrets: Uint8Array[] = []
  #readers = 0

  /** Takes those secrets that are not in `inForce`. */
  add(secrets: Iterable<Uint8Array>, inForce: Tables): void {
    const kept = new Set(secretsOf(inForce))
    for (const secret of secrets) if (!kept.has(secret)) this.#secrets.push(secret)
    this.#settle()
  }

  enter(): void {
    this.#readers++
  }

  leave(): void {
    this.#readers--
    this.#settle()
  }

  #settle(): void {
    if (this.#readers > 0) return
    for (const secret of this.#secrets) secret.fill(0)
    this.#secrets = []
  }
}

function* secretsOf(tables: Tables): Generator<Uint8Array> {
  if (tables.device.privateKey !== undefined) yield tables.device.privateKey
  for (const cable of tables.cables) {
    if (cable.driver === 'wireguard' && cable.presharedKey !== undefined) yield cable.presharedKey
  }
}

function* secretsIn(operations: readonly Operation[]): Generator<Uint8Array> {
  for (const operation of operations) {
    if (operation.kind === 'privateKey' || operation.kind === 'presharedKey') {
      if (operation.key !== undefined) yield operation.key
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
