// Why a request is not done: an HTTP status, the reason that clients decide by, words for people, and the
// Status object (meta/v1) that carries them. The words are those of a kube-apiserver, because kubectl
// prints them and scripts look for them.

import type { ResourcePlace } from '../kube/resource-type.ts'

export type Reason =
  | ('BadRequest' | 'Unauthorized' | 'Forbidden' | 'NotFound' | 'MethodNotAllowed')
  | ('NotAcceptable' | 'AlreadyExists' | 'Conflict' | 'Expired' | 'RequestEntityTooLarge')
  | ('UnsupportedMediaType' | 'Invalid' | 'TooManyRequests' | 'InternalError')

const codes: Readonly<Record<Reason, number>> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
}

/** What is wrong with a field. */
export interface Cause {
  readonly reason: string
  readonly message: string
  readonly field: string
}

export interface Details {
  readonly name?: string
  readonly group?: string
  readonly kind?: string
  readonly uid?: string
  readonly causes?: readonly Cause[]
  readonly retryAfterSeconds?: number
}

export class Refusal extends Error {
  readonly code: number
  readonly reason: Reason
  readonly details: Details | undefined

  constructor(reason: Reason, message: string, details?: Details) {
    super(message)
    this.name = 'Refusal'
    this.code = codes[reason]
    this.reason = reason
    this.details = details
  }

  status(): Record<string, unknown> {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code,
    }
  }
}

/** `clusters.submariner.io`, `secrets`. */
export function resourceName({ group, plural }: ResourcePlace): string {
  return group === '' ? plural : `${plural}.${group}`
}

function detailsOf(kind: ResourcePlace, name: string): Details {
  const group = kind.group === '' ? {} : { group: kind.group }
  return { ...(name === '' ? {} : { name }), ...group, kind: kind.plural }
}

export function badRequest(message: string): Refusal {
  return new Refusal('BadRequest', message)
}

export function notFound(kind: ResourcePlace, name: string): Refusal {
  const message = `${resourceName(kind)} ${JSON.stringify(name)} not found`
  return new Refusal('NotFound', message, detailsOf(kind, name))
}

/** Nothing is served at this path. */
export function noSuchPath(): Refusal {
  return new Refusal('NotFound', 'the server could not find the requested resource', {})
}

export function methodNotAllowed(): Refusal {
  return new Refusal(
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
    {},
  )
}

export function alreadyExists(kind: ResourcePlace, name: string): Refusal {
  const message = `${resourceName(kind)} ${JSON.stringify(name)} already exists`
  return new Refusal('AlreadyExists', message, detailsOf(kind, name))
}

export function conflict(kind: ResourcePlace, name: string, why: string): Refusal {
  const what = `Operation cannot be fulfilled on ${resourceName(kind)} ${JSON.stringify(name)}`
  return new Refusal('Conflict', `${what}: ${why}`, detailsOf(kind, name))
}

export function forbidden(kind: ResourcePlace, name: string, why: string): Refusal {
  const what = name === '' ? '' : ` ${JSON.stringify(name)}`
  const message = `${resourceName(kind)}${what} is forbidden: ${why}`
  return new Refusal('Forbidden', message, detailsOf(kind, name))
}

export function expired(asked: number, oldest: number): Refusal {
  return new Refusal('Expired', `too old resource version: ${asked} (${oldest})`)
}

/** 422; at least one cause. */
export function invalid(kind: ResourcePlace, name: string, causes: readonly Cause[]): Refusal {
  const of = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`
  const texts = [...new Set(causes.map(({ field, message }) => `${field}: ${message}`))]
  const text = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`
  return new Refusal('Invalid', `${of} ${JSON.stringify(name)} is invalid: ${text}`, {
    name,
    ...(kind.group === '' ? {} : { group: kind.group }),
    kind: kind.kind,
    causes,
  })
}

export function required(field: string, why = ''): Cause {
  const message = why === '' ? 'Required value' : `Required value: ${why}`
  return { reason: 'FieldValueRequired', message, field }
}

export function badValue(field: string, value: unknown, why: string): Cause {
  const message = `Invalid value: ${JSON.stringify(value)}: ${why}`
  return { reason: 'FieldValueInvalid', message, field }
}

export function forbiddenValue(field: string, why: string): Cause {
  return { reason: 'FieldValueForbidden', message: `Forbidden: ${why}`, field }
}
