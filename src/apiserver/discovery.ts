// What a client asks first: which groups, versions and kinds there are. The plain form of discovery; who
// asks for the aggregated one takes this instead. `/openapi/v3` says of each kind but one thing, that a
// patch takes the parameter `fieldValidation`: so kubectl leaves validation to the server, and asks for it.

import type { Body } from './body.ts'
import { apiVersionOf } from './body.ts'
import type { Kind } from './kind.ts'
import type { Kinds } from './kinds.ts'

/** The release whose behaviour is followed; programs compare it with what they need. */
const release = { major: '1', minor: '35', gitVersion: 'v1.35.0+hawser' } as const

/** What `kubectl get all` shows. */
const inAll: readonly string[] = ['pods', 'services']

/** A document at a path, or undefined. */
export function discoveryDocument(kinds: Kinds, path: string): Body | undefined {
  const groups = groupsOf(kinds)
  if (path === '/version') {
    const build = { gitCommit: '', gitTreeState: '', buildDate: '1970-01-01T00:00:00Z' }
    const go = { goVersion: '', compiler: '', platform: 'linux/amd64' }
    return { ...release, ...build, ...go }
  }
  if (path === '/api') {
    return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
  }
  if (path === '/apis') return { kind: 'APIGroupList', apiVersion: 'v1', groups }
  if (path === '/openapi/v3') return openapiIndex(kinds)
  const [root = '', group = '', version = '', more] = path.split('/').slice(1)
  if (root === 'openapi') return openapiDocument(kinds, path)
  if (root === 'api' && group === 'v1' && version === '') return resourceList(kinds, '', 'v1')
  if (root !== 'apis' || more !== undefined) return undefined
  const found = groups.find(({ name }) => name === group)
  if (found === undefined) return undefined
  if (version === '') return { kind: 'APIGroup', apiVersion: 'v1', ...found }
  const isServed = found.versions.some(each => each.version === version)
  return isServed ? resourceList(kinds, group, version) : undefined
}

function groupsOf(kinds: Kinds) {
  const names = [...new Set(kinds.all.map(({ group }) => group))].filter(name => name !== '').sort()
  return names.map(name => {
    const own = kinds.all.filter(({ group }) => group === name)
    const versions = [...new Set(own.map(({ version }) => version))].sort().map(version => ({
      ...{ groupVersion: `${name}/${version}`, version },
    }))
    return { name, versions, preferredVersion: versions[0] }
  })
}

function resourceList(kinds: Kinds, group: string, version: string): Body {
  const own = kinds.all.filter(kind => kind.group === group && kind.version === version)
  const groupVersion = group === '' ? version : `${group}/${version}`
  const resources = own.flatMap(kind => [
    {
      ...{ name: kind.plural, singularName: kind.singular, namespaced: kind.namespaced },
      ...{ kind: kind.kind, verbs: [...kind.verbs].sort() },
      ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
      ...(inAll.includes(kind.plural) ? { categories: ['all'] } : {}),
    },
    ...(kind.hasStatus ? [statusResource(kind)] : []),
  ])
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources }
}

function statusResource({ plural, namespaced, kind, verbs }: Kind): Body {
  const own = ['get', 'patch', 'update'].filter(verb => (verbs as readonly string[]).includes(verb))
  return { name: `${plural}/status`, singularName: '', namespaced, kind, verbs: own }
}

function rootOf(kind: Kind): string {
  return kind.group === '' ? `api/${kind.version}` : `apis/${kind.group}/${kind.version}`
}

function openapiIndex(kinds: Kinds): Body {
  const roots = [...new Set(kinds.all.map(rootOf))]
  const paths = roots.map(root => [root, { serverRelativeURL: `/openapi/v3/${root}` }])
  return { paths: Object.fromEntries(paths) }
}

function openapiDocument(kinds: Kinds, path: string): Body | undefined {
  const own = kinds.all.filter(kind => path === `/openapi/v3/${rootOf(kind)}`)
  if (own.length === 0) return undefined
  return {
    openapi: '3.0.0',
    info: { title: 'Hawser', version: release.gitVersion },
    paths: Object.fromEntries(own.map(kind => [objectPath(kind), { patch: patchOf(kind) }])),
    components: { schemas: {} },
  }
}

function objectPath(kind: Kind): string {
  const namespace = kind.namespaced ? '/namespaces/{namespace}' : ''
  return `/${rootOf(kind)}${namespace}/${kind.plural}/{name}`
}

function patchOf(kind: Kind): Body {
  const parameter = { name: 'fieldValidation', in: 'query', schema: { type: 'string' } }
  const { group, version } = kind
  return {
    operationId: `patch${kind.kind}${apiVersionOf(kind).replace(/\W/g, '')}`,
    parameters: [parameter],
    responses: { 200: { description: 'OK' } },
    'x-kubernetes-group-version-kind': { group, kind: kind.kind, version },
  }
}
