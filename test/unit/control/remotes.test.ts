import assert from 'node:assert/strict'
import { test } from 'node:test'
import { remoteLimits } from '../../../src/control/acceptance.ts'
import { findRemotes } from '../../../src/control/remotes.ts'
import type { Cluster } from '../../../src/kube/resources/cluster.ts'
import { type Endpoint, noAddresses } from '../../../src/kube/resources/endpoint.ts'
import { parseAddress } from '../../../src/net/address.ts'
import {
  brokerNamespace,
  clusterOf,
  endpointOf,
  keyOf,
  known,
  metaOn,
  prefixes,
  texts,
  unknown,
  type WorldChanges,
  worldWith,
} from '../../support/control-world.ts'

const all2 = ['10.102.0.0/16', 'fd00:102::/112', '10.2.0.0/16', 'fd00:2::/48']
const all3 = ['10.103.0.0/16', 'fd00:103::/112', '10.3.0.0/16', 'fd00:3::/48']

interface Case {
  readonly name: string
  readonly clusters: readonly Cluster[]
  readonly endpoints: readonly Endpoint[]
  readonly world?: WorldChanges
  /** Subnets that are accepted, by cluster; none: no Endpoint is. */
  readonly accepted: Readonly<Record<string, readonly string[] | 'none'>>
  /** Code, object and a part of the message of each problem. */
  readonly problems?: readonly (readonly [string, string, RegExp])[]
}

const endpoint2 = 'endpoints/c2-submariner-cable-c2-gateway'
const endpoint3 = 'endpoints/c3-submariner-cable-c3-gateway'

/** An Endpoint of c2 under another name. */
const second = (number: number, over: Partial<Endpoint> = {}) =>
  endpointOf(2, { ...over, meta: metaOn(brokerNamespace, `c2-node-${number}`, 'c2', number) })

