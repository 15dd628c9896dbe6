// Real API servers for the tests of one file: one etcd, and for each name a kube-apiserver under a prefix
// of its own with its kube-controller-manager. They listen on a loopback address of their own, are ready
// in seconds, take about 350 MB each, and end with the file, or with its process whatever kills it.
//
//   const servers = sharedServers(['broker', 'east'])
//   test('…', async () => { const client = servers.get('broker').client() … })

import { after, before } from 'node:test'
import { ApiServer } from './api-server.ts'
import { binariesFolder } from './binaries.ts'
import { Etcd } from './etcd.ts'
import { freePort, ownLoopback } from './ports.ts'
import { openScratch } from './scratch.ts'

export interface Servers {
  /** Of all processes. */
  readonly pids: readonly number[]
  /** Throws when there is none of this name. */
  get(name: string): ApiServer
  /** Makes etcd forget what was, for all of them. */
  compact(): Promise<void>
  stop(): Promise<void>
}

/** Starts them. Throws when the programs are missing, or with the end of the log of what failed. */
export async function startServers(names: readonly string[]): Promise<Servers> {
  const binaries = binariesFolder()
  const scratch = openScratch()
  const address = ownLoopback()
  let etcd: Etcd | undefined
  const servers = new Map<string, ApiServer>()
  const stop = async () => {
    await Promise.all([...servers.values()].map(server => server.stop()))
    await etcd?.daemon.kill()
    await scratch.remove()
  }
  try {
    etcd = await Etcd.start(binaries, address, scratch)
    for (const [index, name] of names.entries()) {
      const port = await freePort(address)
      const serviceCidr = `10.${96 + index}.0.0/16`
      const parts = { name, address, port, serviceCidr, binaries, scratch, etcdUrl: etcd.url }
      servers.set(name, new ApiServer(parts))
    }
    const starts = await Promise.allSettled([...servers.values()].map(server => server.start()))
    for (const start of starts) if (start.status === 'rejected') throw start.reason
  } catch (error) {
    await stop()
    throw error
  }
  const store = etcd
  const daemons = [store.daemon.pid, ...[...servers.values()].flatMap(({ pids }) => pids)]
  return {
    pids: daemons.filter(pid => pid !== undefined),
    get: name => found(servers, name),
    compact: () => store.compact(),
    stop,
  }
}

/**
 * Started before the first test of the file and stopped after the last. `setUp` is what the tests need
 * beside; it is no hook of its own, since the hooks of a file do not wait for each other.
 */
export function sharedServers(
  names: readonly string[],
  setUp: (servers: Servers) => Promise<void> = async () => undefined,
): Pick<Servers, 'get' | 'compact'> {
  let servers: Servers | undefined
  before(async () => {
    servers = await startServers(names)
    await setUp(servers)
  })
  after(() => servers?.stop())
  const started = () => {
    if (servers !== undefined) return servers
    throw new Error('the servers run from the first test of the file to its last')
  }
  return { get: name => started().get(name), compact: () => started().compact() }
}

function found(servers: ReadonlyMap<string, ApiServer>, name: string): ApiServer {
  const server = servers.get(name)
  if (server !== undefined) return server
  throw new Error(`there is no server ${name}, but ${[...servers.keys()].join(', ')}`)
}
