// `hawser capture`: packets of a data path as pcapng, into a file, a rotating set or a pipe.
//
//   hawser capture west host 10.2.0.7 and tcp port 80 -w west.pcapng
//   hawser capture | wireshark -k -i -
//
// Words that name cables come first, the filter is the rest. What arrives faster than it can be written
// is lost in the data path, which never waits, and counted. Ctrl-C ends a capture with a whole file.

import { Command, InvalidArgumentError, Option } from 'commander'
import { parseFilter, startsFilter } from '../capture/filter.ts'
import { ethernetBytes } from '../capture/pcapng.ts'
import { exitCode, GatewayError } from '../net/errors.ts'
import { type CaptureBlock, type CaptureRequest, captureLimits } from '../tables/capture.ts'
import { DatapathClient } from '../wire/client.ts'
import { wipeTables } from '../wire/tables.ts'
import { CaptureSection, type SectionOptions } from './capture-file.ts'
import {
  fileSink,
  ReaderGone,
  RotatingFiles,
  type Sink,
  standardOutputSink,
} from './capture-sink.ts'
import { integerWithin, withSocket } from './datapath.ts'
import { findSocket, type SocketChoice } from './find-socket.ts'

interface Flags extends SocketChoice {
  readonly write?: string
  readonly super?: boolean
  readonly snaplen: number
  readonly count?: number
  readonly duration?: number
  readonly rotate?: number
  readonly files?: number
  readonly stage: 'inner' | 'wire' | 'all'
  readonly keys?: boolean
}

/** Bytes that wait to be written before no more are taken from the data path. */
const queuedBytesMost = 4 * 1024 * 1024

const { least, most } = captureLimits.snaplenBytes

export function captureCommand(): Command {
  return withSocket(new Command('capture'))
    .description('capture packets as pcapng, for Wireshark and tcpdump')
    .argument('[words...]', 'names of cables, then a filter like: host 10.1.0.7 and tcp port 80')
    .option('-w, --write <file>', 'where to; "-" is standard output, the default')
    .option('--super', 'superpackets whole, in place of the segments that leave')
    .option(
      '--snaplen <bytes>',
      'kept of each packet',
      integerWithin(ethernetBytes + least, ethernetBytes + most),
      ethernetBytes + most,
    )
    .addOption(
      new Option('--stage <stage>', 'packets of the pods, datagrams on the wire, or both')
        .choices(['inner', 'wire', 'all'])
        .default('all'),
    )
    .option('-c, --count <packets>', 'end after so many', integerWithin(1, 999_999_999))
    .option('--duration <seconds>', 'end after so long', integerWithin(1, 9_999_999))
    .option('--rotate <size>', 'begin a new file after so many bytes: 100M', sizeOf)
    .option('--files <n>', 'keep that many, the newest', integerWithin(1, 99_999))
    .option(
      '--keys',
      'new sessions, and their keys in the file: Wireshark opens what is on the wire',
    )
    .action(async (words: readonly string[], flags: Flags) => await capture(words, flags))
}

async function capture(words: readonly string[], flags: Flags): Promise<void> {
  const request = requestOf(words, flags)
  checkOutput(flags)
  const client = await DatapathClient.connect(findSocket(flags))
  const tables = flags.keys ? await client.readTables({ keys: true }) : undefined
  if (flags.keys) await warn(client, request)
  const { filter, snaplenBytes } = request
  const section = { application: 'hawser', filter, snaplenBytes }
  const ending = new Ending(flags.duration)
  try {
    await new Recording(client, flags, { ...section, ...(tables ? { tables } : {}) }, ending).run(
      request,
    )
  } finally {
    ending.forget()
    client.close()
    if (tables) wipeTables(tables)
  }
}

