// What members of a broker may do and what they may not, verb by verb and kind by kind. Data alone: it is
// run on the rule and the roles as functions, on the embedded API, and on a real API server.

import type { Manifest } from '../../../src/kube/resources/raw.ts'
import {
  allocatedBy,
  clusterLabel,
  clusterObject,
  endpointObject,
  importObject,
  serviceNameKey,
  sliceObject,
  sourceLabel,
  stampOf,
  type TrustUser,
} from './world.ts'

export type Verb =
  | ('get' | 'list' | 'watch')
  | ('create' | 'update' | 'updateStatus' | 'patch' | 'patchStatus' | 'delete' | 'deletecollection')

export interface Attempt {
  readonly as: TrustUser
  readonly verb: Verb
  /** As in roles: `clusters`. */
  readonly resource: string
  /** Of the object; absent for a list, a watch or the deletion of a collection. */
  readonly name?: string
  /** Of a create. */
  readonly object?: Manifest
  /** Of an update: the object that is there becomes this one. */
  readonly change?: (object: Manifest) => Manifest
  /** Of a list or watch. */
  readonly fieldSelector?: string
  readonly is: 'allowed' | 'refused'
  readonly why: string
}

/** The object with other fields: `null` takes one out, as in a merge patch. */
export function changed(object: Manifest, patch: Readonly<Record<string, unknown>>): Manifest {
  return merged(object, patch) as Manifest
}

