// What a pure plan reads of a kind of objects, and the writes that it asks for. A plan says how an
// object should be; whoever carries it out reads the object first, and writes it as it was read
// but for that (src/kube/client.ts, `change`).

import type { ObjectProblem } from '../kube/objects.ts'
import type { Resource, ResourceType } from '../kube/resource-type.ts'

export type Server = 'local' | 'broker'

/** A kind's objects as they are known. */
export interface Known<T> {
  /** Whether a whole list has been read since the start: only then does absence mean anything. */
  readonly synced: boolean
  readonly items: readonly T[]
  readonly problems: readonly ObjectProblem[]
}

/**
 * A write that would make an object as it should be. Writes of one key are done in their order, and
 * none overlaps another.
 */
export type Write = {
  readonly server: Server
  /** Of the object: `Endpoint/NAME`. */
  readonly key: string
  /** For the log: why. */
  readonly reason: string
} & (
  | { readonly verb: 'create'; readonly type: ResourceType<Resource>; readonly object: Resource }
  | {
      readonly verb: 'update'
      readonly type: ResourceType<Resource>
      readonly object: Resource
      /** Of the status subresource, for a kind that has one; absent: the object. */
      readonly status?: true
    }
  | {
      readonly verb: 'delete'
      readonly type: ResourceType<Resource>
      readonly name: string
      readonly namespace: string
      /** Empty for an object that could not be read: whatever has the name. */
      readonly uid: string
    }
)
