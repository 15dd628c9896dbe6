import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Command } from 'commander'
import { parse } from 'yaml'
import { showCommand } from '../../../src/cli/show.ts'
import type { Manifest } from '../../../src/kube/resources/raw.ts'
import { exitCode, GatewayError } from '../../../src/net/errors.ts'
import { type FakeCluster, startFakeCluster } from '../../support/fake-cluster.ts'
import { temporaryDirectory } from '../../support/temporary.ts'

const endpoint = (id: string, ip: string, host: string) => ({
  cluster_id: id,
  cable_name: `submariner-cable-${id}-gateway`,
  hostname: host,
  subnets: [`10.${ip.at(-1)}.0.0/16`, `100.${ip.at(-1)}.0.0/16`],
  private_ip: ip,
  public_ip: '203.0.113.9',
  healthCheckIP: '10.1.1.1',
  nat_enabled: false,
  backend: 'wireguard',
})

const longName = `node-${'x'.repeat(60)}`

function gateway(haStatus: 'active' | 'passive', status: string, name = 'node-1'): Manifest {
  const connection = {
    status,
    statusMessage: status === 'connected' ? '' : 'no handshake',
    usingIP: '192.0.2.2',
    latencyRTT: { last: '1ms', min: '388.079µs', average: '1.796365ms', max: '2s', stdDev: '1ms' },
    endpoint: endpoint('west', '192.0.2.2', longName),
  }
  return {
    apiVersion: 'submariner.io/v1',
    kind: 'Gateway',
    metadata: { name, namespace: 'submariner-operator' },
    status: {
      version: '0.1.0',
      haStatus,
      statusFailure: '',
      localEndpoint: endpoint('east', '192.0.2.1', name),
      connections: haStatus === 'active' ? [connection] : [],
    },
  }
}

/** A kubeconfig with a context for each cluster, the first one current. */
function kubeconfigOf(
  context: TestContext,
  clusters: Readonly<Record<string, FakeCluster | string>>,
): string {
  const file = join(temporaryDirectory(context), 'kubeconfig')
  const names = Object.keys(clusters)
  const clusterOf = (cluster: FakeCluster | string) =>
    typeof cluster === 'string'
      ? { server: cluster }
      : {
          server: cluster.server.url,
          'certificate-authority-data': Buffer.from(cluster.server.authority.pem).toString(
            'base64',
          ),
        }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: names.map(name => ({ name: `the-${name}`, cluster: clusterOf(clusters[name]) })),
    users: [{ name: 'me', user: { token: 'token-1' } }],
    contexts: names.map(name => ({ name, context: { cluster: `the-${name}`, user: 'me' } })),
    'current-context': names[0],
  }
  writeFileSync(file, JSON.stringify(config))
  return file
}

async function show(...args: readonly string[]) {
  let out = ''
  const write = (text: string) => {
    out += text
  }
  let complaints = ''
  const command = showCommand({ write, widthMax: () => undefined, async *ticks() {} }, text => {
    complaints += text
  })
  for (const each of [command, ...command.commands]) {
    each.exitOverride().configureOutput({ outputError: () => {} })
  }
  process.exitCode = undefined
  const program = new Command('hawser').exitOverride().addCommand(command)
  await program.parseAsync(['show', ...args], { from: 'user' })
  const code = process.exitCode
  process.exitCode = undefined
  return { out, code, complaints, cells: out.split('\n').map(line => line.split(/ {3,}/)) }
}

async function east(context: TestContext, status = 'connected') {
  return startFakeCluster(context, [gateway('active', status), gateway('passive', '', 'node-2')])
}

test('connections have the columns of subctl, one unit, and nothing cut off', async context => {
  const kubeconfig = kubeconfigOf(context, { east: await east(context) })
  const { cells, code } = await show('connections', '--kubeconfig', kubeconfig)
  assert.equal(code, exitCode.ok)
  assert.deepEqual(cells, [
    [
      ...['GATEWAY', 'CLUSTER', 'REMOTE IP', 'NAT', 'CABLE DRIVER', 'SUBNETS', 'STATUS'],
      'RTT avg.',
    ],
    [
      ...[longName, 'west', '192.0.2.2', 'no', 'wireguard', '10.2.0.0/16, 100.2.0.0/16'],
      ...['connected', '1.80 ms'],
    ],
    [''],
  ])
})

test('one that is not connected is exit code 1, and wide says why', async context => {
  const kubeconfig = kubeconfigOf(context, { east: await east(context, 'error') })
  const { out, code } = await show('connections', '--kubeconfig', kubeconfig, '-o', 'wide')
  assert.equal(code, exitCode.failed)
  assert.match(out, /error .* 0\.39 ms .* 2000\.00 ms .* node-1 .* no handshake/)
})

test('endpoints are those of both ends, gateways have a summary', async context => {
  const kubeconfig = kubeconfigOf(context, { east: await east(context) })
  const ends = await show('endpoints', '--kubeconfig', kubeconfig)
  assert.deepEqual(ends.cells.slice(1, 3), [
    ['east', '192.0.2.1', '203.0.113.9', 'wireguard', 'local'],
    ['west', '192.0.2.2', '203.0.113.9', 'wireguard', 'remote'],
  ])
  const gateways = await show('gateways', '--kubeconfig', kubeconfig)
  assert.deepEqual(gateways.cells.slice(0, 3), [
    ['NODE', 'HA STATUS', 'SUMMARY'],
    ['node-1', 'active', 'All connections (1) are established'],
    ['node-2', 'passive', 'There are no connections'],
  ])
})

