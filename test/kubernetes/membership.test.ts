// deploy-broker, join, show, leave and evict as people run them, on real API servers: what they leave there,
// what they print, and that no secret is among it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { findServiceCidrs } from '../../src/broker/discovery.ts'
import { parseBrokerInfo } from '../../src/kube/broker-info.ts'
import { formatPrefix } from '../../src/net/address.ts'
import { eventually } from '../support/eventually.ts'
import { longLivedToken } from '../support/kubernetes/accounts.ts'
import type { ApiServer } from '../support/kubernetes/api-server.ts'
import { sharedServers } from '../support/kubernetes/servers.ts'
import { temporaryDirectory } from '../support/temporary.ts'
import { clusterObject, endpointObject } from '../support/trust/world.ts'

const servers = sharedServers(['broker', 'east', 'west'])

const program = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command line, as a person would. */
async function hawser(...args: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const out = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      out[name] += text
    })
  }
  const code = await new Promise<number | null>(resolve => child.on('close', resolve))
  return { code, ...out }
}

async function ok(...args: readonly string[]): Promise<Outcome> {
  const outcome = await hawser(...args)
  assert.equal(outcome.code, 0, `hawser ${args.join(' ')}\n${outcome.stderr}`)
  return outcome
}

async function create(server: ApiServer, path: string, body: object): Promise<void> {
  const { status, text } = await server.raw('POST', path, { body })
  assert.equal(status, 201, text)
}

async function exists(server: ApiServer, path: string): Promise<boolean> {
  const { status } = await server.raw('GET', path)
  return status === 200
}

async function addNode(server: ApiServer, name: string, podCidr: string): Promise<void> {
  await create(server, '/api/v1/nodes', {
    metadata: { name },
    spec: { podCIDR: podCidr, podCIDRs: [podCidr] },
  })
}

const brokerPath = '/api/v1/namespaces/submariner-k8s-broker'
const brokerObjects = '/apis/submariner.io/v1/namespaces/submariner-k8s-broker'
const localObjects = '/apis/submariner.io/v1/namespaces/submariner-operator'

interface Clusterset {
  readonly broker: ApiServer
  readonly file: string
  /** What the commands have printed. */
  readonly said: string[]
}

async function deploy(context: TestContext): Promise<Clusterset> {
  const broker = servers.get('broker')
  const file = join(temporaryDirectory(context), 'broker-info.subm')
  const { kubeconfig } = broker
  const args = ['deploy-broker', '--kubeconfig', kubeconfig, '--file', file]
  const first = await ok(...args)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const text = readFileSync(file, 'utf8')
  const second = await ok(...args)
  assert.equal(readFileSync(file, 'utf8'), text)
  return { broker, file, said: [first, second].map(({ stdout, stderr }) => stdout + stderr) }
}

/** Tokens and the PSK, as they are and in base64. */
async function secretsOf(server: ApiServer, namespace: string): Promise<readonly string[]> {
  const { text } = await server.raw('GET', `/api/v1/namespaces/${namespace}/secrets`)
  const { items } = JSON.parse(text) as {
    readonly items: readonly { readonly data?: Readonly<Record<string, string>> }[]
  }
  return items.flatMap(({ data = {} }) =>
    ['token', 'psk', 'private-key'].flatMap(name => {
      const value = data[name]
      return value === undefined ? [] : [value, Buffer.from(value, 'base64').toString()]
    }),
  )
}

