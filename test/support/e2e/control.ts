// Gateways that find each other by their API servers, in spaces of a test: `hawser datapath` and
// `hawser gateway` on two nodes, three fake API servers on a third (api-program.ts). Routes to the
// devices are a route agent's; the test adds them.

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { collect } from '../../../src/lab/process.ts'
import { eventually } from '../eventually.ts'
import type { Spaces } from '../namespaces.ts'
import { temporaryDirectory } from '../temporary.ts'
import { cableRoutes, east, makeClusters, type Side, stranger, west } from './clusters.ts'
import { device, Gateway, hawser } from './gateway.ts'

const namespace = 'submariner-operator'
const brokerNamespace = 'submariner-k8s-broker'
export const metricsPort = 32_780

export interface WorldOptions {
  readonly driver: 'wireguard' | 'vxlan'
  /** Only the addresses of one family are there. */
  readonly family?: 4 | 6
}

interface Program {
  readonly child: ChildProcess
  readonly output: () => string
}

/** What the test has of a node: its data path, and its control daemon as it is started now. */
export class ControlWorld {
  readonly spaces: Spaces
  readonly #directory: string
  readonly #options: WorldOptions
  readonly #programs = new Map<string, Program>()
  #api: Program | undefined

  static async start(context: TestContext, options: WorldOptions): Promise<ControlWorld> {
    const spaces = await makeClusters(context)
    const world = new ControlWorld(spaces, temporaryDirectory(context), options)
    for (const side of [east, west]) await world.#prepare(side)
    await world.startApi()
    return world
  }

  private constructor(spaces: Spaces, directory: string, options: WorldOptions) {
    this.spaces = spaces
    this.#directory = directory
    this.#options = options
  }

