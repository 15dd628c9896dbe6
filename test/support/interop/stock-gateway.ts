// A gateway as stock Submariner 0.24 sets one up with its WireGuard driver, around wireguard-go: device
// `submariner`, a new key at each start, the PSK from the SHA-256 of a text, its Cluster and Endpoint on
// the broker in the shape that stock writes, peers from the Endpoints of others alone (stock-engine.ts),
// and the routes of its route agent (table 150). Run in the gateway's namespace:
//
//   node stock-gateway.ts CONFIG.json      says `ready` when its Endpoint is on the broker

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { KubeClient } from '../../../src/kube/client.ts'
import { brokerCredentials } from '../../../src/kube/credentials.ts'
import { label } from '../../../src/kube/names.ts'
import type { ResourceType } from '../../../src/kube/resource-type.ts'
import { Signal } from '../../../src/kube/signal.ts'
import { Watch } from '../../../src/kube/watch.ts'
import { systemClock } from '../../../src/net/clock.ts'
import { type RawResource, rawType } from '../raw-objects.ts'
import { type PeerCommand, type StockEndpoint, StockEngine } from './stock-engine.ts'
import { newKeys } from './tunnel.ts'

export interface StockConfig {
  readonly clusterId: string
  readonly hostname: string
  readonly privateIp: string
  readonly healthCheckIp: string
  readonly clusterCidrs: readonly string[]
  readonly serviceCidrs: readonly string[]
  readonly psk: string
  readonly brokerServer: string
  /** A directory with `token` and `ca.crt`, as its Secret is mounted. */
  readonly brokerSecret: string
  readonly brokerNamespace: string
}

const device = 'submariner'
const port = 4500
const keyFile = '/run/stock-key'
const pskFile = '/run/stock-psk'

const clusterKind = rawType('submariner.io/v1', 'Cluster', 'clusters')
const endpointKind = rawType('submariner.io/v1', 'Endpoint', 'endpoints')

if (import.meta.main) await main(JSON.parse(readFileSync(process.argv[2], 'utf8')))

async function main(config: StockConfig): Promise<void> {
  const daemon = await startDaemon()
  process.once('SIGTERM', () => daemon.kill('SIGTERM'))
  daemon.once('exit', code => process.exit(code ?? 1))
  const keys = newKeys()
  writeFileSync(keyFile, keys.privateKey, { mode: 0o600 })
  const psk = createHash('sha256').update(config.psk).digest('base64')
  writeFileSync(pskFile, psk, { mode: 0o600 })
  must('wg', ['set', device, 'private-key', keyFile, 'listen-port', String(port)])
  must('ip', ['link', 'set', device, 'up'])
  // There already, when a gateway was here before.
  spawnSync('ip', ['rule', 'add', 'priority', '150', 'table', '150'])
  const { brokerNamespace: namespace } = config
  const client = new KubeClient(
    brokerCredentials(systemClock, {
      server: config.brokerServer,
      namespace,
      secretDirectory: config.brokerSecret,
      trustsSystemRoots: false,
      isInsecure: false,
    }),
    'stock-gateway',
  )
  await publish(client, config, keys.publicKey)
  process.stdout.write('ready\n')
  const changed = new Signal()
  const watch = new Watch({
    client,
    type: endpointKind,
    scope: { namespace },
    changed,
    clock: systemClock,
  })
  const engine = new StockEngine(config.clusterId)
  let known = new Map<string, StockEndpoint>()
  for (;;) {
    await changed.wait()
    const now = new Map(
      watch.list().map(({ meta, raw }) => [meta.uid, raw as unknown as StockEndpoint]),
    )
    const commands: PeerCommand[] = []
    for (const [uid, endpoint] of known)
      if (!now.has(uid)) commands.push(...engine.remove(endpoint))
    for (const endpoint of now.values()) commands.push(...engine.install(endpoint))
    known = now
    for (const command of commands) enact(command)
    route([...known.values()], config)
  }
}

/** Its own Endpoints of before go first: each start has a new key. */
async function publish(client: KubeClient, config: StockConfig, publicKey: string): Promise<void> {
  const { brokerNamespace: namespace, clusterId } = config
  const scope = { namespace, labelSelector: `${label.clusterId}=${clusterId}` }
  for (const kind of [endpointKind, clusterKind]) {
    const { items } = await client.list(kind, scope)
    for (const { meta } of items) await client.delete(kind, { name: meta.name, namespace })
  }
  for (const [kind, object] of ownObjects(config, publicKey)) {
    await client.create(kind, rawOf(kind, object))
  }
}

async function startDaemon(): Promise<ChildProcess> {
  const daemon = spawn('wireguard-go', ['-f', device], { stdio: ['ignore', 'inherit', 'inherit'] })
  const deadlineMs = performance.now() + 30_000
  while (!existsSync(`/var/run/wireguard/${device}.sock`)) {
    if (performance.now() > deadlineMs) throw new Error('wireguard-go does not listen')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  return daemon
}

function enact(command: PeerCommand): void {
  const peer = ['set', device, 'peer', command.key]
  if (command.kind === 'remove') must('wg', [...peer, 'remove'])
  else must('wg', [...peer, 'preshared-key', pskFile, ...command.settings])
}

/** As its route agent on the gateway has it: whatever is behind other clusters, by way of the device. */
function route(
  endpoints: readonly StockEndpoint[],
  { clusterId, healthCheckIp }: StockConfig,
): void {
  // It fails for a table that has never had a route.
  spawnSync('ip', ['route', 'flush', 'table', '150'])
  for (const { spec } of endpoints) {
    if (spec.cluster_id === clusterId) continue
    for (const subnet of spec.subnets.filter(text => !text.includes(':'))) {
      const source = ['src', healthCheckIp, 'scope', 'link']
      must('ip', ['route', 'replace', subnet, 'dev', device, 'table', '150', ...source])
    }
  }
}

function ownObjects(config: StockConfig, publicKey: string) {
  const { clusterId, hostname, privateIp, healthCheckIp, clusterCidrs, serviceCidrs } = config
  const cable = `submariner-cable-${clusterId}-${privateIp.replaceAll('.', '-')}`
  const metadata = (name: string) => ({
    name,
    namespace: config.brokerNamespace,
    labels: { [label.clusterId]: clusterId },
  })
  const cluster = {
    metadata: metadata(clusterId),
    spec: {
      cluster_id: clusterId,
      color_codes: ['blue'],
      service_cidr: serviceCidrs,
      cluster_cidr: clusterCidrs,
      global_cidr: [],
    },
  }
  const endpoint = {
    metadata: metadata(`${clusterId}-${cable}`),
    spec: {
      cluster_id: clusterId,
      cable_name: cable,
      hostname,
      subnets: [...serviceCidrs, ...clusterCidrs],
      private_ip: privateIp,
      privateIPs: [privateIp],
      public_ip: '',
      healthCheckIP: healthCheckIp,
      healthCheckIPs: [healthCheckIp],
      nat_enabled: false,
      backend: 'wireguard',
      backend_config: {
        'natt-discovery-port': '0',
        'preferred-server': 'false',
        'udp-port': String(port),
        'interface-name': device,
        publicKey,
      },
    },
  }
  return [
    [clusterKind, cluster],
    [endpointKind, endpoint],
  ] as const
}

function rawOf(
  type: ResourceType<RawResource>,
  object: Readonly<Record<string, unknown>>,
): RawResource {
  const parsed = type.parse({ apiVersion: 'submariner.io/v1', kind: type.kind, ...object })
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.value
}

function must(program: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`)
}
