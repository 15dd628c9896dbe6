// Schemas of the built-in kinds, in as few words as they need. Where we look at no field inside, or the
// real kind has hundreds, unknown fields are kept (`open`): the server is no judge of Pods.

import type { Schema } from './kind.ts'

export const text: Schema = { type: 'string' }
export const flag: Schema = { type: 'boolean' }
export const integer: Schema = { type: 'integer' }
export const open: Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
/** A time, or the null that Go writes for none. */
export const anything: Schema = { 'x-kubernetes-preserve-unknown-fields': true }
export const texts: Schema = { type: 'object', additionalProperties: text }

export function list(items: Schema): Schema {
  return { type: 'array', items }
}

export function fields(
  properties: Readonly<Record<string, Schema>>,
  ...required: string[]
): Schema {
  return { type: 'object', properties, ...(required.length === 0 ? {} : { required }) }
}

/** An object whose named fields are checked, while others are kept. */
export function openFields(properties: Readonly<Record<string, Schema>>): Schema {
  return { ...open, properties }
}

export function oneOf(...values: readonly string[]): Schema {
  return { type: 'string', enum: values }
}

/** A whole object: the fields besides apiVersion, kind and metadata. */
export function object(
  properties: Readonly<Record<string, Schema>>,
  ...required: string[]
): Schema {
  const frame = { apiVersion: text, kind: text, metadata: open }
  return fields({ ...frame, ...properties }, ...required)
}