  async startApi(): Promise<void> {
    const program = fileURLToPath(new URL('./api-program.ts', import.meta.url))
    const host = this.#options.family === 6 ? stranger.address6 : stranger.address
    const command = [process.execPath, program, host, this.#directory]
    this.#api = this.#start(stranger.space, command)
    await eventually(() => this.#api?.output().includes('ready') === true, this.#api.output)
  }

  /** For good. */
  killApi(): void {
    this.#api?.child.kill('SIGKILL')
  }

  startDatapath({ gateway }: Side): Promise<Gateway> {
    return Gateway.start(this.spaces, gateway)
  }

  startGateway(side: Side): void {
    const environment = Object.entries(this.#environment(side))
    const variables = environment.map(([name, value]) => `${name}=${value}`)
    // Signals go to the program itself: what enters the space for it does not hand them on.
    const script = 'echo "pid $$"; exec "$@"'
    const command = ['sh', '-c', script, 'sh', 'env', ...variables, hawser, 'gateway']
    const program = this.#start(side.gateway, command)
    this.#programs.set(side.gateway, program)
  }

  /** As the DaemonSet of stock Submariner starts it, with its account and Secrets mounted. */
  startImage(side: Side, script: string, more: Readonly<Record<string, string>> = {}): Program {
    const name = nameOf(side)
    for (const [from, to] of [
      [name, '/run/secrets/kubernetes.io/serviceaccount'],
      ['broker', '/run/secrets/submariner.io/broker-secret'],
    ]) {
      const mount = this.spaces.path(side.gateway, to)
      cpSync(join(this.#directory, from), mount, { recursive: true })
      writeFileSync(join(mount, 'namespace'), namespace)
    }
    const url = new URL(readFileSync(join(this.#directory, name, 'url'), 'utf8'))
    const { HAWSER_API_SERVER: _, HAWSER_API_SECRET: __, ...environment } = this.#environment(side)
    const variables = Object.entries({
      ...environment,
      KUBERNETES_SERVICE_HOST: url.hostname,
      KUBERNETES_SERVICE_PORT: url.port,
      BROKER_K8S_SECRET: 'broker-secret',
      NODE_NAME: `${name}-node`,
      POD_NAME: `${name}-pod`,
      HAWSER: hawser,
      ...more,
    }).map(([variable, value]) => `${variable}=${value}`)
    const path = fileURLToPath(new URL(`../../../deploy/image/${script}`, import.meta.url))
    const shell = ['sh', '-c', 'echo "pid $$"; exec "$@"', 'sh']
    const program = this.#start(side.gateway, [...shell, 'env', ...variables, 'sh', path])
    this.#programs.set(side.gateway, program)
    return program
  }

  async setNodeReady(server: 'east' | 'west'): Promise<void> {
    const url = readFileSync(join(this.#directory, server, 'url'), 'utf8')
    const headers = ['-H', 'Authorization: Bearer token-1', '-H', 'Content-Type: application/json']
    const name = `${server}-node`
    const status = { conditions: [{ type: 'Ready', status: 'True' }] }
    const body = JSON.stringify({ metadata: { name }, status })
    const command = ['curl', '-skf', '-X', 'PUT', ...headers, '-d', body]
    await this.spaces.mustRun(stranger.space, [...command, `${url}/api/v1/nodes/${name}`])
  }

  /** Makes an object at an API server. */
  async create(server: 'east' | 'west', path: string, object: object): Promise<void> {
    const url = readFileSync(join(this.#directory, server, 'url'), 'utf8')
    const headers = ['-H', 'Authorization: Bearer token-1', '-H', 'Content-Type: application/json']
    const command = ['curl', '-skf', ...headers, '-d', JSON.stringify(object), `${url}${path}`]
    await this.spaces.mustRun(stranger.space, command)
  }

  async endGateway({ gateway }: Side, signal: 'TERM' | 'KILL'): Promise<void> {
    const { child, output } = this.#programOf(gateway)
    const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
    const pid = /^pid (\d+)$/m.exec(output())?.[1]
    assert.ok(pid, output())
    await this.spaces.mustRun(gateway, ['kill', '-s', signal, pid])
    await ended
  }

  log({ gateway }: Side): string {
    return this.#programOf(gateway).output()
  }

  /** Routes to the other cluster, as a route agent makes them, once the device is there. */
  async addRoutes(side: Side, other: Side): Promise<void> {
    const wanted = other.prefixes.filter(prefix => this.#isWanted(prefix))
    await cableRoutes(this.spaces, side, wanted)
  }

  /** A pod of one cluster reaches one of the other. */
  async pings(from: Side, to: Side): Promise<boolean> {
    const target = this.#options.family === 6 ? to.podAddress6 : to.podAddress
    // One answer of three is enough.
    const command = ['ping', '-c', '3', '-i', '0.2', '-W', '2', target]
    return (await this.spaces.run(from.pod, command)).code === 0
  }

  async untilPings(from: Side, to: Side): Promise<void> {
    await eventually(
      () => this.pings(from, to),
      () => `${this.log(from)}\n${this.log(to)}`,
      60_000,
    )
  }

  /** What a gateway shows over HTTP. */
  async http({ gateway }: Side, path: string): Promise<string> {
    const url = `http://127.0.0.1:${metricsPort}${path}`
    return (await this.spaces.run(gateway, ['curl', '-s', url])).stdout
  }

  /** Objects of an API server by curl: items of a list. */
  async objects(
    server: 'broker' | 'east' | 'west',
    plural: string,
  ): Promise<readonly Record<string, unknown>[]> {
    const folder = join(this.#directory, server)
    const url = readFileSync(join(folder, 'url'), 'utf8')
    const where = server === 'broker' ? brokerNamespace : namespace
    const group = plural === 'pods' ? 'api/v1' : 'apis/submariner.io/v1'
    const path = `${url}/${group}/namespaces/${where}/${plural}`
    const header = 'Authorization: Bearer token-1'
    const { stdout } = await this.spaces.run(stranger.space, ['curl', '-sk', '-H', header, path])
    const list = JSON.parse(stdout) as { items: Record<string, unknown>[] }
    return list.items
  }

  /** The one connection of a Gateway, as it was last written. */
  async connection(
    side: Side,
  ): Promise<{ status: string; statusMessage: string; latencyRTT?: unknown } | undefined> {
    const [gateway] = await this.objects(nameOf(side), 'gateways')
    const status = gateway?.['status'] as { connections: never[] } | undefined
    return status?.connections[0]
  }

  #programOf(gateway: string): Program {
    const program = this.#programs.get(gateway)
    assert.ok(program, `no gateway was started in ${gateway}`)
    return program
  }

  #start(space: string, command: readonly string[]): Program {
    const child = this.spaces.start(space, command)
    const output = collect(child)
    return { child, output: () => `${output().stdout}${output().stderr}` }
  }

  /** A way out, so that a node knows its own address; and one family alone, where that is wanted. */
  async #prepare({ gateway, pod }: Side): Promise<void> {
    const { family } = this.#options
    await this.spaces.configure(gateway, [
      `route add default via ${stranger.address}`,
      `route add ::/0 via ${stranger.address6} dev wire`,
    ])
    if (family === undefined) return
    const gone = family === 6 ? '-4' : '-6'
    for (const [space, name] of [
      [gateway, 'wire'],
      [gateway, 'pod'],
      [pod, 'eth0'],
    ])
      await this.spaces.mustRun(space, ['ip', gone, 'address', 'flush', 'dev', name])
  }

  #isWanted(prefix: string): boolean {
    const { family } = this.#options
    return family === undefined || prefix.includes(':') === (family === 6)
  }

  #environment(side: Side): Record<string, string> {
    const folder = (name: string) => join(this.#directory, name)
    const url = (name: string) => readFileSync(join(folder(name), 'url'), 'utf8')
    const name = nameOf(side)
    const cidrs = side.prefixes.filter(prefix => this.#isWanted(prefix))
    const service =
      this.#options.family === 6
        ? `fd01:${side.address.at(-1)}::/112`
        : `10.10${side.address.at(-1)}.0.0/16`
    return {
      SUBMARINER_CLUSTERID: name,
      SUBMARINER_NAMESPACE: namespace,
      SUBMARINER_CLUSTERCIDR: cidrs.join(),
      SUBMARINER_SERVICECIDR: service,
      SUBMARINER_CABLEDRIVER: this.#options.driver,
      CE_IPSEC_PSK: 'a secret of all',
      LEADERSHIP_LEASEDURATION: '4',
      LEADERSHIP_RENEWDEADLINE: '3',
      LEADERSHIP_RETRYPERIOD: '1',
      BROKER_K8S_APISERVER: url('broker').replace('https://', ''),
      BROKER_K8S_REMOTENAMESPACE: brokerNamespace,
      BROKER_K8S_SECRET: folder('broker'),
      HAWSER_API_SERVER: url(name),
      HAWSER_API_SECRET: folder(name),
      HAWSER_HOSTNAME: `${name}-node`,
      HAWSER_INTERFACE: device,
      HAWSER_STATE_DIR: join(this.#directory, `${name}-state`),
    }
  }
}

function nameOf({ gateway }: Side): 'east' | 'west' {
  return gateway === east.gateway ? 'east' : 'west'
}
