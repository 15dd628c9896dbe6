// v1 ConfigMap. What is in it, and not text, is kept as it is.

import type { Resource, ResourceType } from '../resource-type.ts'
import { readTextRecord } from './fields.ts'
import { parseResource, recordOrNone, writeResource } from './resource.ts'

export interface ConfigMap extends Resource {
  readonly data: Readonly<Record<string, string>>
}

const place = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
} as const

export const configMapType: ResourceType<ConfigMap> = {
  ...place,
  parse: raw =>
    parseResource(place, raw, (root, meta) => ({ meta, data: readTextRecord(root, 'data') })),
  serialize: ({ meta, data }, base) =>
    writeResource(place, meta, { data: recordOrNone(data) }, base),
}