test('two clusters join by a file, are shown, and one leaves while the other is evicted', async context => {
  const { broker, file, said } = await deploy(context)
  const run = async (...args: readonly string[]) => {
    const outcome = await ok(...args)
    said.push(outcome.stdout + outcome.stderr)
    return outcome
  }
  const [east, west] = [servers.get('east'), servers.get('west')]
  await addNode(east, 'east-1', '10.11.0.0/24')
  await addNode(west, 'west-1', '10.12.0.0/24')
  for (const [id, server] of Object.entries({ east, west })) {
    const args = ['join', file, '--kubeconfig', server.kubeconfig, '--clusterid', id]
    const { stderr } = await run(...args)
    assert.match(stderr, new RegExp(`${server.serviceCidr} \\(ServiceCIDR objects\\)`))
    await run(...args)
  }
  await checkMember(east, broker)
  await checkShow(east, run)
  const secrets = [
    ...(await secretsOf(broker, 'submariner-k8s-broker')),
    ...(await secretsOf(east, 'submariner-operator')),
  ]
  assert.ok(secrets.length > 8)

  await run('leave', '--kubeconfig', east.kubeconfig)
  await checkGone(broker, 'east')
  assert.ok(await exists(broker, `${brokerPath}/serviceaccounts/cluster-west`))
  await checkClean(east, 'east-1')
  await run('leave', '--kubeconfig', east.kubeconfig)

  await run('broker', 'evict', 'west', '--kubeconfig', broker.kubeconfig)
  await checkGone(broker, 'west')
  // It comes back to life, and finds that it is not welcome any more.
  await run('leave', '--kubeconfig', west.kubeconfig)
  await checkClean(west, 'west-1')
  for (const secret of secrets) assert.ok(!said.join('\n').includes(secret), 'a secret was printed')
})

/** What join leaves: settings that kubectl shows, a token with the rights of one member. */
async function checkMember(east: ApiServer, broker: ApiServer): Promise<void> {
  const settings = JSON.parse(
    await east.kubectl([
      'get',
      'submariner',
      'submariner',
      '-n',
      'submariner-operator',
      '-o',
      'json',
    ]),
  )
  assert.equal(settings.spec.clusterID, 'east')
  assert.equal(settings.spec.clusterCIDR, '10.11.0.0/24')
  assert.ok(!('brokerK8sApiServerToken' in settings.spec) && !('ceIPSecPSK' in settings.spec))
  assert.equal(settings.metadata.annotations['hawser.io/broker-trust'], 'enforced')
  const node = JSON.parse(await east.kubectl(['get', 'node', 'east-1', '-o', 'json']))
  assert.equal(node.metadata.labels['submariner.io/gateway'], 'true')
  const secret = JSON.parse(
    await east.kubectl([
      ...['get', 'secret', 'submariner-broker-secret', '-n', 'submariner-operator', '-o', 'json'],
    ]),
  )
  const token = Buffer.from(secret.data.token, 'base64').toString()
  const post = async (path: string, body: object) =>
    (await broker.raw('POST', `${brokerObjects}/${path}`, { token, body })).status
  // The server comes to know roles and policies in its own time.
  await eventually(async () => (await post('clusters?dryRun=All', clusterObject('east'))) === 201)
  await eventually(async () => (await post('clusters?dryRun=All', clusterObject('west'))) === 403)
  assert.equal(await post('clusters', clusterObject('east')), 201)
  assert.equal(await post('endpoints', endpointObject('east')), 201)
  assert.equal(await post('endpoints?dryRun=All', endpointObject('west')), 403)
  const others = await broker.raw('GET', `${brokerPath}/secrets/cluster-west-token`, { token })
  assert.equal(others.status, 403)
}

async function checkShow(
  east: ApiServer,
  run: (...args: readonly string[]) => Promise<Outcome>,
): Promise<void> {
  const [local, remote] = [endpointObject('east'), endpointObject('west')]
  await create(east, `${localObjects}/gateways`, {
    apiVersion: 'submariner.io/v1',
    kind: 'Gateway',
    metadata: { name: 'east-1', namespace: 'submariner-operator' },
    status: {
      ...{ version: '0.1.0', haStatus: 'active', statusFailure: '' },
      localEndpoint: local['spec'],
      connections: [{ status: 'connected', statusMessage: '', endpoint: remote['spec'] }],
    },
  })
  const { stdout } = await run('show', 'connections', '--kubeconfig', east.kubeconfig)
  assert.match(stdout, /^GATEWAY .*\nnode-1 +west .* wireguard .* connected /)
  const json = await run('show', 'gateways', '--kubeconfig', east.kubeconfig, '-o', 'json')
  assert.deepEqual(JSON.parse(json.stdout).items[0].connections, { established: 1, total: 1 })
}

/** Nothing of the member is left on the broker; what belonged to its account is collected. */
async function checkGone(broker: ApiServer, id: string): Promise<void> {
  const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/submariner-k8s-broker'
  const paths = [
    `${brokerPath}/serviceaccounts/cluster-${id}`,
    `${brokerPath}/secrets/cluster-${id}-token`,
    `${rbac}/roles/cluster-${id}`,
    `${rbac}/rolebindings/cluster-${id}-submariner-k8s-broker-cluster`,
    `${brokerObjects}/clusters/${id}`,
    `${brokerObjects}/endpoints/${id}-submariner-cable-${id}-gateway`,
  ]
  for (const path of paths) await goneAt(broker, path)
}