/** What a file with keys is, and what they do not open. */
async function warn(client: DatapathClient, { cables }: CaptureRequest): Promise<void> {
  const isCaptured = (name: string) => cables?.includes(name) ?? true
  const { cables: all } = await client.status()
  const sealed = all.filter(({ name, cipher }) => isCaptured(name) && cipher === 'aes-256-gcm')
  process.stderr.write(
    'the private key of this gateway goes into the capture: whoever has it reads these sessions\n',
  )
  if (sealed.length > 0) {
    const names = sealed.map(({ name }) => name).join(', ')
    process.stderr.write(`Wireshark opens no AES: the datagrams of ${names} stay closed\n`)
  }
}

function requestOf(words: readonly string[], flags: Flags): CaptureRequest {
  const found = words.findIndex(startsFilter)
  const start = found < 0 ? words.length : found
  const filter = words.slice(start).join(' ')
  // Here too, so that a typing error needs no data path to be found.
  parseFilter(filter)
  const { stage, keys = false } = flags
  if (keys && stage === 'inner') throw usage('--keys is about --stage wire or all')
  if (keys && flags.rotate !== undefined)
    throw usage('--keys and --rotate: a file without the handshake cannot be opened by its keys')
  return {
    ...(start === 0 ? {} : { cables: words.slice(0, start) }),
    filter,
    snaplenBytes: flags.snaplen - ethernetBytes,
    whole: flags.super ?? false,
    inner: stage !== 'wire',
    wire: stage !== 'inner',
    keys,
  }
}

function checkOutput({ write = '-', rotate, files }: Flags): void {
  if (rotate !== undefined && write === '-') throw usage('--rotate needs files: -w FILE')
  if (files !== undefined && rotate === undefined) throw usage('--files needs --rotate SIZE')
  if (write === '-' && process.stdout.isTTY)
    throw new GatewayError('USAGE', 'packets are not written to a terminal', {
      hint: 'hawser capture -w FILE, or hawser capture | tcpdump -n -r -',
      exit: exitCode.usage,
    })
}

function usage(message: string): GatewayError {
  return new GatewayError('USAGE', message, { hint: 'hawser help capture', exit: exitCode.usage })
}

/** `100M`: bytes, with k, M or G for powers of 1024. */
function sizeOf(text: string): number {
  const match = /^(\d{1,9})([kKmMgG]?)$/.exec(text)
  const power = { '': 0, k: 1, m: 2, g: 3 }[match?.[2].toLowerCase() ?? ''] ?? 0
  const bytes = Number(match?.[1] ?? 0) * 1024 ** power
  if (bytes >= 4096) return bytes
  throw new InvalidArgumentError('expected a size of at least 4k, like 100M')
}

/** What ends a capture from outside: a signal or the time. The second signal has its usual effect. */
class Ending {
  readonly over: Promise<void>
  isOver = false
  #forget = () => {}

  constructor(durationSeconds: number | undefined) {
    this.over = new Promise(resolve => {
      const signals = ['SIGINT', 'SIGTERM'] as const
      const end = () => {
        this.isOver = true
        this.#forget()
        resolve()
      }
      const timer =
        durationSeconds === undefined ? undefined : setTimeout(end, durationSeconds * 1000)
      this.#forget = () => {
        clearTimeout(timer)
        for (const name of signals) process.off(name, end)
      }
      for (const name of signals) process.on(name, end)
    })
  }

  forget(): void {
    this.#forget()
  }
}

/** In front of the first file. */
const nowhere: Sink = { name: '', bytes: 0, async write() {}, close() {} }

class Recording {
  readonly #client: DatapathClient
  readonly #flags: Flags
  readonly #section: CaptureSection
  readonly #ending: Ending
  readonly #files: RotatingFiles | undefined
  readonly #queue: CaptureBlock[] = []
  #queuedBytes = 0
  #wake = () => {}
  #isClosed = false
  #sink: Sink = nowhere

