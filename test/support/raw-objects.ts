// Objects of any kind as they are on the wire, for tests that play somebody else: what is written is
// the object that was given, and what is read stands in `raw` with all of its fields.

import type { Resource, ResourceType } from '../../src/kube/resource-type.ts'
import { parseResource } from '../../src/kube/resources/resource.ts'

export interface RawResource extends Resource {
  readonly raw: Readonly<Record<string, unknown>>
}

/** Of a kind in a namespace; `apiVersion` with its group, as `submariner.io/v1`. */
export function rawType(
  apiVersion: string,
  kind: string,
  plural: string,
): ResourceType<RawResource> {
  const [group, version] = apiVersion.split('/')
  const place = { group, version, plural, kind, namespaced: true } as const
  return {
    ...place,
    parse: raw => parseResource(place, raw, ({ values }, meta) => ({ meta, raw: values })),
    serialize: ({ raw }) => ({ apiVersion, kind, ...raw }),
  }
}
