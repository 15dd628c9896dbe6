// A fake API server with the kinds that joining knows, and the little of a control plane that joining
// waits for: it says its version, fills token Secrets, serves definitions, deletes what belongs to what
// was deleted.

import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import { crdManifests } from '../../src/broker/crds.ts'
import { KubeClient } from '../../src/kube/client.ts'
import { brokerCredentials } from '../../src/kube/credentials.ts'
import { isRecord } from '../../src/kube/errors.ts'
import type { Manifest } from '../../src/kube/resources/raw.ts'
import { systemClock } from '../../src/net/clock.ts'
import { createAuthority } from './certificates.ts'
import {
  type FakeApiserver,
  type Fault,
  type SeenRequest,
  startFakeApiserver,
} from './fake-apiserver.ts'
import type { FakeKind, FakeObject } from './fake-objects.ts'

const core = (plural: string, kind: string, namespaced = true): FakeKind => ({
  ...{ group: '', version: 'v1', plural, kind, namespaced },
})
const of = (group: string, plural: string, kind: string, namespaced: boolean): FakeKind => ({
  ...{ group, version: 'v1', plural, kind, namespaced },
})

const builtIn: readonly FakeKind[] = [
  core('namespaces', 'Namespace', false),
  core('nodes', 'Node', false),
  core('pods', 'Pod'),
  core('services', 'Service'),
  core('secrets', 'Secret'),
  core('configmaps', 'ConfigMap'),
  core('serviceaccounts', 'ServiceAccount'),
  of('rbac.authorization.k8s.io', 'roles', 'Role', true),
  of('rbac.authorization.k8s.io', 'rolebindings', 'RoleBinding', true),
  of('rbac.authorization.k8s.io', 'clusterroles', 'ClusterRole', false),
  of('rbac.authorization.k8s.io', 'clusterrolebindings', 'ClusterRoleBinding', false),
  of('apiextensions.k8s.io', 'customresourcedefinitions', 'CustomResourceDefinition', false),
  of('networking.k8s.io', 'servicecidrs', 'ServiceCIDR', false),
  of('discovery.k8s.io', 'endpointslices', 'EndpointSlice', true),
  of(
    ...(['admissionregistration.k8s.io', 'validatingadmissionpolicies'] as const),
    ...(['ValidatingAdmissionPolicy', false] as const),
  ),
  of(
    ...(['admissionregistration.k8s.io', 'validatingadmissionpolicybindings'] as const),
    ...(['ValidatingAdmissionPolicyBinding', false] as const),
  ),
]

interface CrdSpec {
  readonly group: string
  readonly names: { readonly plural: string; readonly kind: string }
  readonly scope: string
  readonly versions: readonly {
    readonly name: string
    readonly subresources?: { readonly status?: object }
  }[]
}

const custom: readonly FakeKind[] = crdManifests().map(({ spec }) => {
  const { group, names, scope, versions } = spec as CrdSpec
  const [{ name: version, subresources }] = versions
  return {
    ...{ group, version, plural: names.plural, kind: names.kind },
    namespaced: scope === 'Namespaced',
    hasStatus: subresources?.status !== undefined,
  }
})

export class FakeCluster {
  readonly server: FakeApiserver
  readonly client: KubeClient
  minor = '37'
  #settledVersion = 0
  /** Before anything else is done about a request. */
  fault: (request: SeenRequest) => Fault | undefined = () => undefined
  /** What a Service with an address of no range is told. */
  serviceRefusal = ''

  constructor(server: FakeApiserver) {
    this.server = server
    this.client = this.clientOf('token-1')
    server.fault = request => {
      const fault = this.fault(request)
      if (fault !== undefined) return fault
      if (request.path === '/version') {
        return { kind: 'garbage', text: JSON.stringify({ major: '1', minor: this.minor }) }
      }
      this.settle()
      return undefined
    }
    server.rejects = body => {
      const isService = isRecord(body) && body['kind'] === 'Service'
      return isService && this.serviceRefusal !== '' ? this.serviceRefusal : undefined
    }
  }

  clientOf(token: string): KubeClient {
    const { url, authority } = this.server
    return new KubeClient(
      brokerCredentials(systemClock, {
        ...{ server: url, namespace: 'ns', token, ca: authority.pem },
        ...{ trustsSystemRoots: false, isInsecure: false },
      }),
      'hawser-test',
    )
  }

