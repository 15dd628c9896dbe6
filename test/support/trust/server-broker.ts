// Runs attempts of the trust suite on an API server: as dry runs, so that roles and admission answer and
// nothing changes. The server has the accounts and their Secrets already; the objects are put here.

import assert from 'node:assert/strict'
import { isRecord } from '../../../src/kube/errors.ts'
import type { Manifest } from '../../../src/kube/resources/raw.ts'
import { type RawAnswer, RawApi, type RawServer } from '../raw-api.ts'
import type { Attempt } from './attempts.ts'
import { brokerNamespace, type TrustUser, worldObjects } from './world.ts'

const collections: Readonly<Record<string, string>> = {
  clusters: '/apis/submariner.io/v1',
  endpoints: '/apis/submariner.io/v1',
  brokers: '/apis/submariner.io/v1alpha1',
  serviceimports: '/apis/multicluster.x-k8s.io/v1alpha1',
  endpointslices: '/apis/discovery.k8s.io/v1',
  secrets: '/api/v1',
  serviceaccounts: '/api/v1',
  configmaps: '/api/v1',
  roles: '/apis/rbac.authorization.k8s.io/v1',
  rolebindings: '/apis/rbac.authorization.k8s.io/v1',
}

export function pathOf(resource: string, name?: string): string {
  const root = `${collections[resource]}/namespaces/${brokerNamespace}/${resource}`
  return name === undefined ? root : `${root}/${name}`
}

const resourceOf: Readonly<Record<string, string>> = {
  Cluster: 'clusters',
  Endpoint: 'endpoints',
  EndpointSlice: 'endpointslices',
  ServiceImport: 'serviceimports',
}

export class ServerBroker {
  /** As an admin of the whole server. */
  readonly admin: RawApi
  readonly #tokens: ReadonlyMap<TrustUser, string>

  constructor(server: RawServer, tokens: ReadonlyMap<TrustUser, string>) {
    this.admin = new RawApi(server)
    this.#tokens = tokens
  }

  close(): void {
    this.admin.close()
  }

  /** The objects of the world, with their status. */
  async fill(): Promise<void> {
    for (const object of worldObjects) await this.put(object)
  }

  async put(object: Manifest): Promise<void> {
    const resource = resourceOf[object.kind]
    const made = await this.admin.ok('POST', pathOf(resource), object)
    if (object['status'] === undefined) return
    const path = `${pathOf(resource, object.metadata.name)}/status`
    await this.admin.ok('PUT', path, { ...made, status: object['status'] })
  }

  /** Fails when the outcome is another one, or neither. */
  async check(attempt: Attempt): Promise<void> {
    const answer = await this.#send(attempt)
    // The embedded API has no deletion of collections for anybody.
    const isMissing = attempt.verb === 'deletecollection' && answer.status === 405
    const isRefused = answer.status === 403 || isMissing
    const said = `${answer.status} ${answer.text.slice(0, 400)}`
    assert.ok(isRefused || answer.status < 300, said)
    assert.equal(isRefused ? 'refused' : 'allowed', attempt.is, said)
  }

  async #send(attempt: Attempt): Promise<RawAnswer> {
    const { as, verb, resource, name, object, fieldSelector } = attempt
    const token = this.#tokens.get(as) ?? ''
    const call = (method: string, path: string, body?: unknown) =>
      this.admin.call(method, path, body, { token })
    const query = new URLSearchParams(fieldSelector === undefined ? {} : { fieldSelector })
    switch (verb) {
      case 'get':
        return call('GET', pathOf(resource, name))
      case 'list':
        return call('GET', `${pathOf(resource)}?${query}`)
      case 'watch':
        return call('GET', `${pathOf(resource)}?watch=true&timeoutSeconds=1&${query}`)
      case 'create':
        return call('POST', `${pathOf(resource)}?dryRun=All`, object)
      case 'delete':
        return call('DELETE', `${pathOf(resource, name)}?dryRun=All`)
      case 'deletecollection':
        return call('DELETE', `${pathOf(resource)}?dryRun=All`)
      case 'update':
      case 'updateStatus':
      case 'patch':
      case 'patchStatus':
        return this.#change(attempt, call)
      default:
        return verb satisfies never
    }
  }

  async #change(
    { verb, resource, name, change }: Attempt,
    call: (method: string, path: string, body: unknown) => Promise<RawAnswer>,
  ): Promise<RawAnswer> {
    const found = await this.admin.ok('GET', pathOf(resource, name))
    const wanted = change?.(found as unknown as Manifest) ?? found
    const isStatus = verb === 'updateStatus' || verb === 'patchStatus'
    const path = `${pathOf(resource, name)}${isStatus ? '/status' : ''}?dryRun=All`
    const isPatch = verb === 'patch' || verb === 'patchStatus'
    return isPatch
      ? call('PATCH', path, mergePatch(found, wanted) ?? {})
      : call('PUT', path, wanted)
  }
}

/** What makes one of the other; undefined when they are the same. */
function mergePatch(before: unknown, after: unknown): unknown {
  if (!isRecord(before) || !isRecord(after)) {
    return JSON.stringify(before) === JSON.stringify(after) ? undefined : after
  }
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  const entries = [...keys]
    .map(key => [key, key in after ? mergePatch(before[key], after[key]) : null] as const)
    .filter(([, value]) => value !== undefined)
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}
