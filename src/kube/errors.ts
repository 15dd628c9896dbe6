// What can go wrong between us and an API server, as errors that say which call on which object at
// which server failed, why, and what to do next. Codes are few, because callers decide by them:
//
//   away      UNAVAILABLE (no connection, no answer in time, 429, 5xx), CERTIFICATE, BAD_ANSWER
//   refused   UNAUTHORIZED, FORBIDDEN, INVALID, NO_SUCH_KIND, NO_CREDENTIALS
//   races     NOT_FOUND, ALREADY_EXISTS, CONFLICT, GONE
//   ours      BAD_OBJECT (it was read and does not parse), ABORTED
//
// No text here comes from a request's headers; what a server says is shortened, and the transport takes
// known secrets out of it.

import { type ExitCode, exitCode, GatewayError } from '../net/errors.ts'

export type KubeCode =
  | ('UNAVAILABLE' | 'CERTIFICATE' | 'BAD_ANSWER')
  | ('UNAUTHORIZED' | 'FORBIDDEN' | 'INVALID' | 'NO_SUCH_KIND' | 'NO_CREDENTIALS')
  | ('NOT_FOUND' | 'ALREADY_EXISTS' | 'CONFLICT' | 'GONE')
  | ('BAD_OBJECT' | 'ABORTED')

/** A call as messages name it. */
export interface CallName {
  /** As RBAC says it: get, list, watch, create, update, patch, delete. */
  readonly verb: string
  /** `gateways.submariner.io`, for `kubectl auth can-i`. */
  readonly resource: string
  /** Empty for a list. */
  readonly name: string
  /** Empty for a kind without namespaces, and for all of them. */
  readonly namespace: string
  readonly server: string
}

export interface KubeErrorOptions {
  readonly hint?: string
  readonly status?: number
  readonly retryAfterMs?: number
}

export class KubeError extends GatewayError {
  declare readonly code: KubeCode
  /** Of the HTTP answer; 0 when there was none. */
  readonly status: number
  /** How long the server wants not to be asked again, in ms; 0 when it did not say. */
  readonly retryAfterMs: number