  add(manifest: Manifest): void {
    const { objects } = this.server
    const [group, version] = manifest.apiVersion.includes('/')
      ? manifest.apiVersion.split('/')
      : ['', manifest.apiVersion]
    const kind = objects.kinds.find(
      each => each.group === group && each.version === version && each.kind === manifest.kind,
    )
    if (kind === undefined) throw new Error(`no kind ${manifest.kind}`)
    const { namespace, name } = manifest.metadata
    objects.create(kind, namespace, manifest)
    if (kind.hasStatus === true && 'status' in manifest) {
      const found = objects.get(kind, namespace, name)
      objects.update(kind, namespace, name, { ...found, status: manifest['status'] }, 'status')
    }
  }

  all(plural: string): readonly FakeObject[] {
    const kinds = this.server.objects.kinds.filter(each => each.plural === plural)
    const query = { namespace: undefined, labelSelector: '', fieldSelector: '' }
    return kinds.flatMap(kind => this.server.objects.select(kind, query))
  }

  names(plural: string): readonly string[] {
    return this.all(plural).map(({ metadata }) => metadata.name)
  }

  /** Everything, without what differs from run to run. */
  dump(): Readonly<Record<string, unknown>> {
    const entries = this.server.objects.kinds.flatMap(kind =>
      this.all(kind.plural).map(object => {
        const { namespace = '', name } = object.metadata
        const { uid: _, resourceVersion: __, ownerReferences: ___, ...own } = object.metadata
        const { labels, annotations, ...metadata } = own
        const shown = kind.plural === 'secrets' ? Object.keys(object['data'] ?? {}) : object['spec']
        return [
          `${kind.plural}/${namespace}/${name}`,
          { metadata, notes: { ...labels, ...(annotations as object) }, shown },
        ]
      }),
    )
    return Object.fromEntries(entries)
  }

  /** What controllers do; before each answer too. */
  settle(): void {
    const { objects } = this.server
    if (objects.version === this.#settledVersion) return
    const kindOf = (plural: string) => objects.kinds.find(each => each.plural === plural)
    const [secrets, crds] = [kindOf('secrets'), kindOf('customresourcedefinitions')]
    for (const secret of this.all('secrets')) {
      const isToken = secret['type'] === 'kubernetes.io/service-account-token'
      if (!isToken || secret['data'] !== undefined || secrets === undefined) continue
      const { namespace = '', name } = secret.metadata
      const token = randomBytes(16).toString('hex')
      this.server.tokens.add(token)
      const data = {
        token: base64(token),
        'ca.crt': base64(this.server.authority.pem),
        namespace: base64(namespace),
      }
      objects.update(secrets, namespace, name, { ...secret, data }, 'main')
    }
    for (const crd of this.all('customresourcedefinitions')) {
      if (crd['status'] !== undefined || crds === undefined) continue
      const status = { conditions: [{ type: 'Established', status: 'True' }] }
      objects.update(crds, undefined, crd.metadata.name, { ...crd, status }, 'main')
    }
    this.#collectGarbage()
    this.#settledVersion = objects.version
  }

  /** What has an owner that is gone, goes. */
  #collectGarbage(): void {
    const { objects } = this.server
    const uids = new Set(this.all('serviceaccounts').map(({ metadata }) => metadata.uid))
    for (const kind of objects.kinds) {
      for (const { metadata } of this.all(kind.plural)) {
        const owners = (metadata['ownerReferences'] ?? []) as readonly { readonly uid: string }[]
        if (owners.length === 0 || owners.some(({ uid }) => uids.has(uid))) continue
        objects.delete(kind, metadata.namespace, metadata.name)
      }
    }
  }
}

/** One for all: making keys takes longer than the rest. */
const authority = createAuthority('fake-clusters')

export async function startFakeCluster(
  context: TestContext,
  manifests: readonly Manifest[] = [],
): Promise<FakeCluster> {
  const kinds = [...builtIn, ...custom]
  const cluster = new FakeCluster(await startFakeApiserver(context, { kinds, authority }))
  context.after(() => cluster.client.close())
  for (const manifest of [namespace('kube-system'), namespace('default'), ...manifests]) {
    cluster.add(manifest)
  }
  return cluster
}

export function namespace(name: string): Manifest {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
}

export function node(
  name: string,
  podCidr: string,
  labels: Readonly<Record<string, string>> = {},
): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels },
    spec: { podCIDR: podCidr, podCIDRs: [podCidr] },
    status: { conditions: [{ type: 'Ready', status: 'True' }], addresses: [] },
  }
}

export function serviceCidr(cidr: string): Manifest {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    metadata: { name: 'kubernetes' },
    spec: { cidrs: [cidr] },
  }
}

/** Of a control plane that runs as pods. */
export function controlPod(program: string, ...args: readonly string[]): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: program, namespace: 'kube-system', labels: { component: program } },
    spec: { containers: [{ name: program, command: [program, ...args] }] },
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