const cases: readonly Case[] = [
  {
    name: 'each cluster has what it says',
    clusters: [clusterOf(2), clusterOf(3)],
    endpoints: [endpointOf(2), endpointOf(3)],
    accepted: { c2: all2, c3: all3 },
  },
  {
    name: 'our own objects are no remotes',
    clusters: [clusterOf(1), clusterOf(2)],
    endpoints: [endpointOf(1), endpointOf(2)],
    accepted: { c2: all2 },
  },
  {
    name: 'a cluster without an Endpoint has no cable',
    clusters: [clusterOf(2)],
    endpoints: [],
    accepted: { c2: 'none' },
  },
  {
    name: 'an Endpoint without a Cluster is ignored',
    clusters: [],
    endpoints: [endpointOf(2)],
    accepted: {},
    problems: [['no-cluster', endpoint2, /no Cluster c2/]],
  },
  {
    name: 'an object whose label is another cluster’s is ignored',
    clusters: [clusterOf(2), clusterOf(3)],
    endpoints: [endpointOf(2, { meta: metaOn(brokerNamespace, 'copy', 'c3', 99) }), endpointOf(3)],
    accepted: { c2: 'none', c3: all3 },
    problems: [['foreign-label', 'endpoints/copy', /of cluster c2, and its label says c3/]],
  },
  {
    name: 'so is one without a label, and one that says that it is ours',
    clusters: [
      clusterOf(2, { meta: metaOn(brokerNamespace, 'c2', undefined, 2) }),
      clusterOf(3, { clusterId: 'c1', meta: metaOn(brokerNamespace, 'c3', 'c3', 3) }),
    ],
    endpoints: [],
    accepted: {},
    problems: [
      ['foreign-label', 'clusters/c2', /it has no label/],
      ['foreign-label', 'clusters/c3', /of cluster c1, and its label says c3/],
    ],
  },
  {
    name: 'a subnet is of the oldest Cluster that lists it',
    clusters: [
      clusterOf(3, { clusterCidrs: prefixes('10.2.0.0/16', '10.3.0.0/16') }),
      clusterOf(2),
    ],
    endpoints: [endpointOf(2), endpointOf(3, { subnets: prefixes('10.2.0.0/16', '10.3.0.0/16') })],
    accepted: { c2: all2, c3: ['10.3.0.0/16'] },
    problems: [
      ['owned-subnet', 'clusters/c3', /10\.2\.0\.0\/16 overlaps 10\.2\.0\.0\/16 of c2/],
      ['foreign-subnet', endpoint3, /10\.2\.0\.0\/16 of c2/],
    ],
  },
  {
    name: 'also a part of it, and one that holds it',
    clusters: [
      clusterOf(2),
      clusterOf(3, { clusterCidrs: prefixes('10.2.3.0/24', '10.2.0.0/15', '10.9.0.0/16') }),
    ],
    endpoints: [endpointOf(3, { subnets: prefixes('10.2.3.0/24', '10.2.0.0/15', '10.9.1.0/24') })],
    accepted: { c2: 'none', c3: ['10.9.1.0/24'] },
    problems: [
      [
        'owned-subnet',
        'clusters/c3',
        /10\.2\.0\.0\/15 overlaps 10\.2\.0\.0\/16 of c2, 10\.2\.3\.0\/24/,
      ],
      ['foreign-subnet', endpoint3, /10\.2\.3\.0\/24 of c2, 10\.2\.0\.0\/15$/],
    ],
  },
  {
    name: 'subnets that its own Cluster does not have are ignored, whoever has them',
    clusters: [clusterOf(2), clusterOf(3)],
    endpoints: [
      endpointOf(2, { subnets: prefixes('10.2.0.0/16', '10.3.1.0/24', '192.0.2.0/24') }),
      endpointOf(3),
    ],
    accepted: { c2: ['10.2.0.0/16'], c3: all3 },
    problems: [['foreign-subnet', endpoint2, /10\.3\.1\.0\/24 of c3, 192\.0\.2\.0\/24$/]],
  },
  {
    name: 'what overlaps ours is skipped, and both are named',
    clusters: [clusterOf(2, { clusterCidrs: prefixes('10.1.128.0/17', '10.2.0.0/16') })],
    endpoints: [endpointOf(2, { subnets: prefixes('10.1.128.0/17', '10.2.0.0/16') })],
    accepted: { c2: ['10.2.0.0/16'] },
    problems: [
      ['owned-subnet', 'clusters/c2', /10\.1\.128\.0\/17 overlaps 10\.1\.0\.0\/16 of c1/],
      ['foreign-subnet', endpoint2, /10\.1\.128\.0\/17 of c1/],
    ],
  },
  {
    name: 'with Globalnet clusters may have the same pods, and global CIDRs are what counts',
    clusters: [
      clusterOf(2, {
        clusterCidrs: prefixes('10.1.0.0/16'),
        serviceCidrs: [],
        globalCidrs: prefixes('242.2.0.0/16'),
      }),
    ],
    endpoints: [endpointOf(2, { subnets: prefixes('242.2.0.0/16') })],
    world: { settings: { globalCidrs: prefixes('242.1.0.0/16') } },
    accepted: { c2: ['242.2.0.0/16'] },
  },
  {
    name: 'with Globalnet pods behind a global CIDR are not for others',
    clusters: [clusterOf(2, { globalCidrs: prefixes('242.2.0.0/16') })],
    endpoints: [endpointOf(2, { subnets: prefixes('242.2.0.0/16', '10.2.0.0/16') })],
    accepted: { c2: ['242.2.0.0/16'] },
    problems: [['foreign-subnet', endpoint2, /10\.2\.0\.0\/16/]],
  },
  {
    name: 'nobody has what the node needs: everything, its own addresses, the overlay',
    clusters: [
      clusterOf(2, {
        clusterCidrs: prefixes('0.0.0.0/0', '172.16.0.0/12', '240.0.0.0/8', '127.0.0.0/16'),
        serviceCidrs: prefixes('::/0', 'fc00:18::/32'),
      }),
    ],
    endpoints: [],
    accepted: { c2: 'none' },
    problems: [['owned-subnet', 'clusters/c2', /0\.0\.0\.0\/0 overlaps .* and 1 more/]],
  },
  {
    name: 'of several Endpoints of a cluster the newest holds',
    clusters: [clusterOf(2)],
    endpoints: [
      second(50, { subnets: prefixes('10.2.5.0/24') }),
      second(70, { subnets: prefixes('10.2.7.0/24') }),
      second(60, { subnets: prefixes('10.2.6.0/24') }),
    ],
    accepted: { c2: ['10.2.7.0/24'] },
  },
  {
    name: 'of several Clusters of one id the oldest holds',
    clusters: [
      clusterOf(2),
      clusterOf(2, {
        meta: metaOn(brokerNamespace, 'other', 'c2', 9),
        clusterCidrs: prefixes('10.77.0.0/16'),
      }),
    ],
    endpoints: [endpointOf(2, { subnets: prefixes('10.2.0.0/16', '10.77.0.0/16') })],
    accepted: { c2: ['10.2.0.0/16'] },
    problems: [
      ['second-cluster', 'clusters/other', /clusters\/c2 .* is older/],
      ['foreign-subnet', endpoint2, /10\.77\.0\.0\/16/],
    ],
  },
  {
    name: 'a copied key: the older cluster keeps it, the other is ignored',
    clusters: [clusterOf(3), clusterOf(2)],
    endpoints: [endpointOf(2), endpointOf(3, { backendConfig: endpointOf(2).backendConfig })],
    accepted: { c2: all2, c3: 'none' },
    problems: [['copied-endpoint', endpoint3, /publicKey is that of cluster c2/]],
  },
  {
    name: 'our own key is nobody else’s, however old they are',
    clusters: [clusterOf(2)],
    endpoints: [
      endpointOf(2, { backendConfig: { ...endpointOf(2).backendConfig, publicKey: keyOf(1) } }),
    ],
    accepted: { c2: 'none' },
    problems: [['copied-endpoint', endpoint2, /publicKey is that of cluster c1/]],
  },
  {
    name: 'a subnet that is there twice is there once',
    clusters: [clusterOf(2)],
    endpoints: [endpointOf(2, { subnets: prefixes('10.2.0.0/16', '10.2.0.0/16') })],
    accepted: { c2: ['10.2.0.0/16'] },
  },
  {
    name: 'more subnets than anybody has are no cable',
    clusters: [clusterOf(2)],
    endpoints: [
      endpointOf(2, {
        subnets: Array.from({ length: remoteLimits.subnetsOfCluster + 1 }, (_, index) => ({
          family: 4,
          bytes: Uint8Array.of(10, 2, index >> 8, index & 0xff),
          bits: 32,
        })),
      }),
    ],
    accepted: { c2: 'none' },
    problems: [['too-many-subnets', endpoint2, /no room for its 1025 subnets/]],
  },
]

