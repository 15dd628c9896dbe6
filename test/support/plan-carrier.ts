// Carries out the writes of plans on two servers in memory, as an API server would: objects are JSON, keys
// come back sorted, and what is read is parsed anew.

import assert from 'node:assert/strict'
import type { Known, Server, Write } from '../../src/broker/writes.ts'
import type { World } from '../../src/control/world.ts'
import { parseObject } from '../../src/kube/objects.ts'
import type { Resource, ResourceType } from '../../src/kube/resource-type.ts'
import { clusterType } from '../../src/kube/resources/cluster.ts'
import { endpointType } from '../../src/kube/resources/endpoint.ts'
import { gatewayType } from '../../src/kube/resources/gateway.ts'
import { formatTime } from '../../src/kube/time.ts'
import { nowMs } from './control-world.ts'

type Raw = Readonly<Record<string, unknown>>

export class PlanCarrier {
  readonly #objects = new Map<string, Raw>()
  #version = 1

  /** Whatever the world has been told, as the servers have it. */
  constructor(world: World) {
    for (const [server, type, known] of kindsOf(world)) {
      for (const item of known.items) {
        const raw = rawOf(type, item, item.meta.createdAtMs)
        this.#objects.set(keyOf(server, type, item.meta.name), raw)
      }
    }
  }

  carryOut(writes: readonly Write[]): void {
    for (const write of writes) this.#carryOut(write)
  }

  /** The world with what the servers have now. */
  seenBy(world: World): World {
    return {
      ...world,
      local: {
        ...world.local,
        clusters: this.#known('local', clusterType),
        endpoints: this.#known('local', endpointType),
        gateways: this.#known('local', gatewayType),
      },
      broker: {
        clusters: this.#known('broker', clusterType),
        endpoints: this.#known('broker', endpointType),
      },
    }
  }

  #carryOut(write: Write): void {
    const name = write.verb === 'delete' ? write.name : write.object.meta.name
    const key = keyOf(write.server, write.type, name)
    const base = this.#objects.get(key)
    if (write.verb === 'create') {
      assert.equal(base, undefined, `${key} is there already`)
      this.#objects.set(key, rawOf(write.type, write.object, nowMs, undefined, this.#version++))
      return
    }
    assert.ok(base, `${key} is not there`)
    if (write.verb === 'delete') this.#objects.delete(key)
    else this.#objects.set(key, rawOf(write.type, write.object, nowMs, base, this.#version++))
  }

  #known<T extends Resource>(server: Server, type: ResourceType<T>): Known<T> {
    const prefix = keyOf(server, type, '')
    const parsed = [...this.#objects]
      .filter(([key]) => key.startsWith(prefix))
      .map(([, raw]) => parseObject(type, raw))
    return {
      synced: true,
      items: parsed.flatMap(found => (found.ok ? [found.value] : [])),
      problems: parsed.flatMap(found => (found.ok ? [] : [found.problem])),
    }
  }
}

function kindsOf(
  world: World,
): readonly (readonly [Server, ResourceType<Resource>, Known<Resource>])[] {
  return [
    ['local', clusterType, world.local.clusters],
    ['local', endpointType, world.local.endpoints],
    ['local', gatewayType, world.local.gateways],
    ['broker', clusterType, world.broker.clusters],
    ['broker', endpointType, world.broker.endpoints],
  ]
}

function keyOf(server: Server, { kind }: ResourceType<Resource>, name: string): string {
  return `${server} ${kind} ${name}`
}

function rawOf(
  type: ResourceType<Resource>,
  object: Resource,
  createdAtMs: number,
  base?: Raw,
  version = 1,
): Raw {
  const written = type.serialize(object, base)
  const before = base?.['metadata'] as Raw | undefined
  const metadata = {
    ...(written['metadata'] as Raw),
    uid: before?.['uid'] ?? `uid-${version}`,
    creationTimestamp: before?.['creationTimestamp'] ?? formatTime(createdAtMs),
    resourceVersion: String(version),
  }
  return sorted({ ...written, metadata }) as Raw
}

/** As Go writes maps. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, inner]) => [key, sorted(inner)] as const)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}
