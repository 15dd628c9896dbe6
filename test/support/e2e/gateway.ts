// `hawser datapath` in a space of a test: started as a supervisor does it, fed over its socket, ended
// in whatever way the test wants. What it logged is part of every failure.

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { collect, ended } from '../../../src/lab/process.ts'
import type { CableStatus, DatapathStatus } from '../../../src/tables/status.ts'
import type { CableTable, DeviceTable } from '../../../src/tables/tables.ts'
import { DatapathClient } from '../../../src/wire/client.ts'
import { eventually } from '../eventually.ts'
import type { Spaces } from '../namespaces.ts'

export const hawser = fileURLToPath(new URL('../../../bin/hawser', import.meta.url))

/** The cable's device in every gateway's space. */
export const device = 'gw0'

export class Gateway {
  readonly space: string
  readonly interfaceName: string
  client: DatapathClient
  readonly #spaces: Spaces
  readonly #output: () => { stdout: Buffer; stderr: Buffer }
  readonly #ended: Promise<number>

  static async start(
    spaces: Spaces,
    space: string,
    interfaceName = device,
    ...options: readonly string[]
  ): Promise<Gateway> {
    const command = [hawser, 'datapath', '--interface', interfaceName, ...options]
    const child = spaces.start(space, command)
    const output = collect(child)
    const log = () => output().stderr.toString()
    let exitCode: number | undefined
    const end = ended(child)
    child.once('exit', code => {
      exitCode = code ?? -1
    })
    await eventually(() => exitCode !== undefined || log().includes('is served on'), log)
    assert.equal(exitCode, undefined, `${space}: the gateway has ended\n${log()}`)
    const client = await DatapathClient.connect(spaces.path(space, socketOf(interfaceName)))
    return new Gateway(spaces, space, interfaceName, child, output, end, client)
  }

  private constructor(
    spaces: Spaces,
    space: string,
    interfaceName: string,
    child: ChildProcess,
    output: () => { stdout: Buffer; stderr: Buffer },
    end: Promise<number>,
    client: DatapathClient,
  ) {
    this.#spaces = spaces
    this.space = space
    this.interfaceName = interfaceName
    this.#output = output
    this.#ended = end
    this.client = client
    // A connection that is open keeps the test's process from ending.
    child.once('exit', () => this.client.close())
  }

  get log(): string {
    return this.#output().stderr.toString()
  }

  /** A further connection. */
  connect(): Promise<DatapathClient> {
    return DatapathClient.connect(this.#spaces.path(this.space, socketOf(this.interfaceName)))
  }

  /** Posts tables as the generation behind the one in force. */
  async apply(tableDevice: DeviceTable, cables: readonly CableTable[]): Promise<void> {
    const { generation } = await this.client.status()
    await this.client.apply({ generation: generation + 1, device: tableDevice, cables })
  }

  status(): Promise<DatapathStatus> {
    return this.client.status()
  }

  async cable(name: string): Promise<CableStatus> {
    const { cables } = await this.client.status()
    const cable = cables.find(other => other.name === name)
    assert.ok(cable, `${this.space} has no cable ${name}`)
    return cable
  }

  /** How often a reason was counted: under a cable, or where none was known. */
  async drops(reason: string, cable?: string): Promise<number> {
    const { drops } = cable === undefined ? await this.status() : await this.cable(cable)
    return drops[reason] ?? 0
  }

  /** Sends a signal to the daemon and gives its exit code. */
  async end(signal = 'TERM'): Promise<number> {
    const { pid } = await this.status()
    await this.#spaces.mustRun(this.space, ['kill', '-s', signal, String(pid)])
    return await this.#ended
  }

  /** The exit code of a daemon that ends by itself. */
  get exitCode(): Promise<number> {
    return this.#ended
  }
}

function socketOf(interfaceName: string): string {
  return `/run/hawser/${interfaceName}.sock`
}

/** Waits until a reason was counted so often more than before. */
export async function untilDropped(
  gateway: Gateway,
  reason: string,
  cable: string | undefined,
  count: number,
): Promise<void> {
  let seen = 0
  await eventually(
    async () => {
      seen = await gateway.drops(reason, cable)
      return seen >= count
    },
    () => `${reason} was counted ${seen} times on ${cable ?? 'no cable'}, not ${count}`,
  )
}
