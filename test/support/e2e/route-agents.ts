// Route agents in the spaces of nodes, each with an API server of its cluster that holds Nodes and
// Endpoints; and what a node's network looks like, as text to compare.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { collect, ended } from '../../../src/lab/process.ts'
import { eventually } from '../eventually.ts'
import { type FakeApiserver, startFakeApiserver } from '../fake-apiserver.ts'
import type { FakeKind } from '../fake-objects.ts'
import type { Spaces } from '../namespaces.ts'
import { kubeconfigPath, podVariables, relayApi } from './api-relay.ts'
import { hawser } from './gateway.ts'
import { type Cluster, type ClusterNode, cableDevice, subnetsOf } from './nodes.ts'

export const namespace = 'submariner-operator'
const node: FakeKind = place('', 'v1', 'nodes', 'Node', false)
const endpoint: FakeKind = place('submariner.io', 'v1', 'endpoints', 'Endpoint')
export const routeAgent: FakeKind = place('submariner.io', 'v1', 'routeagents', 'RouteAgent')

/** In the /run of the space. */
const pidFile = '/run/route-agent.pid'

function place(
  group: string,
  version: string,
  plural: string,
  kind: string,
  namespaced = true,
): FakeKind {
  return { group, version, plural, kind, namespaced }
}

/** An API server that knows the nodes of a cluster. */
export async function startApi(context: TestContext, cluster: Cluster): Promise<FakeApiserver> {
  const server = await startFakeApiserver(context, { kinds: [node, endpoint, routeAgent] })
  for (const { space, address, address6 } of cluster.nodes) {
    const addresses = [address, address6].map(ip => ({ type: 'InternalIP', address: ip }))
    server.objects.create(node, undefined, { metadata: { name: space }, status: { addresses } })
  }
  return server
}

/** The Endpoint of a cluster whose gateway is on that node. */
export function publishEndpoint(
  server: FakeApiserver,
  gateway: ClusterNode,
  changes: Readonly<Record<string, unknown>> = {},
): void {
  const { id } = gateway.cluster
  const spec = {
    cluster_id: id,
    cable_name: `submariner-cable-${id}-gateway`,
    hostname: gateway.space,
    subnets: subnetsOf(gateway.cluster),
    private_ip: gateway.address,
    privateIPs: [gateway.address, gateway.address6],
    public_ip: '',
    nat_enabled: false,
    backend: 'wireguard',
    backend_config: { 'interface-name': cableDevice },
    ...changes,
  }
  const name = `${id}-submariner-cable-${id}-gateway`
  const isThere = server.objects
    .select(endpoint, { namespace, labelSelector: '', fieldSelector: '' })
    .some(object => object.metadata.name === name)
  if (isThere)
    server.objects.update(endpoint, namespace, name, { metadata: { name }, spec }, 'main')
  else server.objects.create(endpoint, namespace, { metadata: { name }, spec })
  server.deliver()
}

export function withdrawEndpoint(server: FakeApiserver, { id }: Cluster): void {
  server.objects.delete(endpoint, namespace, `${id}-submariner-cable-${id}-gateway`)
  server.deliver()
}

export function createEndpoint(server: FakeApiserver, name: string, spec: unknown): void {
  server.objects.create(endpoint, namespace, { metadata: { name }, spec })
  server.deliver()
}

/** Half a dozen programs of Node start at once. */
export const patienceMs = 120_000

export class RouteAgent {
  readonly #spaces: Spaces
  readonly #space: string
  readonly #output: () => { stdout: Buffer; stderr: Buffer }
  readonly #ended: Promise<number>

  constructor(spaces: Spaces, { space, cluster }: ClusterNode, as: 'pod' | 'person' = 'pod') {
    this.#spaces = spaces
    this.#space = space
    const options = [
      ...(as === 'pod' ? [] : ['--kubeconfig', kubeconfigPath]),
      ...['--node-name', space, '--hostname', space],
      ...['--cluster-id', cluster.id, '--cluster-cidr', cluster.podCidrs.join(',')],
      ...['--service-cidr', cluster.serviceCidr],
    ]
    const script = `echo $$ >${pidFile}; exec "$0" route-agent "$@"`
    const child = spaces.start(space, [
      ...['env', ...podVariables, 'sh', '-c', script, hawser, ...options],
    ])
    this.#output = collect(child)
    this.#ended = ended(child)
  }

  get log(): string {
    return this.#output().stderr.toString()
  }

  async says(text: string | RegExp): Promise<void> {
    await eventually(
      () => (typeof text === 'string' ? this.log.includes(text) : text.test(this.log)),
      () => `${this.#space} did not say ${text}:\n${this.log}`,
      patienceMs,
    )
  }

  /** By a signal to the program itself: nsenter does not hand them on. */
  async stop(): Promise<void> {
    await this.#spaces.mustRun(this.#space, ['sh', '-c', `kill -TERM "$(cat ${pidFile})"`])
    assert.equal(await this.#ended, 0, this.log)
  }
}

/** Starts the agents of nodes whose API is this. */
export async function startAgents(
  context: TestContext,
  spaces: Spaces,
  server: FakeApiserver,
  nodes: readonly ClusterNode[],
  as: 'pod' | 'person' = 'pod',
): Promise<RouteAgent[]> {
  await Promise.all(nodes.map(({ space }) => relayApi(context, spaces, space, server)))
  return nodes.map(each => new RouteAgent(spaces, each, as))
}

export async function uninstall(spaces: Spaces, space: string): Promise<void> {
  await spaces.mustRun(space, [hawser, 'route-agent', '--uninstall'])
}

const dump = `
ip -N -j -d link show | sed 's/"operstate":"[A-Z]*"//g'
ip -N -j address show
ip -N route show table all; ip -N -6 route show table all
ip -N rule; ip -N -6 rule
bridge fdb show | sort
nft list ruleset
cd /proc/sys/net; for f in ipv4/conf/*/* ipv6/conf/*/* ipv4/ip_forward; do
  case $f in */stable_secret|*/mc_forwarding) ;; *) echo "$f $(cat $f)" ;; esac
done
`

/** All that an agent could leave behind on a node; neighbours and counters aside. */
export async function dumpNode(spaces: Spaces, space: string): Promise<string> {
  return await spaces.mustRun(space, ['sh', '-ec', dump])
}