test('an endpoint with a connection of each family has the subnets and pings of both', async context => {
  const [ipv4, ipv6] = [
    { subnets: ['10.2.0.0/16'], healthCheckIP: '10.2.1.1', healthCheckIPs: ['10.2.1.1'] },
    { subnets: ['fd00:2::/48'], healthCheckIP: undefined, healthCheckIPs: ['fd00:2::1'] },
  ]
  const base = gateway('active', 'connected')
  const status = base['status'] as { readonly connections: readonly Manifest[] }
  const [connection] = status.connections
  const connections = [ipv4, ipv6].map(family => ({
    ...connection,
    endpoint: { ...endpoint('west', '192.0.2.2', longName), ...family },
  }))
  const manifest = { ...base, status: { ...status, connections } }
  const kubeconfig = kubeconfigOf(context, { east: await startFakeCluster(context, [manifest]) })
  const { out } = await show('endpoints', '--kubeconfig', kubeconfig, '-o', 'json')
  const { subnets, healthCheckIps } = JSON.parse(out).items[1]
  assert.deepEqual(subnets, ['10.2.0.0/16', 'fd00:2::/48'])
  assert.deepEqual(healthCheckIps, ['10.2.1.1', 'fd00:2::1'])
})

test('JSON and YAML say the same, in an envelope', async context => {
  const kubeconfig = kubeconfigOf(context, { east: await east(context) })
  const json = await show('connections', '--kubeconfig', kubeconfig, '-o', 'json')
  const yaml = await show('connections', '--kubeconfig', kubeconfig, '-o', 'yaml')
  const document = JSON.parse(json.out)
  assert.deepEqual(parse(yaml.out), document)
  assert.deepEqual([document.apiVersion, document.kind], ['hawser.io/v1alpha1', 'ConnectionList'])
  assert.deepEqual(document.items[0].rttMs, { avg: 1.796, min: 0.388, max: 2000 })
  assert.equal(document.items[0].context, 'east')
})

test('of several clusters each has a heading, and those that fail are a part', async context => {
  const kubeconfig = kubeconfigOf(context, {
    east: await east(context),
    other: await startFakeCluster(context),
    dead: 'https://127.0.0.1:1',
  })
  const both = await show('connections', '--kubeconfig', kubeconfig, '--contexts', 'east,other')
  assert.match(
    both.out,
    /^Cluster "the-east"\nGATEWAY [\s\S]*\nCluster "the-other"\nno connections\n$/,
  )
  assert.equal(both.code, exitCode.ok)
  const part = await show('gateways', '--kubeconfig', kubeconfig, '--contexts', 'east,dead,nowhere')
  assert.equal(part.code, exitCode.partial)
  assert.match(part.out, /Cluster "the-east"/)
  assert.match(part.complaints, /hawser: dead: cannot list .*ECONNREFUSED.*\ntry: /)
  assert.match(part.complaints, /hawser: nowhere: .* has no context "nowhere"\ntry: one of/)
  const none = await show('gateways', '--kubeconfig', kubeconfig, '--contexts', 'dead,nowhere')
  assert.equal(none.code, exitCode.unreachable)
})

test('alone, one that cannot be asked is an error with its exit code and a next step', async context => {
  const kubeconfig = kubeconfigOf(context, { dead: 'https://127.0.0.1:1' })
  const broken = join(temporaryDirectory(context), 'broken')
  writeFileSync(broken, '{ a kubeconfig: [')
  const rows: readonly [readonly string[], RegExp][] = [
    [['--kubeconfig', kubeconfig], /cannot list gateways.* ECONNREFUSED/],
    [['--kubeconfig', kubeconfig, '--context', 'nowhere'], /has no context "nowhere"/],
    [['--kubeconfig', broken], /is no kubeconfig/],
    [['--kubeconfig', '/does/not/exist'], /cannot read \/does\/not\/exist/],
  ]
  for (const [args, message] of rows) {
    await assert.rejects(show('gateways', ...args), (error: unknown) => {
      assert.ok(error instanceof GatewayError, String(error))
      assert.equal(error.exit, exitCode.unreachable, error.message)
      assert.match(error.message, message)
      assert.ok(error.hint)
      return true
    })
  }
})

test('who has no rights is told which', async context => {
  const cluster = await east(context)
  cluster.server.forbids = () => true
  const kubeconfig = kubeconfigOf(context, { east: cluster })
  await assert.rejects(show('gateways', '--kubeconfig', kubeconfig), (error: GatewayError) => {
    assert.match(error.message, /cannot list gateways\.submariner\.io submariner-operator/)
    assert.match(error.hint ?? '', /can-i list gateways\.submariner\.io -n submariner-operator/)
    assert.match(error.hint ?? '', /ask an admin of that cluster for "list" on "gateways/)
    return error.exit === exitCode.failed
  })
})