for (const { name, clusters, endpoints, world, accepted, problems = [] } of cases) {
  test(name, () => {
    const unpinged = endpoints.map(endpoint => ({ ...endpoint, healthCheckIps: noAddresses }))
    const found = findRemotes(worldWith({ ...world, clusters, endpoints: unpinged }))
    assert.deepEqual(
      Object.fromEntries(
        found.accepted.map(({ clusterId, endpoint }) => [
          clusterId,
          endpoint === undefined ? 'none' : texts(endpoint.subnets),
        ]),
      ),
      accepted,
    )
    assert.deepEqual(
      found.problems.map(({ code, object }) => [code, object]),
      problems.map(([code, object]) => [code, object]),
    )
    for (const [index, [, , words]] of problems.entries()) {
      assert.match(found.problems[index].message, words)
    }
  })
}

test('until the broker has been listed, what was remembered holds', () => {
  const remembered = { clusters: [clusterOf(4)], endpoints: [endpointOf(4)] }
  const ids = (changes: WorldChanges) =>
    findRemotes(worldWith({ remembered, ...changes })).accepted.map(({ clusterId }) => clusterId)
  assert.deepEqual(ids({}), ['c2', 'c3'])
  assert.deepEqual(ids({ broker: { clusters: unknown, endpoints: unknown } }), ['c4'])
  const half = { clusters: known([clusterOf(2)]), endpoints: unknown }
  assert.deepEqual(ids({ broker: half }), ['c4'])
})

test('our own Endpoint among what was remembered is no problem', () => {
  const ours = endpointOf(1, { meta: metaOn(brokerNamespace, 'c1-node', undefined, 1) })
  const remembered = { clusters: [clusterOf(4)], endpoints: [endpointOf(4), ours] }
  const broker = { clusters: unknown, endpoints: unknown }
  assert.deepEqual(findRemotes(worldWith({ remembered, broker })).problems, [])
})

test('an empty broker that has been listed has nobody', () => {
  const remembered = { clusters: [clusterOf(4)], endpoints: [endpointOf(4)] }
  assert.deepEqual(findRemotes(worldWith({ remembered, clusters: [], endpoints: [] })).accepted, [])
})

