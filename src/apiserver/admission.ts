// What one kind alone needs when it is written: token Secrets are filled, text of Secrets becomes base64,
// Services get their addresses, a Namespace its finalizer and phase; and on the broker, who may write what
// (broker/trust.ts).

import { refusalOf } from '../broker/trust.ts'
import { isRecord } from '../kube/errors.ts'
import type { Prefix } from '../net/address.ts'
import type { Accounts } from './accounts.ts'
import { isAllowed, type User } from './authorize.ts'
import { type Body, isDeleting, isSame, nameOf, recordAt, textAt } from './body.ts'
import { configMapKind, secretKind } from './builtin-kinds.ts'
import { keptClusterIps, withClusterIps } from './cluster-ips.ts'
import type { Kind } from './kind.ts'
import {
  badValue,
  type Cause,
  forbidden,
  forbiddenValue,
  invalid,
  notFound,
  Refusal,
} from './refusal.ts'
import type { Store } from './store.ts'

export interface AdmissionOptions {
  /** Where the trust rule holds. */
  readonly brokerNamespace: string
  /** Of a lab's cluster, by preference; none on a broker. */
  readonly serviceCidrs: readonly Prefix[]
}

export class Admission {
  readonly #store: Store
  readonly #accounts: Accounts
  readonly #options: AdmissionOptions

  constructor(store: Store, accounts: Accounts, options: AdmissionOptions) {
    this.#store = store
    this.#accounts = accounts
    this.#options = options
  }

  /** Objects need a namespace that is there to stay. Throws Refusal. */
  checkNamespace(kind: Kind, namespace: string, name: string): void {
    if (!kind.namespaced) return
    const found = this.#store.get('namespaces', namespace)
    if (found === undefined) {
      throw notFound({ ...kind, group: '', plural: 'namespaces' }, namespace)
    }
    if (!isDeleting(found.body)) return
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`
    const refusal = forbidden(kind, name, why)
    const cause = {
      reason: 'NamespaceTerminating',
      message: `namespace ${namespace} is being terminated`,
      field: 'metadata.namespace',
    }
    throw new Refusal('Forbidden', refusal.message, { ...refusal.details, causes: [cause] })
  }

  /** The object as it is to be stored. `before`: undefined for a create. Throws Refusal. */
  prepared(kind: Kind, body: Body, before: Body | undefined): Body {
    if (before !== undefined && isDeleting(body)) return body
    switch (kind.plural) {
      case 'secrets':
        return this.#accounts.filled(preparedSecret(body, before), before)
      case 'configmaps':
        checkKeys(configMapKind, body)
        checkImmutable(configMapKind, body, before)
        return body
      case 'services':
        if (before !== undefined) return keptClusterIps(body, before)
        return withClusterIps(this.#store, this.#options.serviceCidrs, body)
      case 'namespaces':
        return before === undefined ? newNamespace(body) : body
      case 'pods':
        if (before !== undefined) return body
        return { ...body, status: { phase: 'Pending', ...recordAt(body, 'status') } }
      default:
        return body
    }
  }

  /** The trust rule. Throws Refusal (403). */
  checkTrust(
    user: User,
    verb: 'create' | 'update' | 'delete',
    kind: Kind,
    namespace: string,
    object: Body | undefined,
    oldObject: Body | undefined,
  ): void {
    if (namespace !== this.#options.brokerNamespace) return
    const resource = 'clusters.submariner.io'
    const why = refusalOf({
      verb,
      kind: kind.kind,
      ...(object === undefined ? {} : { object }),
      ...(oldObject === undefined ? {} : { oldObject }),
      mayUpdateCluster: id =>
        isAllowed(user, { verb: 'update', resource, subresource: '', namespace, name: id }),
      user: user.name,
    })
    if (why !== undefined) throw forbidden(kind, nameOf(object ?? oldObject), why)
  }
}

function newNamespace(body: Body): Body {
  const labels = {
    ...recordAt(body, 'metadata', 'labels'),
    'kubernetes.io/metadata.name': nameOf(body),
  }
  return {
    ...body,
    metadata: { ...recordAt(body, 'metadata'), labels },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  }
}

function preparedSecret(body: Body, before: Body | undefined): Body {
  const { stringData, ...rest } = body
  const texts = isRecord(stringData) ? Object.entries(stringData) : []
  const added = texts.map(([key, text]) => [key, Buffer.from(String(text)).toString('base64')])
  const data = { ...recordAt(body, 'data'), ...Object.fromEntries(added) }
  const result: Body = Object.keys(data).length === 0 ? rest : { ...rest, data }
  const causes: Cause[] = Object.entries(data)
    .filter(([, text]) => !isBase64(String(text)))
    .map(([key]) => badValue(`data[${key}]`, '', 'is not base64'))
  if (before !== undefined && textAt(before, 'type') !== textAt(body, 'type')) {
    causes.push(badValue('type', textAt(body, 'type'), 'field is immutable'))
  }
  if (causes.length > 0) throw invalid(secretKind, nameOf(body), causes)
  checkKeys(secretKind, result)
  checkImmutable(secretKind, result, before)
  return result
}

/** Keys become names of files. */
function checkKeys(kind: Kind, body: Body): void {
  const why = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
  const causes = ['data', 'binaryData'].flatMap(field =>
    Object.keys(recordAt(body, field))
      .filter(key => key.length > 253 || !/^[-._a-zA-Z0-9]+$/.test(key) || /^\.\.?$/.test(key))
      .map(key => badValue(`${field}[${key}]`, key, why)),
  )
  if (causes.length > 0) throw invalid(kind, nameOf(body), causes)
}

function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)
}

function checkImmutable(kind: Kind, body: Body, before: Body | undefined): void {
  if (before?.['immutable'] !== true) return
  const fields = ['data', 'binaryData', 'immutable'].filter(
    name => !isSame(body[name], before[name]),
  )
  if (fields.length === 0) return
  const why = 'field is immutable when `immutable` is set'
  throw invalid(
    kind,
    nameOf(body),
    fields.map(field => forbiddenValue(field, why)),
  )
}
