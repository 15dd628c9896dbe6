// A userspace WireGuard daemon in a site: Hawser or Debian's wireguard-go, in the foreground, with
// its log at hand for the message of a failed test.

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { collect, ended } from '../../../src/lab/process.ts'
import type { DatapathStatus } from '../../../src/tables/status.ts'
import { eventually } from '../eventually.ts'
import { hawser, type Site } from './world.ts'

/** `observed`: Hawser that also tells its status. */
export type Kind = 'hawser' | 'observed' | 'wireguard-go'

/** The line that each writes when its UAPI socket listens. */
const readyLine = {
  hawser: ': serving /',
  observed: ': serving /',
  'wireguard-go': 'UAPI listener started',
} as const

const observedProgram = fileURLToPath(new URL('observed-daemon.ts', import.meta.url))

const programOf: Readonly<Record<Kind, readonly string[]>> = {
  hawser: [hawser, 'wg', '-f'],
  observed: [process.execPath, observedProgram],
  'wireguard-go': ['wireguard-go', '-f'],
}

/** Its interface is deleted to end it; who has not ended then is killed. */
const endLimitMs = 10_000

export class Daemon {
  readonly site: Site
  readonly kind: Kind
  readonly interfaceName: string
  readonly #child: ChildProcess
  readonly #output: () => { stdout: Buffer; stderr: Buffer }
  readonly #ended: Promise<number>
  #exitCode: number | undefined

  constructor(site: Site, kind: Kind, interfaceName: string, child: ChildProcess) {
    this.site = site
    this.kind = kind
    this.interfaceName = interfaceName
    this.#child = child
    this.#output = collect(child)
    this.#ended = ended(child)
    this.#ended.then(
      code => {
        this.#exitCode = code
      },
      () => {},
    )
  }

  get log(): string {
    const { stdout, stderr } = this.#output()
    return `${stdout}${stderr}`
  }

  get hasEnded(): boolean {
    return this.#exitCode !== undefined
  }

  /** Its process, as a number in the sandbox. */
  get pid(): number {
    const pid = Number(/^pid (\d+)$/m.exec(this.log)?.[1])
    assert.ok(pid > 1, this.log)
    return pid
  }

  async ready(): Promise<void> {
    const isReady = () => {
      assert.ok(!this.hasEnded, `${this.kind} ended with ${this.#exitCode}:\n${this.log}`)
      return this.log.includes(readyLine[this.kind])
    }
    await eventually(isReady, () => this.log)
  }

  /** Its exit code, when it has ended by itself. */
  async exit(): Promise<number> {
    await eventually(
      () => this.hasEnded,
      () => this.log,
    )
    return await this.#ended
  }

  signal(name: string): Promise<string> {
    return this.site.must(['kill', '-s', name, String(this.pid)])
  }

  async stop(): Promise<void> {
    if (!this.hasEnded) {
      const pid = String(this.pid)
      await this.site.run(['ip', 'link', 'delete', this.interfaceName])
      const kill = setTimeout(() => this.site.run(['kill', '-s', 'KILL', pid]), endLimitMs)
      await this.#ended
      clearTimeout(kill)
    }
    this.#child.removeAllListeners()
  }

  wg(...args: readonly string[]): Promise<string> {
    return this.site.must(['wg', ...args])
  }

  /** `wg setconf`, `addconf` or `syncconf` with this text for a file. */
  async configure(action: string, text: string): Promise<void> {
    // Standard input is a socket, which cannot be opened by its name; that of wg is a pipe.
    const script = 'cat | wg "$1" "$2" /dev/stdin'
    await this.site.must(['sh', '-c', script, 'sh', action, this.interfaceName], { input: text })
  }

  /** What an observed daemon counts. */
  async status(): Promise<DatapathStatus> {
    const lines = () => this.log.split('\n').filter(line => line.startsWith('{'))
    const before = lines().length
    await this.signal('USR2')
    await eventually(
      () => lines().length > before,
      () => this.log,
    )
    return JSON.parse(lines()[before])
  }
}

/** Starts a daemon and returns when it can be configured. */
export async function startDaemon(
  site: Site,
  kind: Kind,
  interfaceName: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Daemon> {
  const variables = { WG_PROCESS_FOREGROUND: '1', LOG_LEVEL: 'verbose', ...environment }
  const assignments = Object.entries(variables).map(([name, value]) => `${name}=${value}`)
  const script = 'echo "pid $$"; exec env "$@"'
  const command = [...assignments, ...programOf[kind], interfaceName]
  const child = site.start(['sh', '-c', script, 'sh', ...command])
  const daemon = new Daemon(site, kind, interfaceName, child)
  await daemon.ready()
  return daemon
}
