// Service accounts of members on a real API server, with long-lived tokens as stock and ours use them.

import assert from 'node:assert/strict'
import { eventually } from '../eventually.ts'
import type { ApiServer } from './api-server.ts'

export interface LongLivedToken {
  readonly token: string
  /** PEM. */
  readonly ca: string
}

/**
 * Makes the account, unless it is there, and the Secret NAME-token, and waits until the controllers have
 * filled it.
 */
export async function longLivedToken(
  server: ApiServer,
  namespace: string,
  account: string,
): Promise<LongLivedToken> {
  const base = `/api/v1/namespaces/${namespace}`
  const body = { metadata: { name: account } }
  const made = await server.raw('POST', `${base}/serviceaccounts`, { body })
  assert.ok(made.status === 201 || made.status === 409, made.text)
  const secret = await server.raw('POST', `${base}/secrets`, {
    body: {
      metadata: {
        name: `${account}-token`,
        annotations: { 'kubernetes.io/service-account.name': account },
      },
      type: 'kubernetes.io/service-account-token',
    },
  })
  assert.equal(secret.status, 201, secret.text)
  let data: Readonly<Record<string, string>> = {}
  await eventually(async () => {
    const { text } = await server.raw('GET', `${base}/secrets/${account}-token`)
    data = (JSON.parse(text) as { data?: Readonly<Record<string, string>> }).data ?? {}
    return data['token'] !== undefined && data['ca.crt'] !== undefined
  })
  const decoded = (name: string) => Buffer.from(data[name] ?? '', 'base64').toString()
  return { token: decoded('token'), ca: decoded('ca.crt') }
}
