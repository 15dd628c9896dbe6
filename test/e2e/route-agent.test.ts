// Route agents on real nodes (test/support/e2e/nodes.ts): packets of pods, services and nodes find the
// other cluster and keep their source, whoever set up the other nodes; what is broken is repaired; a
// gateway moves; and a node that is left is as it was before.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  type ClusterNode,
  c1,
  c2,
  cableDevice,
  gw1,
  gw2,
  joinTo,
  makeNodes,
  service,
  startCable,
  subnetsOf,
  w1,
  w2,
  w3,
} from '../support/e2e/nodes.ts'
import {
  createEndpoint,
  dumpNode,
  namespace,
  patienceMs,
  publishEndpoint,
  RouteAgent,
  routeAgent,
  startAgents,
  startApi,
  uninstall,
  withdrawEndpoint,
} from '../support/e2e/route-agents.ts'
import { exchangeTcp, ping, pingUntilAnswered, startEcho } from '../support/e2e/traffic.ts'
import { seenAs, startWhoami } from '../support/e2e/whoami.ts'
import { eventually } from '../support/eventually.ts'
import type { Spaces } from '../support/namespaces.ts'

const whoamiPort = 7001

/** Both clusters with agents on these nodes, and joined. */
async function joined(context: TestContext, nodes: readonly ClusterNode[]) {
  const spaces = await makeNodes(context)
  const [api1, api2] = await Promise.all([startApi(context, c1), startApi(context, c2)])
  for (const api of [api1, api2]) {
    publishEndpoint(api, gw1)
    publishEndpoint(api, gw2)
  }
  const gateways = await Promise.all([startCable(spaces, gw1, gw2), startCable(spaces, gw2, gw1)])
  const of = (id: string) => nodes.filter(({ cluster }) => cluster.id === id)
  const agents = [
    ...(await startAgents(context, spaces, api1, of('c1'))),
    ...(await startAgents(context, spaces, api2, of('c2'))),
  ]
  await Promise.all(agents.map(agent => agent.says(/(gateway|worker): routes to/)))
  return { spaces, api1, api2, gateways, agents }
}

/** A table without routes is an error for `ip`, and nothing here. */
async function state(spaces: Spaces, space: string, command: string): Promise<string> {
  return await spaces.mustRun(space, ['sh', '-c', `${command}\n:`])
}

/** Waits until what a command prints on a node matches. */
async function untilShown(spaces: Spaces, space: string, command: string, pattern: RegExp) {
  let shown = ''
  await eventually(
    async () => {
      shown = await state(spaces, space, command)
      return pattern.test(shown)
    },
    () => `${space}: ${command}\n${shown}`,
    patienceMs,
  )
}

const all = [gw1, w1, w2, gw2, w3]

test('packets find the other cluster from every pod and node, and keep their source', async context => {
  const { spaces } = await joined(context, all)
  await Promise.all([startWhoami(spaces, w3.pod, whoamiPort), startEcho(spaces, w3.pod)])
  for (const host of [w3.podAddress, w3.podAddress6, gw2.podAddress]) {
    await pingUntilAnswered(spaces, w1.pod, host)
    await ping(spaces, w2.pod, host)
  }
  await ping(spaces, w3.pod, w2.podAddress)
  await exchangeTcp(spaces, w1.pod, w3.podAddress, 2_000_000)
  await exchangeTcp(spaces, w1.pod, w3.podAddress6, 200_000)

  const rows = [
    // Walk 1: pod to pod.
    [w1.pod, w3.podAddress, whoamiPort, w1.podAddress],
    [gw1.pod, w3.podAddress, whoamiPort, gw1.podAddress],
    [w2.pod, w3.podAddress6, whoamiPort, w2.podAddress6],
    // Walk 2: pod to a service.
    [w1.pod, service.address, service.port, w1.podAddress],
    [gw1.pod, service.address, service.port, gw1.podAddress],
    // Walk 3: nodes, who are seen by their address among the pods.
    [w1.space, w3.podAddress, whoamiPort, w1.cniAddress],
    [w1.space, w3.podAddress6, whoamiPort, w1.cniAddress6],
    [w1.space, service.address, service.port, w1.cniAddress],
    [gw1.space, w3.podAddress, whoamiPort, gw1.cniAddress],
    [gw1.space, w3.podAddress6, whoamiPort, gw1.cniAddress6],
  ] as const
  for (const [from, host, port, expected] of rows) {
    assert.equal(await seenAs(spaces, from, host, port), expected, `${from} to ${host}:${port}`)
  }
})

