// Traffic through a tunnel by real programs: ping, HTTP with the content checked, iperf3.

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { collect, ended } from '../../../src/lab/process.ts'
import { eventually } from '../eventually.ts'
import type { Site, World } from './world.ts'

/** Sends until `count` answers have come; fails when they have not after 20 s. */
export async function ping(
  from: Site,
  address: string,
  { count = 3, sizes = [56] }: { count?: number; sizes?: readonly number[] } = {},
): Promise<void> {
  const script = `
    address=$1
    for size in ${sizes.join(' ')}; do
      ping -q -n -c ${count} -i 0.02 -w 20 -s $size "$address" || {
        echo "ping of $size bytes to $address failed" >&2
        exit 1
      }
    done`
  await from.sh(script, address)
}

export interface PingCount {
  readonly sent: number
  readonly received: number
  /** Those that were not answered though a later one was; the last ones may be under way. */
  readonly lost: number
}

/** A ping that runs until it is told to stop, and then tells what it counted. */
export class RunningPing {
  readonly #child: ChildProcess
  readonly #output: () => { stdout: Buffer; stderr: Buffer }
  readonly #site: Site
  readonly #ended: Promise<number>

  constructor(site: Site, address: string, intervalSeconds: number) {
    this.#site = site
    const command = ['ping', '-n', '-O', '-i', String(intervalSeconds), address]
    this.#child = site.start(['sh', '-c', 'echo "pid $$"; exec "$@"', 'sh', ...command])
    this.#output = collect(this.#child)
    this.#ended = ended(this.#child)
  }

  get log(): string {
    const { stdout, stderr } = this.#output()
    return `${stdout}${stderr}`
  }

  get answers(): number {
    return this.log.match(/ bytes from /g)?.length ?? 0
  }

  /** Resolves when so many more answers have come. */
  async more(count: number): Promise<void> {
    const wanted = this.answers + count
    await eventually(
      () => this.answers >= wanted,
      () => this.log.slice(-400),
    )
  }

  async stop(): Promise<PingCount> {
    const pid = /^pid (\d+)$/m.exec(this.log)?.[1]
    assert.ok(pid !== undefined, this.log)
    await this.#site.must(['kill', '-s', 'INT', pid])
    await this.#ended
    const sent = Number(/(\d+) packets transmitted/.exec(this.log)?.[1])
    const answers = this.log.matchAll(/ bytes from .* icmp_seq=(\d+) /g)
    const answered = new Set([...answers].map(([, sequence]) => Number(sequence)))
    assert.ok(sent > 0 && answered.size > 0, this.log)
    return { sent, received: answered.size, lost: Math.max(...answered) - answered.size }
  }
}

const contentPort = 8080

/** Where a site has the content: in its own /run, which goes with it. */
const contentFile = '/run/content'

/** Random bytes that sites serve and send to each other. */
export class Content {
  readonly #bytes: Uint8Array
  readonly #hash: string

  constructor(byteCount: number) {
    this.#bytes = randomBytes(byteCount)
    this.#hash = createHash('sha256').update(this.#bytes).digest('hex')
  }

  /** Serves it at a site, on all its addresses, until the world ends. */
  async serve(site: Site): Promise<void> {
    writeFileSync(site.outside(contentFile), this.#bytes)
    const program = fileURLToPath(new URL('content-server.ts', import.meta.url))
    const child = site.start([process.execPath, program, String(contentPort), contentFile])
    const output = collect(child)
    await eventually(
      () => output().stdout.includes('listening'),
      () => `${output().stderr}`,
    )
  }

  /** Fetches it from an address and sends it there; both must arrive whole. */
  async exchange(from: Site, address: string): Promise<void> {
    const host = address.includes(':') ? `[${address}]` : address
    const script = `
      curl -sS --max-time 100 "$1" | sha256sum
      curl -sS --max-time 100 -T ${contentFile} "$1"`
    const url = `http://${host}:${contentPort}/`
    const [fetched, sent] = (await from.sh(script, url)).split('\n')
    assert.equal(fetched.slice(0, 64), this.#hash, `what ${url} sent`)
    assert.equal(sent, this.#hash, `what ${url} received`)
  }
}

/** Content served at these sites, for tests that exchange it. */
export async function contentAt(
  world: World,
  byteCount: number,
  ...names: readonly string[]
): Promise<Content> {
  const content = new Content(byteCount)
  for (const name of names) await content.serve(world.site(name))
  return content
}

const iperfPort = 5201

/** Serves iperf3 at a site, on all its addresses, until the world ends. */
export async function serveIperf(site: Site, port = iperfPort): Promise<void> {
  const output = collect(site.start(['iperf3', '-s', '--forceflush', '-p', String(port)]))
  await eventually(
    () => output().stdout.includes('Server listening'),
    () => `${output().stderr}`,
  )
}

/** Sends so many bytes to an iperf3 server, or has it send them; all must arrive. */
export async function transfer(
  from: Site,
  address: string,
  { megabytes, reverse = false }: { megabytes: number; reverse?: boolean },
): Promise<void> {
  const way = reverse ? ['-R'] : []
  const command = ['iperf3', '-J', '-C', 'cubic', '-n', `${megabytes}M`, ...way, '-c', address]
  const { end } = JSON.parse(await from.must(command))
  const received = end.sum_received.bytes
  // What is under way at the end is not counted.
  assert.ok(received > 0.9 * megabytes * 2 ** 20, `${received} bytes of ${megabytes} MiB arrived`)
}

/**
 * Traffic of one TCP connection that goes on until the function that this returns is called. The
 * server is used up: it may not hear that the connection has ended.
 */
export async function endlessTransfer(
  from: Site,
  address: string,
  { port, reverse }: { port: number; reverse: boolean },
): Promise<() => Promise<void>> {
  const way = reverse ? ['-R'] : []
  const command = ['iperf3', '--forceflush', '-t', '3600', '-C', 'cubic', ...way]
  const child = from.start([...command, '-p', String(port), '-c', address])
  const output = collect(child)
  const end = ended(child)
  await eventually(
    () => /\d [KMG]bits\/sec/.test(String(output().stdout)),
    () => `${output().stdout}${output().stderr}`,
  )
  return async () => {
    child.kill('SIGKILL')
    await end
  }
}
