// Traffic between spaces, checked byte for byte, by the programs beside this file.

import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { collect } from '../../../src/lab/process.ts'
import { eventually } from '../eventually.ts'
import type { Spaces } from '../namespaces.ts'

const program = fileURLToPath(new URL('./traffic-program.ts', import.meta.url))
const packets = fileURLToPath(new URL('./packets.py', import.meta.url))

/** Where `echo` listens. */
export const echoPort = 7000

const timeoutMs = 60_000

async function run<Result>(spaces: Spaces, space: string, args: readonly unknown[]) {
  const command = [process.execPath, program, ...args.map(String)]
  const { code, stdout, stderr } = await spaces.run(space, command, { timeoutMs })
  assert.equal(code, 0, `${space}: ${args.join(' ')}: ${stdout}${stderr}`)
  return (stdout === '' ? undefined : JSON.parse(stdout)) as Result
}

/** Answers TCP and UDP in a space until the test ends. */
export async function startEcho(spaces: Spaces, space: string): Promise<void> {
  const child = spaces.start(space, [process.execPath, program, 'echo', String(echoPort)])
  const output = collect(child)
  await eventually(
    () => output().stdout.includes('ready'),
    () => output().stderr.toString(),
  )
}

/** Sends bytes on TCP streams at the same time, and reads each back. */
export async function exchangeTcp(
  spaces: Spaces,
  space: string,
  host: string,
  bytes: number,
  streams = 1,
): Promise<void> {
  const args = ['tcp', host, echoPort, bytes, streams]
  const result = await run<{ bytes: number }>(spaces, space, args)
  assert.equal(result.bytes, bytes * streams)
}

export interface Exchanged {
  readonly sent: number
  /** Datagrams that had to be sent again. */
  readonly resent: number
}

/** Sends datagrams one by one and reads each back. */
export function exchangeUdp(
  spaces: Spaces,
  space: string,
  host: string,
  count: number,
  bytes: number,
): Promise<Exchanged> {
  return run(spaces, space, ['udp', host, echoPort, count, bytes])
}

export interface Train {
  readonly bytes: number
  readonly count: number
  readonly rounds: number
  /** False: routers may fragment. */
  readonly dontFragment: boolean
}

/** Sends UDP_SEGMENT trains and reads each datagram back. */
export async function exchangeTrains(
  spaces: Spaces,
  space: string,
  host: string,
  { bytes, count, rounds, dontFragment }: Train,
): Promise<Exchanged> {
  const args = [host, echoPort, bytes, count, rounds, dontFragment ? 1 : 0].map(String)
  const command = ['python3', packets, 'train', ...args]
  return JSON.parse(await spaces.mustRun(space, command, { timeoutMs }))
}

/** Sends IP packets as they are. */
export async function sendRaw(
  spaces: Spaces,
  space: string,
  list: readonly Uint8Array[],
): Promise<void> {
  const input = list.map(bytes => `${Buffer.from(bytes).toString('hex')}\n`).join('')
  await spaces.mustRun(space, ['python3', packets, 'raw'], { input })
}

export interface Answer {
  readonly from: string
  readonly port: number
  readonly hex: string
}

/** Sends a datagram until it is answered. */
export function askUdp(
  spaces: Spaces,
  space: string,
  host: string,
  port: number,
  bytes: Uint8Array,
): Promise<Answer> {
  return run(spaces, space, ['ask', host, port, Buffer.from(bytes).toString('hex')])
}

export async function sendUdp(
  spaces: Spaces,
  space: string,
  host: string,
  port: number,
  datagrams: readonly Uint8Array[],
): Promise<void> {
  const hex = datagrams.map(bytes => Buffer.from(bytes).toString('hex'))
  await run(spaces, space, ['send', host, port, ...hex])
}

/** A connection that exchanges messages for as long as the test lasts. */
export class Steady {
  readonly #output: () => { stdout: Buffer; stderr: Buffer }
  #exitCode: number | undefined

  constructor(spaces: Spaces, space: string, host: string, messageBytes: number) {
    const args = ['steady', host, String(echoPort), String(messageBytes)]
    const child = spaces.start(space, [process.execPath, program, ...args])
    this.#output = collect(child)
    child.once('exit', code => {
      this.#exitCode = code ?? -1
    })
  }

  /** Messages that came back. */
  get count(): number {
    return this.#output().stdout.toString().split('\n').length - 1
  }

  /** Waits for further messages. Fails when the connection has ended. */
  async moves(messages = 3): Promise<void> {
    const wanted = this.count + messages
    await eventually(
      () => {
        assert.equal(this.#exitCode, undefined, this.#output().stderr.toString())
        return this.count >= wanted
      },
      () => `${this.count} messages of ${wanted} came back`,
      // After an outage TCP tries again at twice the interval each time.
      60_000,
    )
  }
}

/** Pings until the first answer: a cold start may cost a packet or two. */
export async function pingUntilAnswered(spaces: Spaces, space: string, host: string) {
  const { code, stdout } = await spaces.run(space, [
    'ping',
    '-c',
    '1',
    '-w',
    '20',
    '-i',
    '0.2',
    host,
  ])
  assert.equal(code, 0, `${space}: ping ${host}\n${stdout}`)
}

/** Pings so often, each of which must be answered. */
export async function ping(
  spaces: Spaces,
  space: string,
  host: string,
  ...options: readonly string[]
): Promise<void> {
  const command = ['ping', '-c', '3', '-i', '0.05', '-w', '10', ...options, host]
  const { code, stdout } = await spaces.run(space, command)
  assert.ok(code === 0 && stdout.includes(' 0% packet loss'), `${command.join(' ')}\n${stdout}`)
}