test('an address that is not the cluster’s own is not pinged, nor told to route agents', () => {
  const healthCheckIps = { ipv4: parseAddress('10.3.0.1'), ipv6: parseAddress('fd00:2::1') }
  const world = worldWith({ endpoints: [endpointOf(2, { healthCheckIps }), endpointOf(3)] })
  const { accepted, problems } = findRemotes(world)
  const kept = { ipv4: undefined, ipv6: healthCheckIps.ipv6 }
  assert.deepEqual(accepted[0].endpoint?.healthCheckIps, kept)
  assert.deepEqual(
    problems.map(({ code, object, message }) => [code, object, message]),
    [['foreign-health-check', endpoint2, 'what is in none of its subnets is not pinged: 10.3.0.1']],
  )
})

test('a copy of a Cluster does not have what is not its own', () => {
  const liar = clusterOf(3, { clusterCidrs: prefixes('10.2.0.0/16', '10.3.0.0/16') })
  const world = worldWith({ clusters: [clusterOf(2), liar] })
  const [, third] = findRemotes(world).accepted
  assert.deepEqual(texts(third.cluster.clusterCidrs), ['10.3.0.0/16'])
})

test('objects that cannot be read are problems, and no more', () => {
  const problem = { kind: 'Endpoint', namespace: brokerNamespace, name: 'bad', problem: 'broken' }
  const broker = {
    clusters: known([clusterOf(2)]),
    endpoints: known([endpointOf(2)], [problem]),
  }
  const { accepted, problems } = findRemotes(worldWith({ broker }))
  assert.deepEqual(
    accepted.map(({ clusterId }) => clusterId),
    ['c2'],
  )
  assert.deepEqual(problems, [
    { code: 'malformed-object', clusterId: '', object: 'endpoints/bad', message: 'broken' },
  ])
})

test('an address of this gateway is nobody’s subnet, unless it is in our own', () => {
  const flat = clusterOf(2, { clusterCidrs: prefixes('192.168.0.0/16'), serviceCidrs: [] })
  const at = (address: string) =>
    findRemotes(
      worldWith({
        clusters: [flat],
        endpoints: [endpointOf(2, { subnets: prefixes('192.168.0.0/16') })],
        self: { privateIps: { ipv4: parseAddress(address), ipv6: undefined } },
      }),
    ).accepted[0].endpoint?.subnets.length
  assert.equal(at('192.168.7.7'), 0)
  assert.equal(at('10.1.7.7'), 1)
})

test('more clusters than there are cables: the oldest count', () => {
  const most = remoteLimits.clusters
  const clusters = Array.from({ length: most + 20 }, (_, index) => {
    const clusterId = `k${index}`
    const clusterCidrs = [
      { family: 4 as const, bytes: Uint8Array.of(20, index >> 8, index, 0), bits: 24 },
    ]
    const meta = { ...metaOn(brokerNamespace, clusterId, clusterId, 1), createdAtMs: most - index }
    return clusterOf(2, { clusterId, meta, clusterCidrs, serviceCidrs: [] })
  })
  const { accepted, problems } = findRemotes(worldWith({ clusters, endpoints: [] }))
  assert.equal(accepted.length, most)
  assert.equal(accepted[0].clusterId, `k${most + 19}`)
  assert.deepEqual([...new Set(problems.map(({ code }) => code))], ['too-many-clusters'])
  assert.equal(problems.length, 20)
})

test('a Cluster with more subnets than anybody has keeps the first of them', () => {
  const most = remoteLimits.subnetsOfCluster
  const clusterCidrs = Array.from({ length: most + 1 }, (_, index) => {
    return { family: 4 as const, bytes: Uint8Array.of(20, index >> 8, index, 0), bits: 24 }
  })
  const clusters = [clusterOf(2, { clusterCidrs, serviceCidrs: [] })]
  const subnets = [clusterCidrs[0], clusterCidrs[most]]
  const endpoint = endpointOf(2, { subnets, healthCheckIps: noAddresses })
  const { accepted, problems } = findRemotes(worldWith({ clusters, endpoints: [endpoint] }))
  assert.deepEqual(accepted[0].endpoint?.subnets, [clusterCidrs[0]])
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['too-many-subnets', 'foreign-subnet'],
  )
})
