// The world of an interop test file: a sandbox of its own with sites in it, each a network namespace
// with a /run of its own, joined by a wire (a veth pair). Nothing of it can collide with another
// world, and nothing outlives it: the sandbox's end takes processes, devices and sockets along, also
// when the test's process is killed.

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Finished, RunOptions } from '../../../src/lab/process.ts'
import { addSpaces, endSandbox, mustRunIn, runIn, startSandbox } from '../../../src/lab/sandbox.ts'
import { type Spaces, spacesOf } from '../namespaces.ts'
import { missingRequirements } from '../requirements.ts'

export const hawser = fileURLToPath(new URL('../../../bin/hawser', import.meta.url))
export const hawserWg = fileURLToPath(new URL('../../../bin/hawser-wg', import.meta.url))

/** Only what hangs takes so long. */
const timeoutMs = 120_000
const endLimitMs = 30_000

/** A network namespace with a /run of its own. */
export class Site {
  readonly name: string
  readonly #world: World

  constructor(world: World, name: string) {
    this.#world = world
    this.name = name
  }

  /** Runs a program to its end, whatever that is. */
  run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return this.#world.spaces.run(this.name, command, { timeoutMs, ...options })
  }

  /** Runs a program that must succeed, and returns what it printed. */
  async must(command: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(command, options)
    assert.equal(code, 0, `${this.name}: ${command.join(' ')}\n${stdout}${stderr}`)
    return stdout
  }

  /** A shell script that stops at the first failure; `args` are its $1, $2, …. */
  sh(script: string, ...args: readonly string[]): Promise<string> {
    return this.must(['sh', '-ec', script, 'sh', ...args])
  }

  /** `ip` with arguments that hold no spaces. */
  ip(command: string): Promise<string> {
    return this.must(['ip', ...command.split(' ')])
  }

  start(command: readonly string[]): ChildProcess {
    return this.#world.spaces.start(this.name, command)
  }

  /** Where a file of this site's /run is seen by the test itself. */
  outside(path: string): string {
    return this.#world.spaces.path(this.name, path)
  }
}

export class World {
  readonly #label: string
  readonly #names: readonly string[]
  #spaces: Spaces | undefined

  constructor(label: string, names: readonly string[]) {
    this.#label = label
    this.#names = names
  }

  get spaces(): Spaces {
    assert.ok(this.#spaces !== undefined, 'the world has begun')
    return this.#spaces
  }

  async begin(): Promise<void> {
    const problems = missingRequirements()
    assert.deepEqual(problems, [], `interop cannot run here: ${problems.join('; ')}`)
    const sandbox = await startSandbox(`hawser-interop-${this.#label}-${process.pid}`)
    this.#spaces = spacesOf(sandbox)
    await addSpaces(sandbox, this.#names)
  }

  async end(): Promise<void> {
    if (this.#spaces !== undefined) await endSandbox(this.#spaces.sandbox, endLimitMs)
  }

  site(name: string): Site {
    return new Site(this, name)
  }

  /** Runs a program in the sandbox outside of all sites, where their namespaces have names. */
  run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return runIn(this.spaces.sandbox, undefined, command, { timeoutMs, ...options })
  }

  must(command: readonly string[], options: RunOptions = {}): Promise<string> {
    return mustRunIn(this.spaces.sandbox, undefined, command, { timeoutMs, ...options })
  }

  /** A wire between two sites: a veth pair with an interface of this name at both ends. */
  async wire(left: Site, right: Site, name: string): Promise<void> {
    const script = `
      ip link add name "$1" netns "$2" type veth peer name "$1" netns "$3"
      ip -n "$2" link set "$1" up
      ip -n "$3" link set "$1" up`
    await this.must(['sh', '-ec', script, 'sh', name, left.name, right.name])
  }
}

/**
 * Makes a world for the tests of a file; it begins before the first and ends after the last.
 * `prepare` is part of its beginning: hooks of a file do not wait for each other.
 */
export function worldOfFile(
  label: string,
  names: readonly string[],
  prepare: () => Promise<void> = async () => {},
): World {
  const world = new World(label, names)
  before(async () => {
    await world.begin()
    await prepare()
  })
  after(() => world.end())
  return world
}