test('what the kernel shows is what stock agents write', async context => {
  const { spaces, api1 } = await joined(context, [gw1, w1])
  const routes = async (space: string, what: string) =>
    (await state(spaces, space, `ip route show ${what}`)).trim().split(' \n').sort()
  assert.deepEqual(await routes(w1.space, 'dev vx-submariner proto 4'), [
    '10.102.0.0/16 via 240.31.1.1',
    '10.2.0.0/16 via 240.31.1.1',
  ])
  assert.deepEqual(await routes(gw1.space, 'table 150'), [
    '10.102.0.0/16 dev submariner proto static scope link src 10.1.1.1',
    '10.2.0.0/16 dev submariner proto static scope link src 10.1.1.1',
  ])
  assert.match(await state(spaces, gw1.space, 'ip rule'), /^150:\tfrom all lookup 150\s*$/m)
  assert.doesNotMatch(await state(spaces, w1.space, 'ip rule'), /lookup 150/)
  const device = await state(spaces, w1.space, 'ip -d link show vx-submariner')
  assert.match(
    device,
    /mtu 1450 .*02:00:ac:1f:01:02 .* id 100 remote 172\.31\.1\.1 .*dstport 4800/s,
  )

  // Each minute and at once: the agent's own object.
  const written = () =>
    api1.objects.select(routeAgent, { namespace, labelSelector: '', fieldSelector: '' })
  await eventually(() => written().length === 2)
  const [ofGateway, ofWorker] = written().map(object => object['status'] as Record<string, unknown>)
  assert.deepEqual(
    (ofGateway['remoteEndpoints'] as Record<string, unknown>[]).map(
      ({ status, statusMessage, spec }) => [
        status,
        statusMessage,
        (spec as Record<string, unknown>)['cluster_id'],
      ],
    ),
    [['none', 'Health check is not performed on gateway nodes', 'c2']],
  )
  assert.equal(ofWorker['statusFailure'], '')
})

test('a worker and a gateway that stock agents set up, among ours', async context => {
  const { spaces } = await joined(context, [gw1, w1, w3])
  await startWhoami(spaces, w3.pod, whoamiPort)
  // Route agents of 0.24.0 write this: a MAC by chance, no source address, nothing learned.
  await spaces.configure(w2.space, [
    'link add vx-submariner type vxlan id 100 remote 172.31.1.1 dstport 4800 nolearning',
    'link set vx-submariner mtu 1450 up',
    'address add 240.31.1.3/8 dev vx-submariner',
    ...subnetsOf(c2)
      .filter(subnet => !subnet.includes(':'))
      .map(subnet => `route add ${subnet} via 240.31.1.1 dev vx-submariner proto 4`),
  ])
  const loose =
    'cd /proc/sys/net/ipv4/conf; for i in cni0 eth0 vx-submariner; do echo 2 >$i/rp_filter; done'
  await state(spaces, w2.space, loose)
  await state(spaces, w2.space, stockRules('10.1.0.0/16', '10.2.0.0/16', w2.cniAddress))
  // And on the gateway of c2: entries for all nodes, the zero MAC alone.
  await spaces.configure(gw2.space, [
    'link add vx-submariner type vxlan id 100 dstport 4800 nolearning',
    'link set vx-submariner mtu 1450 up',
    'address add 240.31.2.1/8 dev vx-submariner',
    'rule add pref 150 table 150',
    `route add 10.1.0.0/16 dev ${cableDevice} table 150 proto 4 scope link src ${gw2.cniAddress}`,
  ])
  await state(
    spaces,
    gw2.space,
    `bridge fdb append 00:00:00:00:00:00 dev vx-submariner dst ${w3.address} self permanent`,
  )
  await state(
    spaces,
    gw2.space,
    `${loose}; echo 1 >vx-submariner/forwarding; echo 1 >${cableDevice}/forwarding`,
  )
  await state(spaces, gw2.space, stockRules('10.2.0.0/16', '10.1.0.0/16', gw2.cniAddress))

  await pingUntilAnswered(spaces, w2.pod, w3.podAddress)
  await ping(spaces, w3.pod, w2.podAddress)
  await ping(spaces, w1.pod, w3.podAddress)
  assert.equal(await seenAs(spaces, w2.pod, w3.podAddress, whoamiPort), w2.podAddress)
  assert.equal(await seenAs(spaces, w1.pod, w3.podAddress, whoamiPort), w1.podAddress)
  assert.equal(await seenAs(spaces, w2.space, w3.podAddress, whoamiPort), w2.cniAddress)
})