  constructor(client: DatapathClient, flags: Flags, options: SectionOptions, ending: Ending) {
    const { write = '-', rotate, files = Number.POSITIVE_INFINITY } = flags
    this.#client = client
    this.#flags = flags
    this.#section = new CaptureSection(options)
    this.#ending = ending
    this.#files = rotate === undefined ? undefined : new RotatingFiles(write, files)
  }

  /** Captures until it is over. A file of that name is only replaced once a capture has begun. */
  async run(request: CaptureRequest): Promise<void> {
    void this.#ending.over.then(() => this.#wake())
    void this.#client.closed.then(() => {
      this.#isClosed = true
      this.#wake()
    })
    await this.#client.capture(request, block => this.#take(block))
    const { write = '-' } = this.#flags
    this.#sink = this.#files?.next() ?? (write === '-' ? standardOutputSink() : fileSink(write))
    try {
      // A reader is told at once what is to come.
      await this.#sink.write(this.#section.begin())
      process.stderr.write(`capturing to ${this.#sink.name}; Ctrl-C ends it\n`)
      await this.#write()
      // What is on its way belongs to it.
      if (!this.#isFull() && !this.#isClosed) {
        await this.#client.endCapture().catch(() => undefined)
        await this.#write()
      }
      await this.#sink.write(joined([...this.#section.end()]))
      this.#summary()
      if (this.#isClosed && !this.#ending.isOver && !this.#isFull()) {
        const reason = await this.#client.closed
        throw new GatewayError('UNREACHABLE', `the data path ended the capture: ${reason}`, {
          hint: 'hawser status',
          exit: exitCode.unreachable,
        })
      }
    } catch (error) {
      if (error instanceof ReaderGone) return
      if (this.#section.packets > 0 && !this.#isClosed) this.#summary()
      throw error
    } finally {
      this.#sink.close()
    }
  }

  #take(block: CaptureBlock): void {
    this.#queue.push(block)
    this.#queuedBytes += block.outbound.length + block.inbound.length
    // At the end two rings at most are still to come, and the answer behind them.
    if (this.#queuedBytes > queuedBytesMost && !this.#ending.isOver) this.#client.pause()
    this.#wake()
  }

  async #write(): Promise<void> {
    while (!this.#isFull()) {
      const block = this.#queue.shift()
      if (block === undefined) {
        if (this.#ending.isOver || this.#isClosed) return
        await new Promise<void>(resolve => {
          this.#wake = resolve
          // What happened between the last look and now is not missed.
          if (this.#queue.length > 0 || this.#ending.isOver || this.#isClosed) resolve()
        })
        continue
      }
      await this.#writeBlock(block)
      this.#queuedBytes -= block.outbound.length + block.inbound.length
      if (this.#queuedBytes <= queuedBytesMost) this.#client.resume()
    }
  }

  async #writeBlock(block: CaptureBlock): Promise<void> {
    const { rotate = Number.POSITIVE_INFINITY, count = Number.POSITIVE_INFINITY } = this.#flags
    let parts: Uint8Array[] = []
    let bytes = 0
    for (const part of this.#section.take(block, count - this.#section.packets)) {
      parts.push(part)
      bytes += part.length
      if (this.#files !== undefined && this.#sink.bytes + bytes >= rotate) {
        await this.#sink.write(joined([...parts, ...this.#section.end()]))
        this.#sink.close()
        this.#sink = this.#files.next()
        parts = [this.#section.begin()]
        bytes = parts[0].length
      }
    }
    if (parts.length > 0) await this.#sink.write(joined(parts))
  }

  #isFull(): boolean {
    return this.#section.packets >= (this.#flags.count ?? Number.POSITIVE_INFINITY)
  }

  #summary(): void {
    const { packets, lost } = this.#section
    const what = `${packets} ${packets === 1 ? 'packet' : 'packets'} captured`
    const missed = lost === 0 ? '' : `, ${lost} lost: they came faster than they were written`
    process.stderr.write(`${what}${missed}\n`)
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts)
}