  constructor(code: KubeCode, message: string, options: KubeErrorOptions = {}) {
    const { hint, status = 0, retryAfterMs = 0 } = options
    super(code, message, { ...(hint === undefined ? {} : { hint }), exit: exitOf(code) })
    this.name = 'KubeError'
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

export function kubeCodeOf(error: unknown): KubeCode | undefined {
  return error instanceof KubeError ? error.code : undefined
}

/** No answer came, or none that an API server gives: nobody knows whether it would have refused. */
export function isAway(code: KubeCode): boolean {
  return code === 'UNAVAILABLE' || code === 'CERTIFICATE' || code === 'BAD_ANSWER'
}

function exitOf(code: KubeCode): ExitCode {
  const isReached = !isAway(code) && code !== 'UNAUTHORIZED' && code !== 'NO_CREDENTIALS'
  return isReached ? exitCode.failed : exitCode.unreachable
}

/** The error of a call: `cannot update gateways.submariner.io ns/name at https://…: why`. */
export function callError(
  call: CallName,
  code: KubeCode,
  why: string,
  options: KubeErrorOptions = {},
): KubeError {
  const hint = options.hint ?? hintFor(call, code)
  return new KubeError(code, `cannot ${described(call)} at ${call.server}: ${why}`, {
    ...options,
    ...(hint === undefined ? {} : { hint }),
  })
}

function described(call: CallName): string {
  const place = [call.namespace, call.name].filter(part => part !== '').join('/')
  return `${call.verb} ${call.resource}${place === '' ? '' : ` ${place}`}`
}

function hintFor(call: CallName, code: KubeCode): string | undefined {
  const { verb, resource, name, namespace, server } = call
  const inNamespace = namespace === '' ? '' : ` -n ${namespace}`
  switch (code) {
    case 'UNAVAILABLE':
    case 'BAD_ANSWER':
      return `curl -k ${server}/readyz`
    case 'CERTIFICATE':
      return `openssl s_client -showcerts -connect ${hostOf(server)}, and compare with the CA given here`
    case 'FORBIDDEN':
      return `kubectl auth can-i ${verb} ${resource}${inNamespace}, with the same credentials; ask an admin of that cluster for "${verb}" on "${resource}"`
    case 'NO_SUCH_KIND':
      return `kubectl api-resources | grep ${resource.split('.')[0]}; install the custom resource definitions if it is not there`
    case 'NOT_FOUND':
      return `kubectl get ${resource}${inNamespace}`
    case 'INVALID':
      return `kubectl explain ${resource.split('.')[0]}`
    case 'BAD_OBJECT':
    case 'CONFLICT':
    case 'ALREADY_EXISTS':
      return `kubectl get ${resource} ${name}${inNamespace} -o yaml`
    default:
      return undefined
  }
}

function hostOf(server: string): string {
  const { hostname, port } = new URL(server)
  return `${hostname}:${port || 443}`
}

/** What the API server answers with when it does not do what was asked (meta/v1 Status). */
interface StatusBody {
  readonly message: string
  readonly reason: string
  readonly code: number
  readonly hasName: boolean
  readonly retryAfterSeconds: number
}

/** The error for an answer with a status of 300 and more. */
export function answerError(
  call: CallName,
  status: number,
  body: string,
  retryAfter: string | undefined,
  hints: { readonly unauthorized: string },
): KubeError {
  const said = readStatus(parseJson(body))
  const seconds = Number(retryAfter ?? said?.retryAfterSeconds ?? 0)
  const why = `${status}${said === undefined ? '' : ` ${said.reason}: ${said.message}`}`
  const code = codeOf(status, said, call)
  return callError(call, code, why, {
    status,
    retryAfterMs: Number.isFinite(seconds) ? Math.max(0, seconds) * 1000 : 0,
    ...(code === 'UNAUTHORIZED' ? { hint: hints.unauthorized } : {}),
  })
}

/** The error that a watch was told in its stream. */
export function watchedError(call: CallName, object: unknown): KubeError {
  const said = readStatus(object)
  if (said === undefined) return callError(call, 'BAD_ANSWER', 'an ERROR event without a status')
  const code = codeOf(said.code, said, call)
  return callError(call, code, `${said.code} ${said.reason}: ${said.message}`, {
    status: said.code,
    retryAfterMs: said.retryAfterSeconds * 1000,
  })
}

function codeOf(status: number, said: StatusBody | undefined, call: CallName): KubeCode {
  switch (status) {
    case 401:
      return 'UNAUTHORIZED'
    case 403:
      return 'FORBIDDEN'
    case 404:
      // A missing object (for a create: its namespace) is named in the answer, a missing kind is not.
      return call.name !== '' && said?.hasName === true ? 'NOT_FOUND' : 'NO_SUCH_KIND'
    case 409:
      return said?.reason === 'AlreadyExists' ? 'ALREADY_EXISTS' : 'CONFLICT'
    case 410:
      return 'GONE'
    case 408:
    case 429:
      return 'UNAVAILABLE'
  }
  if (said?.reason === 'Expired' || said?.reason === 'Gone') return 'GONE'
  // Nothing that we speak to redirects: it is no API server, or a proxy that wants a login.
  if (status < 400) return 'BAD_ANSWER'
  return status < 500 ? 'INVALID' : 'UNAVAILABLE'
}

function readStatus(object: unknown): StatusBody | undefined {
  if (!isRecord(object) || object['kind'] !== 'Status') return undefined
  const details = isRecord(object['details']) ? object['details'] : {}
  const seconds = details['retryAfterSeconds']
  return {
    message: shortened(object['message']),
    reason: shortened(object['reason']),
    code: typeof object['code'] === 'number' ? object['code'] : 500,
    hasName: typeof details['name'] === 'string' && details['name'] !== '',
    retryAfterSeconds: typeof seconds === 'number' && seconds > 0 ? seconds : 0,
  }
}

/** One line of bounded length: a server must not fill our log. */
function shortened(text: unknown): string {
  if (typeof text !== 'string') return ''
  const line = text.replace(/\p{Cc}+/gu, ' ').trim()
  return line.length > 300 ? `${line.slice(0, 300)}…` : line
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What Node says when a connection cannot be made or breaks: code, reason, what to do about it. */
export function connectionError(call: CallName, error: unknown): KubeError {
  const code = errnoOf(error)
  const text = shortened(error instanceof Error ? error.message : String(error)) || code
  const certificate = certificateProblem(code)
  if (certificate !== undefined) {
    const isOfTime = code === 'CERT_NOT_YET_VALID' || code === 'CERT_HAS_EXPIRED'
    const hint = `date -u, here and there: is a clock wrong? Else ${hintFor(call, 'CERTIFICATE')}`
    return callError(call, 'CERTIFICATE', `${certificate} (${code})`, isOfTime ? { hint } : {})
  }
  const wasCut = code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE'
  return callError(call, 'UNAVAILABLE', wasCut ? 'the connection was cut' : text)
}

function errnoOf(error: unknown): string {
  const hasCode = typeof error === 'object' && error !== null && 'code' in error
  return hasCode && typeof error.code === 'string' ? error.code : ''
}

/** Words for what OpenSSL's verification and the peer's alerts mean, or undefined for another error. */
function certificateProblem(code: string): string | undefined {
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return "the server's certificate has expired, by the clock here"
    case 'CERT_NOT_YET_VALID':
      return "the server's certificate is not valid yet, by the clock here"
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
    case 'HOSTNAME_MISMATCH':
      return "the server's certificate is for another name"
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'CERT_SIGNATURE_FAILURE':
      return "the server's certificate was made by a CA that is not trusted here"
  }
  if (/^ERR_SSL_.*(?:ALERT.*CERT|ALERT_UNKNOWN_CA)/.test(code)) {
    return 'the server does not accept our client certificate'
  }
  const isOfCertificates = /^(?:CERT|CRL|ERR_TLS_CERT)_|_CERT(?:_|$)|_CRL(?:_|$)|_CA$/
  return isOfCertificates.test(code) ? "the server's certificate is not accepted" : undefined
}