/** As a shell command: the NAT rules of a stock agent, by nftables. */
function stockRules(own: string, remote: string, node: string): string {
  return `nft -f - <<'END'
    table ip submariner-ipv4 {
      chain SUBMARINER-POSTROUTING {
        type nat hook postrouting priority 90;
        oifname vx-submariner ip saddr 240.0.0.0/8 snat to ${node}
        ip saddr ${own} ip daddr ${remote} snat to ip saddr
        ip saddr ${remote} ip daddr ${own} snat to ip saddr
      }
    }
END`
}

test('what somebody deletes comes back, and a bad object takes nothing along', async context => {
  const { spaces, api1, agents } = await joined(context, [gw1, w1])
  const [gateway, worker] = agents
  const show = 'ip route; ip route show table 150; ip rule; ip link; nft list ruleset'
  const before = await Promise.all([gw1, w1].map(({ space }) => state(spaces, space, show)))
  const same = async () => {
    const now = await Promise.all([gw1, w1].map(({ space }) => state(spaces, space, show)))
    return now.join() === before.join()
  }
  await state(spaces, w1.space, 'ip route del 10.2.0.0/16')
  await state(spaces, gw1.space, 'ip route flush table 150; ip rule del pref 150')
  await eventually(same, () => '', patienceMs)
  await state(spaces, w1.space, 'ip link del vx-submariner')
  await untilShown(spaces, w1.space, 'ip route', /10\.2\.0\.0\/16 via 240\.31\.1\.1/)
  // A table of nftables is looked at every ten seconds, or when anything else happens.
  await state(
    spaces,
    w1.space,
    'nft delete table inet hawser-route-agent; ip route del 10.2.0.0/16',
  )
  await untilShown(spaces, w1.space, 'nft list ruleset', /hawser-route-agent/)

  createEndpoint(api1, 'c9-broken', { cluster_id: 'c9', subnets: ['nonsense'] })
  await worker.says('c9-broken')
  publishEndpoint(api1, gw2, { subnets: ['10.1.0.0/16', ...subnetsOf(c2)] })
  await worker.says(/10\.1\.0\.0\/16 overlaps with this cluster's pods/)
  await gateway.says(/10\.1\.0\.0\/16 overlaps with this cluster's pods/)
  assert.match(await state(spaces, w1.space, 'ip route'), /10\.2\.0\.0\/16 via 240\.31\.1\.1/)
  assert.doesNotMatch(await state(spaces, w1.space, 'ip route'), /10\.1\.0\.0\/16/)
})

test('the API goes away: what is there stays, also for an agent that starts without it', async context => {
  const { spaces, api1, agents } = await joined(context, [gw1, w1, gw2, w3])
  await pingUntilAnswered(spaces, w1.pod, w3.podAddress)
  const show = 'ip route; ip route show table 150; ip rule; ip -d link show vx-submariner'
  const before = await state(spaces, w1.space, show)
  await api1.close()
  await agents[1].stop()
  const cold = new RouteAgent(spaces, w1)
  await cold.says('serves node')
  await ping(spaces, w1.pod, w3.podAddress)
  assert.equal(await state(spaces, w1.space, show), before)
  await api1.open()
  await cold.says('worker: routes to')
  assert.equal(await state(spaces, w1.space, show), before)
})

test('the gateway moves to another node and back, and leaves nothing where it was', async context => {
  const { spaces, api1, gateways } = await joined(context, all)
  const [first, far] = gateways
  await startWhoami(spaces, w3.pod, whoamiPort)
  await pingUntilAnswered(spaces, w2.pod, w3.podAddress)
  const shownBefore = await state(spaces, gw1.space, 'ip rule; ip route show table 150')
  // Left behind by a gateway with VXLAN cables that died.
  await spaces.configure(gw1.space, [
    'rule add pref 100 table 100',
    'route add 10.77.0.0/16 dev eth0 table 100',
  ])

  await first.end()
  const second = await startCable(spaces, w1, gw2)
  await joinTo(far, gw2, w1)
  publishEndpoint(api1, w1)
  await untilShown(spaces, w1.space, 'ip route show table 150', /10\.2\.0\.0\/16 dev submariner/)
  await untilShown(spaces, w2.space, 'ip route', /10\.2\.0\.0\/16 via 240\.31\.1\.2/)
  await untilShown(spaces, gw1.space, 'ip route', /10\.2\.0\.0\/16 via 240\.31\.1\.2/)
  assert.doesNotMatch(await state(spaces, gw1.space, 'ip rule'), /lookup 1[05]0/)
  await untilShown(spaces, gw1.space, 'ip route show table 150; ip route show table 100', /^$/)
  for (const { pod, podAddress } of [gw1, w1, w2]) {
    await pingUntilAnswered(spaces, pod, w3.podAddress)
    assert.equal(await seenAs(spaces, pod, w3.podAddress, whoamiPort), podAddress)
  }

  await second.end()
  await startCable(spaces, gw1, gw2)
  await joinTo(far, gw2, gw1)
  publishEndpoint(api1, gw1)
  await untilShown(spaces, w1.space, 'ip route', /10\.2\.0\.0\/16 via 240\.31\.1\.1/)
  let shown = ''
  await eventually(
    async () => {
      shown = await state(spaces, gw1.space, 'ip rule; ip route show table 150')
      return shown === shownBefore
    },
    () => `${shown}\nin place of\n${shownBefore}`,
    patienceMs,
  )
  for (const { pod } of [gw1, w1, w2]) await pingUntilAnswered(spaces, pod, w3.podAddress)

  withdrawEndpoint(api1, c1)
  await untilShown(spaces, w1.space, 'ip link', /^(?!.*vx-submariner)/s)
  await untilShown(spaces, gw1.space, 'ip rule', /^(?!.*lookup 150)/s)
})

test('a node that is left is as it was before', async context => {
  const spaces = await makeNodes(context)
  const api = await startApi(context, c1)
  await spaces.configure(gw1.space, [
    `link add ${cableDevice} type veth peer name far`,
    `link set ${cableDevice} up`,
  ])
  const nodes = [gw1, w1]
  const before = await Promise.all(nodes.map(({ space }) => dumpNode(spaces, space)))
  publishEndpoint(api, gw1)
  publishEndpoint(api, gw2)
  const agents = await startAgents(context, spaces, api, nodes, 'person')
  for (const agent of agents) await agent.says(/(gateway|worker): routes to c2/)
  // Once more the other way round, so that both nodes have been everything.
  publishEndpoint(api, w1)
  // Said when all of it is done.
  await agents[0].says('worker: routes to c2')
  await agents[1].says('gateway: routes to c2')
  const during = await Promise.all(nodes.map(({ space }) => dumpNode(spaces, space)))
  for (const agent of agents) await agent.stop()
  for (const [index, { space }] of nodes.entries()) {
    // A signal leaves everything, so that a new version costs nothing.
    assert.equal(await dumpNode(spaces, space), during[index])
    assert.notEqual(during[index], before[index])
    await uninstall(spaces, space)
    assert.equal(await dumpNode(spaces, space), before[index])
    // Again, with nothing there.
    await uninstall(spaces, space)
    assert.equal(await dumpNode(spaces, space), before[index])
  }
})
