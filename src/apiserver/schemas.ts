// Objects against the schemas of their kinds: what is unknown is pruned and named, defaults are filled in,
// and what does not fit is said in the words of a kube-apiserver. Metadata has one schema for all kinds.
//
// typebox checks; that something does not fit is the rare case, and only then are words made.

import { Compile, type Validator } from 'typebox/schema'
import { isRecord } from '../kube/errors.ts'
import { type Body, recordAt } from './body.ts'
import type { Kind, Schema } from './kind.ts'
import type { Cause } from './refusal.ts'
import { anything, fields, flag, integer, list, text, texts } from './schema-terms.ts'

const metadataSchema: Schema = fields({
  ...{ name: text, generateName: text, namespace: text, selfLink: text, uid: text },
  ...{ resourceVersion: text, generation: integer, labels: texts, annotations: texts },
  ...{ creationTimestamp: anything, deletionTimestamp: anything },
  ...{ deletionGracePeriodSeconds: integer, finalizers: list(text), managedFields: anything },
  ownerReferences: list(
    fields(
      {
        ...{ apiVersion: text, kind: text, name: text, uid: text },
        ...{ controller: flag, blockOwnerDeletion: flag },
      },
      ...['apiVersion', 'kind', 'name', 'uid'],
    ),
  ),
})

export interface Fitted {
  readonly body: Body
  /** Paths of what was pruned: `spec.private_IP`. */
  readonly unknown: readonly string[]
  readonly causes: readonly Cause[]
}

interface Compiled {
  readonly schema: Schema
  readonly validator: Validator
}

/** Of kinds, which never change: many APIs in one process share them. */
const compiledSchemas = new WeakMap<Kind, Compiled>()

export class Schemas {
  fit(kind: Kind, body: Body): Fitted {
    const { schema, validator } = this.#of(kind)
    const unknown: string[] = []
    const fitted = shaped(schema, body, '', unknown) as Body
    return { body: fitted, unknown, causes: causesOf(validator, schema, fitted) }
  }

  #of(kind: Kind): Compiled {
    let compiled = compiledSchemas.get(kind)
    if (compiled === undefined) {
      const properties = { ...kind.schema.properties, metadata: metadataSchema }
      const schema = { ...kind.schema, properties }
      compiled = { schema, validator: Compile(checkable(schema)) }
      compiledSchemas.set(kind, compiled)
    }
    return compiled
  }
}

/** Without what only says how fields are merged or kept. */
function checkable(schema: Schema): Record<string, unknown> {
  const own = Object.entries(schema).filter(
    ([name]) => !name.startsWith('x-') && !['default', 'description', 'format'].includes(name),
  )
  const { properties, additionalProperties, items } = schema
  return {
    ...Object.fromEntries(own),
    ...(properties === undefined ? {} : { properties: mapValues(properties, checkable) }),
    ...(additionalProperties === undefined
      ? {}
      : { additionalProperties: checkable(additionalProperties) }),
    ...(items === undefined ? {} : { items: checkable(items) }),
  }
}

function mapValues<T, U>(record: Readonly<Record<string, T>>, change: (value: T) => U) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]))
}

/** Pruned and with defaults. A null stands for a field that is not there. */
function shaped(schema: Schema, value: unknown, path: string, unknown: string[]): unknown {
  if (Array.isArray(value)) {
    const { items } = schema
    if (items === undefined) return value
    return value.map((item, i) => shaped(items, item, `${path}[${i}]`, unknown))
  }
  if (!isRecord(value)) return value
  const { properties = {}, additionalProperties } = schema
  const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true
  const result: Record<string, unknown> = {}
  for (const [name, inner] of Object.entries(value)) {
    const innerPath = path === '' ? name : `${path}.${name}`
    // A name like __proto__ is no property of ours.
    const known = Object.hasOwn(properties, name) ? properties[name] : additionalProperties
    if (known === undefined && !isOpen) unknown.push(innerPath)
    else if (inner === null && !isOpen) continue
    else set(result, name, known ? shaped(known, inner, innerPath, unknown) : inner)
  }
  for (const [name, { default: preset }] of Object.entries(properties)) {
    if (preset !== undefined && result[name] === undefined) result[name] = structuredClone(preset)
  }
  return result
}

function set(record: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') record[name] = value
}

function causesOf(validator: Validator, schema: Schema, body: Body): Cause[] {
  if (validator.Check(body)) return []
  const [, errors] = validator.Errors(body)
  return errors.flatMap(error => {
    const path = error.instancePath.split('/').slice(1).map(unescaped)
    return wordsOf(
      error.keyword,
      error.params as Params,
      valueAt(body, path),
      fieldOf(path),
      schema,
    )
  })
}

interface Params {
  readonly requiredProperties?: readonly string[]
  readonly type?: string
  readonly limit?: number
  readonly allowedValues?: readonly unknown[]
  readonly pattern?: string
}

function wordsOf(
  keyword: string,
  params: Params,
  value: unknown,
  field: string,
  schema: Schema,
): Cause[] {
  const { limit = 0 } = params
  const shown = JSON.stringify(value)
  const wrong = (why: string, reason = 'FieldValueInvalid'): Cause[] => [
    { reason, message: `Invalid value: ${shown}: ${field} in body ${why}`, field },
  ]
  switch (keyword) {
    case 'required':
      return (params.requiredProperties ?? []).map(name => ({
        reason: 'FieldValueRequired',
        message: 'Required value',
        field: field === '' ? name : `${field}.${name}`,
      }))
    case 'type': {
      const found = typeName(value)
      const message = `Invalid value: "${found}": ${field} in body must be of type ${params.type}: "${found}"`
      return [{ reason: 'FieldValueTypeInvalid', message, field }]
    }
    case 'enum': {
      const values = (params.allowedValues ?? []).map(allowed => JSON.stringify(allowed)).join(', ')
      const message = `Unsupported value: ${shown}: supported values: ${values}`
      return [{ reason: 'FieldValueNotSupported', message, field }]
    }
    case 'maxLength': {
      const message = `Too long: may not be more than ${limit} bytes`
      return [{ reason: 'FieldValueTooLong', message, field }]
    }
    case 'maxItems': {
      const count = Array.isArray(value) ? value.length : 0
      const message = `Too many: ${count}: must have at most ${limit} items`
      return [{ reason: 'FieldValueTooMany', message, field }]
    }
    case 'minLength':
      return wrong(`should be at least ${limit} chars long`)
    case 'minimum':
      return wrong(`should be greater than or equal to ${limit}`)
    case 'maximum':
      return wrong(`should be less than or equal to ${limit}`)
    case 'pattern':
      return wrong(`should match '${params.pattern}'`)
    default:
      // `additionalProperties` repeats what stands one level below.
      return schema.type === 'object' && keyword === 'additionalProperties' ? [] : wrong(keyword)
  }
}

function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'number' && Number.isInteger(value) ? 'integer' : typeof value
}

/** `spec.ports[0].port`. */
function fieldOf(path: readonly string[]): string {
  return path
    .map((step, i) => (/^\d+$/.test(step) ? `[${step}]` : i === 0 ? step : `.${step}`))
    .join('')
}

function valueAt(body: Body, path: readonly string[]): unknown {
  let value: unknown = body
  for (const step of path) {
    value = Array.isArray(value) ? value[Number(step)] : recordAt(value)[step]
  }
  return value
}

function unescaped(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~')
}
