// The load of `npm run bench:api`: `hawser broker serve` as a program, members with a token and six watches
// each, and writes at a steady pace, one member after the other. How old a change is when a watch tells it
// is measured from before the write was sent: the clock of one process, so all of it counts, the work of
// this process among it.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Json, RawApi, type RawWatch } from '../test/support/raw-api.ts'
import { benchFolder } from './clean-up.ts'
import { type Running, start, stop } from './commands.ts'
import { readPeakMemoryBytes, readProcess } from './proc.ts'
import { quantile } from './statistics.ts'

export interface ApiFigures {
  readonly watches: number
  readonly writes: number
  readonly framesSeen: number
  /** Of frames; from the write to the watch, in ms. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly most: number }
  /** Of the write's answer, in ms. */
  readonly writeMs: { readonly p50: number; readonly p99: number }
  readonly peakMemoryMib: number
  readonly cpuCores: number
  /** Until all members had their watches, in seconds. */
  readonly setUpSeconds: number
}

const hawser = fileURLToPath(new URL('../bin/hawser', import.meta.url))
const namespace = 'submariner-k8s-broker'
const core = `/api/v1/namespaces/${namespace}`
const submariner = `/apis/submariner.io/v1/namespaces/${namespace}`
const paths = [
  `${submariner}/clusters`,
  `${submariner}/endpoints`,
  `/apis/multicluster.x-k8s.io/v1alpha1/namespaces/${namespace}/serviceimports`,
  `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
]

interface Member {
  readonly id: string
  readonly raw: RawApi
}

export async function measureApi(
  members: number,
  writesPerSecond: number,
  seconds: number,
): Promise<ApiFigures> {
  const directory = join(benchFolder(), 'broker')
  const where = ['--data', directory, '--listen', '127.0.0.1:0']
  const command = [hawser, 'broker', 'serve', ...where] as const
  // A first start makes certificates, which the later ones of a broker do not.
  const first = start(command)
  const unused = await adminOf(first, directory)
  unused.close()
  await stop(first)
  const server = start(command)
  const opened: { close(): void }[] = []
  try {
    const admin = await adminOf(server, directory)
    opened.push(admin)
    const begun = performance.now()
    const all = await Promise.all(
      Array.from({ length: members }, (_, i) => joined(admin, `cluster-${i}`)),
    )
    opened.push(...all.map(({ raw }) => raw))
    const seen: number[] = []
    const watches = await Promise.all(all.map(member => watchesOf(member)))
    opened.push(...watches.flat())
    for (const [, endpoints] of watches) follow(endpoints, seen)
    const setUpSeconds = (performance.now() - begun) / 1000
    const load = await write(server, all, writesPerSecond, seconds, seen)
    return { watches: watches.flat().length, setUpSeconds, ...load }
  } finally {
    for (const each of opened) each.close()
    await stop(server)
  }
}

/** Once it has written how it is reached, and serves. */
async function adminOf(server: Running, directory: string): Promise<RawApi> {
  while (!server.errors().includes('the broker serves')) {
    if (!server.alive()) throw new Error(`broker serve has ended: ${server.errors()}`)
    await delay(20)
  }
  const config = JSON.parse(readFileSync(join(directory, 'admin.kubeconfig'), 'utf8')) as {
    readonly clusters: readonly [{ readonly cluster: Readonly<Record<string, string>> }]
    readonly users: readonly [{ readonly user: { readonly token: string } }]
  }
  const [{ cluster }] = config.clusters
  const ca = Buffer.from(cluster['certificate-authority-data'], 'base64').toString()
  return new RawApi({ url: cluster['server'], ca, token: config.users[0].user.token })
}

async function joined(admin: RawApi, id: string): Promise<Member> {
  const name = `cluster-${id}`
  const annotations = { 'kubernetes.io/service-account.name': name }
  const type = 'kubernetes.io/service-account-token'
  await admin.ok('POST', `${core}/serviceaccounts`, { metadata: { name } })
  const metadata = { name: `${name}-token`, annotations }
  const secret = await admin.ok('POST', `${core}/secrets`, { metadata, type })
  const { token } = secret['data'] as { readonly token: string }
  const raw = new RawApi({ ...admin.server, token: Buffer.from(token, 'base64').toString() })
  const labels = { 'submariner-io/clusterID': id }
  await raw.ok('POST', `${submariner}/clusters`, {
    ...{ apiVersion: 'submariner.io/v1', kind: 'Cluster', metadata: { name: id, labels } },
    spec: { cluster_id: id, cluster_cidr: [], service_cidr: [], global_cidr: [] },
  })
  await raw.ok('POST', `${submariner}/endpoints`, endpointOf(id, labels))
  return { id, raw }
}

/** About 1.2 kB as it is stored. */
function endpointOf(id: string, labels: Json): Json {
  const name = `${id}-submariner-cable-${id}-gateway`
  return {
    ...{ apiVersion: 'submariner.io/v1', kind: 'Endpoint', metadata: { name, labels } },
    spec: {
      ...{ cluster_id: id, cable_name: `submariner-cable-${id}-gateway`, hostname: `${id}-worker` },
      subnets: Array.from({ length: 24 }, (_, i) => `10.${i}.128.0/20`),
      ...{ private_ip: '172.18.0.5', public_ip: '203.0.113.10', nat_enabled: false },
      backend: 'wireguard',
      backend_config: {
        publicKey: 'A'.repeat(44),
        ...{ 'udp-port': '4500', 'preferred-server': 'false', 'interface-name': 'submariner' },
        'hawser-cables': 'wireguard,vxlan',
        'hawser-ciphers': 'aes-256-gcm,chacha20-poly1305',
      },
    },
  }
}

async function watchesOf({ id, raw }: Member): Promise<RawWatch[]> {
  const secrets = [`cluster-${id}-token`, 'submariner-ipsec-psk'].map(
    name => `${core}/secrets?fieldSelector=metadata.name%3D${name}`,
  )
  const queries = [...paths, ...secrets].map(path => {
    const sign = path.includes('?') ? '&' : '?'
    return raw.watch(`${path}${sign}watch=true&allowWatchBookmarks=true`)
  })
  return Promise.all(queries)
}

/** Each frame that carries a time says how old it is. */
function follow(watch: RawWatch, seen: number[]): void {
  const read = async () => {
    for (let frame = await watch.next(); frame !== undefined; frame = await watch.next()) {
      const { metadata } = frame.object as { readonly metadata: Json }
      const sent = (metadata['annotations'] as Json | undefined)?.['sent']
      if (sent !== undefined) seen.push(performance.now() - Number(sent))
    }
  }
  read().catch(() => undefined)
}

async function write(
  server: Running,
  members: readonly Member[],
  writesPerSecond: number,
  seconds: number,
  seen: number[],
) {
  const writes = writesPerSecond * seconds
  const before = readProcess(server.pid).ownSeconds
  const begun = performance.now()
  const answers: number[] = []
  const open: Promise<void>[] = []
  for (let number = 0; number < writes; number++) {
    const wait = begun + (number * 1000) / writesPerSecond - performance.now()
    if (wait > 1) await delay(wait)
    const { id, raw } = members[number % members.length]
    const sent = performance.now()
    const patch = { metadata: { annotations: { sent: String(sent) } } }
    const name = `${id}-submariner-cable-${id}-gateway`
    const done = raw.ok('PATCH', `${submariner}/endpoints/${name}`, patch)
    open.push(done.then(() => void answers.push(performance.now() - sent)))
  }
  await Promise.all(open)
  const wanted = writes * members.length
  for (let waited = 0; seen.length < wanted && waited < 200; waited++) await delay(50)
  const elapsed = (performance.now() - begun) / 1000
  const sorted = seen.toSorted((a, b) => a - b)
  const answered = answers.toSorted((a, b) => a - b)
  return {
    ...{ writes, framesSeen: seen.length },
    latencyMs: {
      ...{ p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) },
      most: sorted.at(-1) ?? Number.NaN,
    },
    writeMs: { p50: quantile(answered, 0.5), p99: quantile(answered, 0.99) },
    peakMemoryMib: readPeakMemoryBytes(server.pid) / 1024 / 1024,
    cpuCores: (readProcess(server.pid).ownSeconds - before) / elapsed,
  }
}
