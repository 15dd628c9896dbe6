import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linkScript } from '../../../src/lab/links.ts'
import {
  addressesOf,
  findSpace,
  nodesOf,
  planLab,
  podsOf,
  spacesOf,
} from '../../../src/lab/topology.ts'
import { parseAddress, parsePrefix } from '../../../src/net/address.ts'
import { GatewayError } from '../../../src/net/errors.ts'

const options = { name: 'test', driver: 'wireguard', clusters: 20 } as const

test('twenty clusters have names, addresses and spaces of their own', () => {
  const plan = planLab(options)
  const names = plan.clusterPlans.map(({ name }) => name)
  assert.deepEqual(names.slice(0, 6), ['east', 'west', 'north', 'south', 'c5', 'c6'])
  assert.equal(new Set(names).size, 20)
  const spaces = spacesOf(plan)
  assert.equal(spaces.length, 20 * 4 + 2)
  assert.equal(new Set(spaces).size, spaces.length)
  const addresses = plan.clusterPlans.flatMap(cluster => [
    ...nodesOf(cluster).flatMap(node => addressesOf(cluster, node)),
    ...podsOf(cluster).flatMap(({ address, address6 }) => [address, address6]),
  ])
  assert.equal(new Set(addresses).size, addresses.length)
  for (const address of addresses) assert.ok(parseAddress(address).bytes.length > 0)
})

test('pods lie in the prefixes of their cluster and of no other', () => {
  const { clusterPlans } = planLab(options)
  for (const cluster of clusterPlans)
    for (const pod of podsOf(cluster)) {
      const v4 = clusterPlans.filter(({ podCidr }) => contains(podCidr, pod.address))
      const v6 = clusterPlans.filter(({ podCidr6 }) => contains(podCidr6, pod.address6))
      assert.deepEqual([v4, v6], [[cluster], [cluster]])
    }
})

test('what route agents make of the addresses of nodes and gateways is theirs alone', () => {
  for (const cluster of planLab(options).clusterPlans) {
    const { gateway, worker, wireAddress, wireAddress6 } = cluster
    const tails = [wireAddress6, gateway.address6, worker.address6].map(address =>
      parseAddress(address).bytes.subarray(-4).join('.'),
    )
    const tails4 = [wireAddress, gateway.address, worker.address].map(address =>
      parseAddress(address).bytes.subarray(-3).join('.'),
    )
    assert.deepEqual([new Set(tails).size, new Set(tails4).size], [3, 3])
  }
})

test('no two prefixes of pods and Services overlap, and node subnets lie in those of pods', () => {
  const { clusterPlans } = planLab(options)
  const prefixes = clusterPlans.flatMap(({ podCidr, podCidr6, serviceCidr, serviceCidr6 }) => [
    ...[podCidr, podCidr6, serviceCidr, serviceCidr6],
  ])
  for (const prefix of prefixes) {
    const first = prefix.replace(/\/\d+$/, '')
    const holders = prefixes.filter(
      other => other.includes(':') === first.includes(':') && contains(other, first),
    )
    assert.deepEqual(holders, [prefix])
  }
  for (const cluster of clusterPlans)
    for (const node of nodesOf(cluster)) {
      assert.ok(contains(cluster.podCidr, node.podCidr.replace(/\/\d+$/, '')))
      assert.ok(contains(cluster.podCidr6, node.podCidr6.replace(/\/\d+$/, '')))
    }
})

test('the first clusters have the addresses that the README names', () => {
  const [east, west] = planLab({ ...options, clusters: 2 }).clusterPlans
  assert.equal(east.podCidr, '10.10.0.0/16')
  assert.equal(east.podA.address, '10.10.1.10')
  assert.equal(west.podB.address, '10.20.2.10')
  assert.equal(west.podB.address6, 'fd00:10:2:2::10')
  assert.equal(west.wireAddress, '192.0.2.2')
  assert.equal(east.serviceCidr, '10.11.0.0/16')
  assert.equal(west.serviceCidr6, 'fd00:11:2::/112')
})

test('places are found by name, unknown ones named with what there is', () => {
  const plan = planLab({ ...options, clusters: 2 })
  assert.equal(findSpace(plan, 'east/gateway'), 'east-gateway')
  assert.equal(findSpace(plan, 'west/pod-b'), 'west-pod-b')
  assert.equal(findSpace(plan, 'broker'), 'broker')
  assert.equal(findSpace(plan, 'wire'), 'wire')
  for (const where of ['north/gateway', 'east', 'east/', 'east/pod-c', 'east/pod-a/x', ''])
    assert.throws(() => findSpace(plan, where), isUsageError)
})

test('bad names and sizes are usage errors', () => {
  for (const name of ['', 'A', '-a', 'a-', 'a_b', '../x', 'a'.repeat(33)])
    assert.throws(() => planLab({ ...options, name }), isUsageError)
  for (const clusters of [0, 1, 21, 2.5, Number.NaN])
    assert.throws(() => planLab({ ...options, clusters }), isUsageError)
})

test('each pair of devices is made once and each space is configured', () => {
  const plan = planLab({ ...options, clusters: 3 })
  const script = linkScript(plan)
  assert.equal(script.match(/^link add .* type veth /gm)?.length, 3 * 4 + 1)
  for (const space of spacesOf(plan)) assert.match(script, new RegExp(`^ip -n ${space} `, 'm'))
})

function contains(prefix: string, address: string): boolean {
  const { bits, bytes } = parsePrefix(prefix)
  return parsePrefix(`${address}/${bits}`).bytes.every((byte, i) => byte === bytes[i])
}

function isUsageError(error: unknown): boolean {
  return error instanceof GatewayError && error.exit === 2
}