async function checkClean(server: ApiServer, nodeName: string): Promise<void> {
  const node = JSON.parse(await server.kubectl(['get', 'node', nodeName, '-o', 'json']))
  assert.ok(!('submariner.io/gateway' in (node.metadata.labels ?? {})))
  assert.ok(!('hawser.io/labelled-by-join' in (node.metadata.annotations ?? {})))
  const gone = [
    '/api/v1/namespaces/submariner-operator',
    '/apis/rbac.authorization.k8s.io/v1/clusterroles/hawser-gateway',
    '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/submariners.submariner.io',
  ]
  for (const path of gone) await goneAt(server, path)
}

/** Controllers do it, in their own time. */
async function goneAt(server: ApiServer, path: string): Promise<void> {
  const isGone = async () => !(await exists(server, path))
  await eventually(isGone, () => path, 120_000)
}

test('what cannot be is said in a line, with what to do, and a code', async context => {
  const { broker, file } = await deploy(context)
  const { brokerUrl } = parseBrokerInfo(readFileSync(file, 'utf8'))
  assert.equal(brokerUrl, broker.url)
  const west = servers.get('west')
  const given = ['--clustercidr', '10.30.0.0/16', '--label-gateway=false']
  const north = ['join', file, '--kubeconfig', broker.kubeconfig, '--clusterid', 'north', ...given]
  await ok(...north)
  const to = (server: ApiServer) => ['--kubeconfig', server.kubeconfig]
  const rows: readonly [readonly string[], number, RegExp][] = [
    [
      ['join', file, ...to(west), '--clusterid', 'north', ...given],
      1,
      /another cluster has joined/,
    ],
    [
      ['join', file, ...to(west), '--clusterid', 'south', ...given],
      1,
      /10\.30\.0\.0\/16 of the cluster south overlaps with 10\.30\.0\.0\/16 of the cluster north/,
    ],
    [['join', file, ...to(west), '--clusterid', 'No Good'], 2, /is no cluster id/],
    [['join', '/does/not/exist', ...to(west)], 1, /cannot read the join file/],
    [['join', file, '--kubeconfig', file], 3, /is no kubeconfig/],
    [['join', file, ...to(west), '--broker-url', 'https://127.0.0.1:1'], 3, /ECONNREFUSED/],
    [['broker', 'evict', 'nobody', ...to(broker)], 1, /has no member "nobody"/],
    [['show', 'gateways', ...to(west)], 1, /it has not joined/],
  ]
  for (const [args, code, message] of rows) {
    const { code: seen, stderr, stdout } = await hawser(...args)
    const errors = stderr.split('\n').filter(line => line.startsWith('hawser: '))
    assert.equal(errors.length, 1, stderr)
    assert.match(errors[0], message)
    assert.match(stderr, /\ntry: |^try: /m)
    assert.deepEqual([seen, stdout], [code, ''], stderr)
  }
  await ok('leave', file, ...to(broker))
  // It is a broker still.
  assert.ok(await exists(broker, `${brokerObjects}/clusters`))
})

test('who may do nothing else still finds the range of Services', async () => {
  const east = servers.get('east')
  const { token } = await longLivedToken(east, 'default', 'asks')
  const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default'
  await create(east, `${rbac}/roles`, {
    metadata: { name: 'asks' },
    rules: [{ apiGroups: [''], resources: ['services'], verbs: ['create'] }],
  })
  await create(east, `${rbac}/rolebindings`, {
    metadata: { name: 'asks' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'asks' },
    subjects: [{ kind: 'ServiceAccount', name: 'asks', namespace: 'default' }],
  })
  const client = east.client({ token })
  await eventually(async () => (await findServiceCidrs(client)).cidrs.length > 0)
  const { cidrs, source } = await findServiceCidrs(client)
  assert.deepEqual(
    [cidrs.map(formatPrefix), source],
    [[east.serviceCidr], 'what the API server refuses'],
  )
})
