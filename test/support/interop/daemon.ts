// A userspace WireGuard daemon in a site: Hawser or Debian's wireguard-go, in the foreground, with
// its log at hand for the message of a failed test.

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { collect, ended } from '../../../src/lab/process.ts'
import { eventually, hawser, patienceMs, type Site } from './world.ts'

export type Kind = 'hawser' | 'wireguard-go'

/** The line that each writes when its UAPI socket listens. */
const readyLine = { hawser: ': serving /', 'wireguard-go': 'UAPI listener started' } as const

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
    await eventually(`${this.kind} on ${this.site.name} serves:\n${this.log}`, () => {
      assert.ok(!this.hasEnded, `${this.kind} ended with ${this.#exitCode}:\n${this.log}`)
      return this.log.includes(readyLine[this.kind])
    })
  }

  /** Its exit code, when it has ended by itself. */
  async exit(): Promise<number> {
    await eventually(`${this.kind} has ended:\n${this.log}`, () => this.hasEnded)
    return await this.#ended
  }

  signal(name: string): Promise<string> {
    return this.site.must(['kill', '-s', name, String(this.pid)])
  }

  /** Deletes the interface, which ends any of these daemons; what remains is killed. */
  async stop(): Promise<void> {
    if (!this.hasEnded) {
      const pid = String(this.pid)
      await this.site.run(['ip', 'link', 'delete', this.interfaceName])
      const end = performance.now() + patienceMs / 3
      while (!this.hasEnded && performance.now() < end) await new Promise(setImmediate)
      if (!this.hasEnded) await this.site.run(['kill', '-s', 'KILL', pid])
    }
    await this.#ended
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
  const program = kind === 'hawser' ? [hawser, 'wg'] : ['wireguard-go']
  const script = 'echo "pid $$"; exec env "$@"'
  const command = [...assignments, ...program, '-f', interfaceName]
  const child = site.start(['sh', '-c', script, 'sh', ...command])
  const daemon = new Daemon(site, kind, interfaceName, child)
  await daemon.ready()
  return daemon
}