function merged(target: unknown, patch: unknown): unknown {
  if (!isPlain(patch)) return patch
  const result: Record<string, unknown> = isPlain(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = merged(result[key], value)
  }
  return result
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const labels = (values: Readonly<Record<string, string | null>>) => ({
  metadata: { labels: values },
})
const notes = (values: Readonly<Record<string, string | null>>) => ({
  metadata: { annotations: values },
})
const change = (patch: Readonly<Record<string, unknown>>) => (object: Manifest) =>
  changed(object, patch)

type Row = readonly [Attempt['is'], TrustUser, Verb, string, string, Partial<Attempt>?]

/** `[outcome, user, verb, name, why, more]` for one resource. */
function of(resource: string, rows: readonly Row[]): readonly Attempt[] {
  return rows.map(([is, as, verb, name, why, more = {}]) => ({
    ...{ is, as, verb, resource, why },
    ...(name === '' ? {} : { name }),
    ...more,
  }))
}

const relabelled = (object: Manifest, patch: Readonly<Record<string, unknown>>) => ({
  object: changed(object, patch),
})

const clusters = of('clusters', [
  ['allowed', 'c1', 'list', '', 'all members are known to all'],
  ['allowed', 'c1', 'watch', '', 'all members are known to all'],
  ['allowed', 'c1', 'get', 'c2', 'all members are known to all'],
  ['allowed', 'c3', 'create', 'c3', 'its own', { object: clusterObject('c3') }],
  ['refused', 'c1', 'create', 'c3', "another's", { object: clusterObject('c3') }],
  [
    ...(['refused', 'c1', 'create', 'c3', 'a name that another needs'] as const),
    { object: clusterObject('c1', 'c3') },
  ],
  [
    ...(['refused', 'c3', 'create', 'c3', 'without a label'] as const),
    relabelled(clusterObject('c3'), { metadata: { labels: null } }),
  ],
  [
    ...(['refused', 'c3', 'create', 'c3', 'labelled as of another'] as const),
    relabelled(clusterObject('c3'), labels({ [clusterLabel]: 'c2' })),
  ],
  [
    ...(['refused', 'c3', 'create', 'c3', 'it says that it is another'] as const),
    relabelled(clusterObject('c3'), { spec: { cluster_id: 'c2' } }),
  ],
  [
    ...(['allowed', 'c1', 'update', 'c1', 'its own'] as const),
    { change: change({ spec: { cluster_cidr: ['10.9.0.0/16'] } }) },
  ],
  [
    ...(['refused', 'c1', 'update', 'c2', "another's"] as const),
    { change: change({ spec: { cluster_cidr: ['10.9.0.0/16'] } }) },
  ],
  [
    ...(['refused', 'c1', 'update', 'c2', 'taking it over'] as const),
    { change: change({ ...labels({ [clusterLabel]: 'c1' }), spec: { cluster_id: 'c1' } }) },
  ],
  [
    ...(['refused', 'c1', 'update', 'c1', 'giving it to another'] as const),
    { change: change(labels({ [clusterLabel]: 'c2' })) },
  ],
  [
    ...(['refused', 'c1', 'update', 'c1', 'without its label'] as const),
    { change: change(labels({ [clusterLabel]: null })) },
  ],
  [
    ...(['refused', 'c1', 'update', 'c1', 'it says that it is another'] as const),
    { change: change({ spec: { cluster_id: 'c2' } }) },
  ],
  ['allowed', 'c1', 'patch', 'c1', 'its own', { change: change({ spec: { color_codes: ['x'] } }) }],
  [
    ...(['refused', 'c1', 'patch', 'c2', "another's"] as const),
    { change: change({ spec: { color_codes: ['x'] } }) },
  ],
  ['allowed', 'c1', 'delete', 'c1', 'its own'],
  ['refused', 'c1', 'delete', 'c2', "another's"],
  ['refused', 'c1', 'deletecollection', '', 'all of them'],
  ['refused', 'nobody', 'list', '', 'no member'],
  ['refused', 'nobody', 'create', 'c3', 'no member', { object: clusterObject('c3') }],
  ['allowed', 'admin', 'delete', 'c2', 'an admin takes members off'],
])

const c1Endpoint = 'c1-submariner-cable-c1-gateway'
const c2Endpoint = 'c2-submariner-cable-c2-gateway'
const otherName = 'c1-submariner-cable-c1-192-0-2-1'

const endpoints = of('endpoints', [
  ['allowed', 'c1', 'list', '', 'they are there to be read'],
  ['allowed', 'c1', 'watch', '', 'they are there to be read'],
  ['allowed', 'c1', 'get', c2Endpoint, 'they are there to be read'],
  ['allowed', 'c1', 'create', otherName, 'its own', { object: endpointObject('c1', otherName) }],
  [
    ...(['allowed', 'c3', 'create', 'c3-submariner-cable-c3-gateway', 'its own'] as const),
    { object: endpointObject('c3') },
  ],
  [
    ...(['refused', 'c1', 'create', 'c3-submariner-cable-c3-gateway', "another's"] as const),
    { object: endpointObject('c3') },
  ],
  [
    ...([
      'refused',
      'c1',
      'create',
      otherName,
      "a copy of another's under a name of its own",
    ] as const),
    { object: endpointObject('c2', otherName) },
  ],
  [
    ...([
      'refused',
      'c1',
      'create',
      'c3-submariner-cable-c3-gateway',
      'a name that another needs',
    ] as const),
    { object: endpointObject('c1', 'c3-submariner-cable-c3-gateway') },
  ],
  [
    ...(['refused', 'c1', 'create', otherName, 'without a label'] as const),
    relabelled(endpointObject('c1', otherName), { metadata: { labels: null } }),
  ],
  [
    ...(['refused', 'c1', 'create', otherName, 'labelled as of another'] as const),
    relabelled(endpointObject('c1', otherName), labels({ [clusterLabel]: 'c2' })),
  ],
  [
    ...(['refused', 'c1', 'create', otherName, 'it says that it is of another'] as const),
    relabelled(endpointObject('c1', otherName), { spec: { cluster_id: 'c2' } }),
  ],
  [
    ...(['allowed', 'c1', 'update', c1Endpoint, 'its own'] as const),
    { change: change({ spec: { hostname: 'node-2' } }) },
  ],
  [
    ...(['refused', 'c1', 'update', c2Endpoint, "another's"] as const),
    { change: change({ spec: { private_ip: '198.51.100.1' } }) },
  ],
  [
    ...(['refused', 'c1', 'update', c2Endpoint, 'taking it over'] as const),
    { change: change({ ...labels({ [clusterLabel]: 'c1' }), spec: { cluster_id: 'c1' } }) },
  ],
  [
    ...(['refused', 'c1', 'update', c1Endpoint, 'giving it to another'] as const),
    { change: change({ ...labels({ [clusterLabel]: 'c2' }), spec: { cluster_id: 'c2' } }) },
  ],
  [
    ...(['refused', 'c1', 'update', c1Endpoint, 'without its label'] as const),
    { change: change(labels({ [clusterLabel]: null })) },
  ],
  [
    ...(['refused', 'c1', 'update', c1Endpoint, 'it says that it is of another'] as const),
    { change: change({ spec: { cluster_id: 'c2' } }) },
  ],
  [
    ...(['allowed', 'c1', 'patch', c1Endpoint, 'its own'] as const),
    { change: change({ spec: { hostname: 'node-2' } }) },
  ],
  [
    ...(['refused', 'c1', 'patch', c2Endpoint, "another's"] as const),
    { change: change({ spec: { hostname: 'node-2' } }) },
  ],
  ['allowed', 'c1', 'delete', c1Endpoint, 'its own'],
  ['refused', 'c1', 'delete', c2Endpoint, "another's"],
  ['refused', 'c3', 'delete', c2Endpoint, 'a member without objects'],
  ['refused', 'c1', 'deletecollection', '', 'all of them'],
  [
    'refused',
    'nobody',
    'create',
    otherName,
    'no member',
    { object: endpointObject('c1', otherName) },
  ],
])

const slices = of('endpointslices', [
  ['allowed', 'c1', 'list', '', 'they are there to be read'],
  ['allowed', 'c1', 'watch', '', 'they are there to be read'],
  ['allowed', 'c1', 'create', 'web-x1', 'its own', { object: sliceObject('c1', 'web-x1') }],
  ['refused', 'c1', 'create', 'web-x1', "another's", { object: sliceObject('c2', 'web-x1') }],
  [
    ...(['refused', 'c1', 'create', 'web-x1', 'without a label'] as const),
    relabelled(sliceObject('c1', 'web-x1'), labels({ [clusterLabel]: null })),
  ],
  [
    ...(['refused', 'c1', 'create', 'web-x1', 'DNS would take it for one of another'] as const),
    relabelled(sliceObject('c1', 'web-x1'), labels({ [sourceLabel]: 'c2' })),
  ],
  [
    ...(['allowed', 'c1', 'update', 'web-c1', 'its own'] as const),
    { change: change({ endpoints: [] }) },
  ],
  [
    ...(['refused', 'c1', 'update', 'web-c2', "another's"] as const),
    { change: change({ endpoints: [] }) },
  ],
  [
    ...(['refused', 'c1', 'update', 'web-c2', 'taking it over'] as const),
    { change: change(labels({ [clusterLabel]: 'c1', [sourceLabel]: 'c1' })) },
  ],
  [
    ...(['refused', 'c1', 'update', 'web-c1', 'giving it to another'] as const),
    { change: change(labels({ [clusterLabel]: 'c2', [sourceLabel]: 'c2' })) },
  ],
  [
    ...(['refused', 'c1', 'patch', 'web-c2', "another's"] as const),
    { change: change(labels({ extra: 'x' })) },
  ],
  ['allowed', 'c1', 'delete', 'web-c1', 'its own'],
  ['refused', 'c1', 'delete', 'web-c2', "another's"],
  ['refused', 'c1', 'deletecollection', '', 'all of them'],
])

const stamp = '1800000000000000000'
const ports = (port: number) => ({ spec: { ports: [{ name: 'http', protocol: 'TCP', port }] } })
const exportedBy = (...ids: readonly string[]) => ({
  status: { clusters: ids.map(cluster => ({ cluster })) },
})

const imports = of('serviceimports', [
  ['allowed', 'c3', 'list', '', 'they are there to be read'],
  ['allowed', 'c3', 'create', 'new-default', 'its own', { object: importObject('new', ['c3']) }],
  [
    ...(['allowed', 'c3', 'create', 'new-default', 'with an IP of its own range'] as const),
    { object: importObject('new', ['c3'], 'c3') },
  ],
  [
    ...(['refused', 'c3', 'create', 'new-default', "with another's time stamp"] as const),
    { object: importObject('new', ['c1']) },
  ],
  [
    ...(['refused', 'c3', 'create', 'new-default', "with an IP of another's range"] as const),
    { object: importObject('new', ['c3'], 'c1') },
  ],
  [
    ...(['refused', 'c3', 'create', 'new-default', 'with an IP of nobody'] as const),
    relabelled(importObject('new', ['c3'], 'c3'), notes({ [allocatedBy]: null })),
  ],
  [
    ...([
      'refused',
      'c3',
      'create',
      'new-default',
      'labelled, so that it would be its alone',
    ] as const),
    relabelled(importObject('new', ['c3']), labels({ [clusterLabel]: 'c3' })),
  ],
  ['allowed', 'c1', 'update', 'web-default', 'a listed exporter', { change: change(ports(8080)) }],
  ['allowed', 'c2', 'update', 'web-default', 'a listed exporter', { change: change(ports(8080)) }],
  ['refused', 'c3', 'update', 'web-default', 'it is not listed', { change: change(ports(8080)) }],
  [
    ...(['allowed', 'c3', 'update', 'web-default', 'it begins to export'] as const),
    { change: change(notes({ [stampOf('c3')]: stamp })) },
  ],
  [
    ...(['allowed', 'c2', 'update', 'web-default', 'its own time stamp'] as const),
    { change: change(notes({ [stampOf('c2')]: stamp })) },
  ],
  [
    ...(['allowed', 'c2', 'update', 'web-default', 'it ceases to export'] as const),
    { change: change(notes({ [stampOf('c2')]: null })) },
  ],
  [
    ...(['refused', 'c2', 'update', 'web-default', "another's time stamp"] as const),
    { change: change(notes({ [stampOf('c1')]: stamp })) },
  ],
  [
    ...(['refused', 'c2', 'update', 'web-default', "without another's time stamp"] as const),
    { change: change(notes({ [stampOf('c1')]: null })) },
  ],
  [
    ...(['refused', 'c2', 'update', 'web-default', 'listing another'] as const),
    { change: change(notes({ [stampOf('c3')]: stamp })) },
  ],
  [
    ...(['refused', 'c2', 'update', 'web-default', 'another IP'] as const),
    { change: change({ spec: { ips: ['243.0.0.66'] } }) },
  ],
  [
    ...(['refused', 'c2', 'update', 'web-default', 'without the IP'] as const),
    { change: change({ spec: { ips: null } }) },
  ],
  [
    ...(['refused', 'c2', 'update', 'web-default', 'the IP as of its own range'] as const),
    { change: change(notes({ [allocatedBy]: 'c2' })) },
  ],
  [
    ...(['allowed', 'c1', 'update', 'web-default', 'the IP of its range'] as const),
    { change: change({ spec: { ips: ['243.0.0.2'] } }) },
  ],
  [
    ...(['refused', 'c1', 'update', 'web-default', 'for another service'] as const),
    { change: change(notes({ [serviceNameKey]: 'bank' })) },
  ],
  [
    ...([
      'refused',
      'c1',
      'update',
      'web-default',
      'labelled, so that it would be its alone',
    ] as const),
    { change: change(labels({ [clusterLabel]: 'c1' })) },
  ],
  [
    ...(['refused', 'c2', 'patch', 'web-default', "another's time stamp"] as const),
    { change: change(notes({ [stampOf('c1')]: null })) },
  ],
  [
    ...(['allowed', 'c3', 'updateStatus', 'web-default', 'its own entry'] as const),
    { change: change(exportedBy('c1', 'c2', 'c3')) },
  ],
  [
    ...(['allowed', 'c2', 'updateStatus', 'web-default', 'without its own entry'] as const),
    { change: change(exportedBy('c1')) },
  ],
  [
    ...(['refused', 'c2', 'updateStatus', 'web-default', "without another's entry"] as const),
    { change: change(exportedBy('c2')) },
  ],
  [
    ...(['refused', 'c2', 'updateStatus', 'web-default', "another's entry"] as const),
    { change: change(exportedBy('c1', 'c2', 'c3')) },
  ],
  [
    ...(['refused', 'c3', 'updateStatus', 'web-default', "in another's place"] as const),
    { change: change(exportedBy('c3', 'c2')) },
  ],
  [
    ...(['refused', 'c3', 'patchStatus', 'web-default', "without others' entries"] as const),
    { change: change(exportedBy('c3')) },
  ],
  [
    ...(['allowed', 'c3', 'patchStatus', 'web-default', 'its own entry'] as const),
    { change: change(exportedBy('c1', 'c2', 'c3')) },
  ],
  ['allowed', 'c1', 'delete', 'solo-default', 'its last exporter'],
  ['refused', 'c2', 'delete', 'solo-default', 'another is listed'],
  ['refused', 'c1', 'delete', 'web-default', 'another is listed too'],
  ['refused', 'c3', 'delete', 'web-default', 'others are listed'],
  ['refused', 'c1', 'deletecollection', '', 'all of them'],
  ['allowed', 'admin', 'delete', 'web-default', 'an admin takes members off'],
])

const selector = (name: string) => ({ fieldSelector: `metadata.name=${name}` })

/** What roles alone decide. */
const others: readonly Attempt[] = [
  ...of('secrets', [
    ['allowed', 'c1', 'get', 'cluster-c1-token', 'its own token'],
    ['allowed', 'c1', 'list', '', 'its own token, by name', selector('cluster-c1-token')],
    ['allowed', 'c1', 'get', 'submariner-ipsec-psk', 'the PSK of all'],
    ['refused', 'c1', 'get', 'cluster-c2-token', "another's token"],
    ['refused', 'c1', 'list', '', "another's token, by name", selector('cluster-c2-token')],
    ['refused', 'c1', 'watch', '', "another's token, by name", selector('cluster-c2-token')],
    ['refused', 'c1', 'get', 'submariner-k8s-broker-admin-token', "the admin's token"],
    ['refused', 'c1', 'list', '', 'every token'],
    ['refused', 'c1', 'watch', '', 'every token'],
    ['refused', 'c1', 'delete', 'cluster-c2-token', "another's token"],
    ['refused', 'c1', 'patch', 'submariner-ipsec-psk', 'the PSK', { change: change({}) }],
    ['refused', 'c1', 'deletecollection', '', 'every token'],
    ['refused', 'nobody', 'get', 'submariner-ipsec-psk', 'no member'],
    ['allowed', 's1', 'get', 'cluster-c2-token', 'what a stock member opens'],
    ['allowed', 's1', 'list', '', 'what a stock member opens'],
  ]),
  ...of('serviceaccounts', [
    ['allowed', 'c1', 'get', 'cluster-c1', 'its own'],
    ['allowed', 'c1', 'delete', 'cluster-c1', 'it leaves'],
    ['refused', 'c1', 'delete', 'cluster-c2', "another's"],
    ['refused', 'c1', 'list', '', "the others'"],
    [
      'refused',
      'c1',
      'patch',
      'cluster-c1',
      'its own claim',
      { change: change(labels({ a: 'b' })) },
    ],
  ]),
  ...of('configmaps', [
    ['allowed', 'c1', 'get', 'submariner-globalnet-info', 'who has which global CIDR'],
    ['refused', 'c1', 'list', '', 'every one'],
    [
      ...(['refused', 'c1', 'patch', 'submariner-globalnet-info', 'the book'] as const),
      { change: change({ data: { globalnetEnabled: 'false' } }) },
    ],
    ['refused', 'c1', 'delete', 'submariner-globalnet-info', 'the book'],
  ]),
  ...of('brokers', [
    ['allowed', 'c1', 'get', 'submariner-broker', 'what the clusterset has'],
    [
      ...(['refused', 'c1', 'patch', 'submariner-broker', 'what the clusterset has'] as const),
      { change: change({ spec: { globalnetEnabled: true } }) },
    ],
    ['refused', 'c1', 'delete', 'submariner-broker', 'the broker'],
  ]),
  ...of('clusters', [
    [
      ...(['allowed', 's1', 'update', 'c2', 'what a stock member opens'] as const),
      { change: change({ spec: { color_codes: ['x'] } }) },
    ],
  ]),
  ...of('endpoints', [['allowed', 's1', 'delete', c2Endpoint, 'what a stock member opens']]),
]

/** Of a server with Roles as objects. */
export const roleAttempts: readonly Attempt[] = [
  ...of('roles', [
    ['refused', 'c1', 'list', '', 'who may what'],
    ['refused', 'c1', 'patch', 'cluster-c1', 'its own', { change: change({ rules: [] }) }],
    ['refused', 'c1', 'delete', 'cluster-c2', "another's"],
  ]),
  ...of('rolebindings', [
    ['refused', 'c1', 'list', '', 'who may what'],
    ['refused', 'c1', 'delete', 'cluster-c2-submariner-k8s-broker-cluster', "another's"],
  ]),
]

export const attempts: readonly Attempt[] = [
  ...clusters,
  ...endpoints,
  ...slices,
  ...imports,
  ...others,
]

export function titleOf({ is, as, verb, resource, name, fieldSelector, why }: Attempt): string {
  const what = name ?? fieldSelector ?? 'all'
  return `${is}: ${as} ${verb} ${resource} ${what} (${why})`
}
