// The one file that a lab leaves outside of its sandbox: who its holder is and what it looks like.
// A lab exists when its holder does; a file without one is what a killed lab left, and is ignored.

import {
  accessSync,
  constants,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { GatewayError } from '../net/errors.ts'
import { labCommandLine } from './hints.ts'
import { isAlive, type Sandbox } from './sandbox.ts'
import type { LabOptions } from './topology.ts'

export interface LabState extends LabOptions, Sandbox {
  /** Numbers of processes start anew with each boot. */
  readonly bootId: string
}

/** The state of a lab that is up, else nothing. What a dead one left is removed. */
export function findLab(name: string): LabState | undefined {
  const directory = labDirectory(name)
  let text: string
  try {
    text = readFileSync(join(directory, 'state.json'), 'utf8')
  } catch {
    return undefined
  }
  const state = parseState(text)
  if (state !== undefined && state.bootId === bootId() && isAlive(state)) return state
  rmSync(directory, { recursive: true, force: true })
  return undefined
}

/** Like `findLab`, and throws with the names of the labs that are up. */
export function mustFindLab(name: string): LabState {
  const state = findLab(name)
  if (state !== undefined) return state
  const others = runningLabs()
  throw new GatewayError('ENOENT', `lab ${name} is not up`, {
    hint: others.length === 0 ? labCommandLine({ name }, 'up') : `--name ${others.join(' or ')}`,
    exit: 3,
  })
}

/** Writes the state of a new lab. Throws EEXIST when another one of that name came first. */
export function claimLab(options: LabOptions, sandbox: Sandbox): LabState {
  const { name, driver, clusters, cipher } = options
  const { pid, startTime, rootless } = sandbox
  const state: LabState = {
    ...{ name, driver, clusters, pid, startTime, rootless, bootId: bootId() },
    ...(cipher === undefined ? {} : { cipher }),
  }
  const directory = labDirectory(name)
  const draft = join(directory, `.state.${process.pid}`)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  writeFileSync(draft, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 })
  try {
    // link(2) fails when the name is taken and never shows half a file: that is the lock.
    linkSync(draft, join(directory, 'state.json'))
  } catch (cause) {
    throw alreadyUp(name, cause)
  } finally {
    rmSync(draft, { force: true })
  }
  return state
}

export function forgetLab(name: string): void {
  rmSync(labDirectory(name), { recursive: true, force: true })
}

export function alreadyUp(name: string, cause?: unknown): GatewayError {
  return new GatewayError('EEXIST', `lab ${name} is already up`, {
    hint: `${labCommandLine({ name }, 'down')}, or take another --name`,
    cause,
  })
}

function runningLabs(): string[] {
  try {
    return readdirSync(stateDirectory()).filter(name => findLab(name) !== undefined)
  } catch {
    return []
  }
}

function labDirectory(name: string): string {
  return join(stateDirectory(), name)
}

// Root of a user namespace may not write to /run, and user nobody has no home: the first place
// that can be written is taken, which is the same one for the same user every time.
function stateDirectory(): string {
  const uid = process.geteuid?.() ?? 0
  const runtime = process.env['XDG_RUNTIME_DIR']
  const places = [
    ...(uid === 0 ? ['/run/hawser/lab'] : []),
    ...(runtime === undefined ? [] : [join(runtime, 'hawser/lab')]),
    join(homedir(), '.cache/hawser/lab'),
    join(tmpdir(), `hawser-${uid}`, 'lab'),
  ]
  const place = places.find(isWritable)
  if (place === undefined)
    throw new GatewayError('EACCES', `cannot write to any of ${places.join(', ')}`, {
      hint: 'set XDG_RUNTIME_DIR to a directory of yours',
    })
  return place
}

function isWritable(directory: string): boolean {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    accessSync(directory, constants.W_OK)
    // Below /tmp somebody else may have made it first, with a state that names our processes.
    const { uid, mode } = lstatSync(directory)
    return uid === process.geteuid?.() && (mode & 0o022) === 0
  } catch {
    return false
  }
}

function parseState(text: string): LabState | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}
