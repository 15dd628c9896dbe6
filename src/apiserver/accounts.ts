// ServiceAccounts and their tokens. A token is 32 random bytes as text; the Secret holds it, as on a real
// server, and the index by which a request is recognised holds only its hash. The role of an account
// follows from its name, or from an annotation, which an admin alone can write.

import { createHash } from 'node:crypto'
import { isRecord } from '../kube/errors.ts'
import { annotation, memberAccountName, objectName } from '../kube/names.ts'
import { type Role, roles, type User } from './authorize.ts'
import { type Body, isDeleting, nameOf, namespaceOf, textAt, uidOf, withMeta } from './body.ts'
import { secretKind } from './builtin-kinds.ts'
import type { Change } from './history.ts'
import { invalid, required } from './refusal.ts'
import { keyOf, type Store } from './store.ts'

export const tokenType = 'kubernetes.io/service-account-token'
/** On a ServiceAccount: what it may do, where its name does not say it. */
export const roleAnnotation = 'hawser.io/role'
const accountUid = 'kubernetes.io/service-account.uid'

export interface AccountOptions {
  /** Where `cluster-<id>` is a member. */
  readonly brokerNamespace: string
  /** PEM of the CA of this server; goes into token Secrets. */
  readonly ca: string
  readonly random: (bytes: number) => Uint8Array
}

export class Accounts {
  readonly #store: Store
  readonly #options: AccountOptions
  /** By hash: the key of the Secret. */
  readonly #tokens = new Map<string, string>()

  constructor(store: Store, options: AccountOptions) {
    this.#store = store
    this.#options = options
    for (const { key, body } of store.list('secrets')) this.#index(key, body)
  }

  /** Whose token it is, and the hash that it is known by; undefined for nobody's. */
  userOf(token: string): { readonly user: User; readonly hash: string } | undefined {
    const hash = hashOf(token)
    const account = this.#accountBy(hash)
    return account === undefined ? undefined : { hash, user: this.#userOf(account) }
  }

  isKnown(hash: string): boolean {
    return this.#accountBy(hash) !== undefined
  }

  /** A token Secret, filled; what its writer has put in place of a token does not count. */
  filled(body: Body, before: Body | undefined): Body {
    if (textAt(body, 'type') !== tokenType) return body
    const account = this.#accountOf(body)
    if (account === undefined) {
      const field = `metadata.annotations[${annotation.serviceAccountName}]`
      const why = 'the name of a ServiceAccount of this namespace'
      throw invalid(secretKind, nameOf(body), [required(field, why)])
    }
    const kept = before === undefined ? '' : textAt(before, 'data', 'token')
    const token = kept === '' ? base64(this.#newToken()) : kept
    const data = isRecord(body['data']) ? body['data'] : {}
    const annotations = body['metadata'] as { readonly annotations: Body }
    return {
      ...withMeta(body, {
        annotations: { ...annotations.annotations, [accountUid]: uidOf(account) },
      }),
      data: {
        ...data,
        'ca.crt': base64(this.#options.ca),
        namespace: base64(namespaceOf(body)),
        token,
      },
    }
  }

  /** To be told of every change. */
  follow({ kind, key, before, after }: Change): void {
    if (kind !== 'secrets') return
    if (before !== undefined) this.#tokens.delete(hashOf(tokenIn(before.body)))
    if (after !== undefined) this.#index(key, after.body)
  }

  /** The keys of the token Secrets of an account. */
  secretsOf(account: Body): string[] {
    return this.#store
      .list('secrets', namespaceOf(account))
      .filter(
        ({ body }) =>
          textAt(body, 'type') === tokenType &&
          textAt(body, 'metadata', 'annotations', annotation.serviceAccountName) ===
            nameOf(account),
      )
      .map(({ key }) => key)
  }

  /** A token Secret whose account is gone. */
  isOrphan(secret: Body): boolean {
    return textAt(secret, 'type') === tokenType && this.#accountOf(secret) === undefined
  }

  #index(key: string, body: Body): void {
    const token = tokenIn(body)
    if (token !== '' && !isDeleting(body)) this.#tokens.set(hashOf(token), key)
  }

  /** That of a token, unless it is on its way out or another one of that name. */
  #accountBy(hash: string): Body | undefined {
    const secret = this.#store.get('secrets', this.#tokens.get(hash) ?? '')?.body
    const account = secret === undefined ? undefined : this.#accountOf(secret)
    if (account === undefined) return undefined
    const isIts = textAt(secret, 'metadata', 'annotations', accountUid) === uidOf(account)
    return isIts ? account : undefined
  }

  #accountOf(secret: Body): Body | undefined {
    const name = textAt(secret, 'metadata', 'annotations', annotation.serviceAccountName)
    const found = this.#store.get('serviceaccounts', keyOf(namespaceOf(secret), name))
    return found === undefined || isDeleting(found.body) ? undefined : found.body
  }

  #userOf(account: Body): User {
    const [namespace, name] = [namespaceOf(account), nameOf(account)]
    const clusterId = namespace === this.#options.brokerNamespace ? memberIdOf(name) : ''
    const role = this.#roleOf(account, clusterId)
    return {
      name: `system:serviceaccount:${namespace}:${name}`,
      role,
      clusterId: role === 'member' ? clusterId : '',
      namespace,
    }
  }

  #roleOf(account: Body, clusterId: string): Role | undefined {
    if (clusterId !== '') return 'member'
    const isAdmin = nameOf(account) === objectName.brokerAdminAccount
    if (isAdmin && namespaceOf(account) === this.#options.brokerNamespace) return 'admin'
    const said = textAt(account, 'metadata', 'annotations', roleAnnotation)
    return roles.find(role => role === said && role !== 'member')
  }

  #newToken(): string {
    return Buffer.from(this.#options.random(32)).toString('base64url')
  }
}

/** The cluster id in the name of a member's account. */
function memberIdOf(name: string): string {
  const id = name.slice(memberAccountName('').length)
  return memberAccountName(id) === name ? id : ''
}

/** The text of a token Secret's token; '' for other Secrets. */
export function tokenIn(secret: Body): string {
  if (textAt(secret, 'type') !== tokenType) return ''
  return Buffer.from(textAt(secret, 'data', 'token'), 'base64').toString()
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64')
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
