// v1 Secret. Its values are bytes; in the object they are base64. No problem quotes any of them.

import type { Resource, ResourceType } from '../resource-type.ts'
import { type Fields, invalid, pathOf, readObjectOr, readText } from './fields.ts'
import { parseResource, recordOrNone, writeResource } from './resource.ts'

export interface Secret extends Resource {
  /** `Opaque`, `kubernetes.io/service-account-token`, … */
  readonly type: string
  readonly data: Readonly<Record<string, Uint8Array>>
}

const place = {
  group: '',
  version: 'v1',
  plural: 'secrets',
  kind: 'Secret',
  namespaced: true,
} as const

export const secretType: ResourceType<Secret> = {
  ...place,
  parse: raw =>
    parseResource(place, raw, (root, meta) => ({
      meta,
      type: readText(root, 'type', 'Opaque'),
      data: readSecretData(readObjectOr(root, 'data')),
    })),
  serialize: ({ meta, type, data }, base) =>
    writeResource(place, meta, { type, data: recordOrNone(writeSecretData(data)) }, base),
}

export function readSecretData(fields: Fields): Record<string, Uint8Array> {
  return Object.fromEntries(
    Object.keys(fields.values).map(name => [name, readBase64(fields, name)]),
  )
}

export function writeSecretData(
  data: Readonly<Record<string, Uint8Array>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data).map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]),
  )
}

function readBase64(fields: Fields, name: string): Uint8Array {
  const text = readText(fields, name)
  const isBase64 = text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)
  if (!isBase64) throw invalid(pathOf(fields, name), 'expected base64')
  return Uint8Array.from(Buffer.from(text, 'base64'))
}
