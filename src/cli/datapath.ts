// Commands about the data path of this machine: `hawser datapath` runs it, `status`, `drops` and
// `apply` talk to it over its socket. Each collects a value, then prints it as text or as JSON in a
// versioned envelope. Errors are GatewayErrors, for main.ts to print. Exit codes: net/errors.ts.

import { fstatSync } from 'node:fs'
import { setInterval } from 'node:timers/promises'
import { Command, InvalidArgumentError, Option } from 'commander'
import { type LogLevel, logLevels } from '../daemon/log.ts'
import { exitCode } from '../net/errors.ts'
import type { DatapathStatus } from '../tables/status.ts'
import { DatapathClient, socketDirectory } from '../wire/client.ts'
import { plainStatus } from '../wire/status.ts'
import { wipeTables } from '../wire/tables.ts'
import { readTablesFile } from '../wire/tables-file.ts'
import {
  type DropCount,
  dropsOf,
  dropsSince,
  dropsText,
  explainedDrops,
  incrementLines,
} from './drops-view.ts'
import { findSocket, type SocketChoice, socketOf } from './find-socket.ts'
import { statusText } from './status-view.ts'

const apiVersion = 'hawser.io/v1alpha1'
const watchIntervalMs = 1000

/** Where a command writes its data, and what tells it to look again. */
export interface CommandOutput {
  readonly write: (text: string) => void
  /** Columns of the terminal; absent when there is none. */
  readonly widthMax: () => number | undefined
  /** Yields once for every further look of `--watch` and `--follow`. */
  readonly ticks: () => AsyncIterable<unknown>
}

export const standardOutput: CommandOutput = {
  write: text => void process.stdout.write(text),
  widthMax: () => (process.stdout.isTTY ? process.stdout.columns : undefined),
  ticks: () => setInterval(watchIntervalMs),
}

export function datapathCommands(out: CommandOutput = standardOutput): Command[] {
  return [datapathCommand(), statusCommand(out), dropsCommand(out), applyCommand(out)]
}

interface DatapathFlags {
  readonly interface: string
  readonly socket?: string
  readonly mtu?: number
  readonly pairs?: string
  readonly readyFd?: number
  readonly tables?: string
  readonly ephemeral?: boolean
  readonly logLevel: LogLevel
}

function datapathCommand(): Command {
  return new Command('datapath')
    .description('run the data path in the foreground, until SIGTERM or its device is deleted')
    .requiredOption('--interface <name>', 'TUN device, made or re-attached', interfaceName)
    .option('--socket <path>', `where to listen for tables (${socketDirectory}/NAME.sock)`)
    .option('--mtu <bytes>', 'MTU of the device', integerWithin(68, 65_535))
    .addOption(
      new Option(
        '--pairs <n>',
        'pairs of workers (HAWSER_PAIRS, else one for every two cores)',
      ).choices(['1', '2', '4', '8']),
    )
    .option('--ready-fd <n>', 'write "ready" here when everything is served', openDescriptor)
    .option('--tables <file>', 'first tables, JSON as for hawser apply; "-" is standard input')
    .option('--ephemeral', 'delete the device at the end; routes go with it')
    .addOption(new Option('--log-level <level>').choices(logLevels).default('info'))
    .action(async (flags: DatapathFlags) => {
      const { runDatapathDaemon } = await import('../daemon/datapath.ts')
      const { choosePairs } = await import('../daemon/pairs.ts')
      const { datapathDaemonParts } = await import('../daemon/datapath-parts.ts')
      const { mtu, pairs, readyFd, tables } = flags
      process.exitCode = await runDatapathDaemon(
        {
          interfaceName: flags.interface,
          socketPath: flags.socket ?? socketOf(flags.interface),
          ephemeral: flags.ephemeral ?? false,
          ...(mtu === undefined ? {} : { mtuBytes: mtu }),
          pairs: choosePairs({ HAWSER_PAIRS: pairs ?? process.env['HAWSER_PAIRS'] }),
          ...(readyFd === undefined ? {} : { readyFd }),
          ...(tables === undefined ? {} : { tablesFile: tables }),
        },
        datapathDaemonParts(flags.logLevel),
      )
    })
}

interface StatusFlags extends SocketChoice {
  readonly output: 'table' | 'wide' | 'json'
  readonly watch?: boolean
}

function statusCommand(out: CommandOutput): Command {
  return withSocket(new Command('status'))
    .description('show the data path and its cables; exit code 1 when the device is down')
    .addOption(outputOption('table', 'wide', 'json'))
    .option('-w, --watch', 'show it again every second')
    .action(async (flags: StatusFlags) => {
      await attached(flags, async client => {
        const show = async () => {
          const status = await client.status()
          process.exitCode = status.up ? exitCode.ok : exitCode.failed
          showStatus(status, flags, out)
        }
        await show()
        if (flags.watch) for await (const _ of out.ticks()) await show()
      })
    })
}

function showStatus(status: DatapathStatus, flags: StatusFlags, out: CommandOutput): void {
  if (flags.output === 'json') {
    out.write(jsonText('DatapathStatus', plainStatus(status), flags.watch ?? false))
    return
  }
  const widthMax = out.widthMax()
  const text = statusText(status, {
    wide: flags.output === 'wide',
    nowMs: Date.now(),
    ...(widthMax === undefined ? {} : { widthMax }),
  })
  // On a terminal each look replaces the one before: home, then clear to the end.
  const start = flags.watch && widthMax !== undefined ? '\x1b[H\x1b[J' : ''
  out.write(`${start}${text}${flags.watch && widthMax === undefined ? '\n' : ''}`)
}

interface DropsFlags extends SocketChoice {
  readonly output: 'table' | 'json'
  readonly follow?: boolean
}

function dropsCommand(out: CommandOutput): Command {
  return withSocket(new Command('drops'))
    .description('show what was dropped, why, and what to do about it')
    .addOption(outputOption('table', 'json'))
    .option('-f, --follow', 'then show what is added, every second')
    .action(async (flags: DropsFlags) => {
      await attached(flags, async client => {
        const status = await client.status()
        let drops = dropsOf(status)
        const follow = flags.follow ?? false
        out.write(
          flags.output === 'json'
            ? dropsJson(status, drops, follow)
            : dropsText(drops, out.widthMax()),
        )
        if (!follow) return
        for await (const _ of out.ticks()) {
          const now = await client.status()
          const added = dropsSince(drops, dropsOf(now))
          drops = dropsOf(now)
          if (added.length > 0)
            out.write(
              flags.output === 'json'
                ? dropsJson(now, added, true)
                : incrementLines(added, new Date()),
            )
        }
      })
    })
}

function dropsJson(status: DatapathStatus, drops: readonly DropCount[], oneLine: boolean): string {
  const { interfaceName } = status
  return jsonText('DropList', { interfaceName, drops: explainedDrops(drops) }, oneLine)
}

function applyCommand(out: CommandOutput): Command {
  return withSocket(new Command('apply'))
    .description('post tables from a JSON file (docs/wire.md); applied whole or not at all')
    .argument('<file>', 'the file, or "-" for standard input')
    .action(async (file: string, flags: SocketChoice) => {
      await attached(flags, async client => {
        const { generation } = await client.status()
        const tables = readTablesFile(file, generation + 1)
        await client.apply(tables)
        wipeTables(tables)
        out.write(`generation ${tables.generation} in force, cables: ${tables.cables.length}\n`)
      })
    })
}

export async function attached(
  choice: SocketChoice,
  use: (client: DatapathClient) => Promise<void>,
): Promise<void> {
  const client = await DatapathClient.connect(findSocket(choice))
  try {
    await use(client)
  } finally {
    client.close()
  }
}

export function withSocket(command: Command): Command {
  return command
    .option('--socket <path>', 'socket of the data path')
    .option('--interface <name>', `its device: ${socketDirectory}/NAME.sock`, interfaceName)
}

export function outputOption(...choices: readonly string[]): Option {
  return new Option('-o, --output <format>').choices(choices).default(choices[0])
}

/** Watched JSON is one document a line. */
export function jsonText(kind: string, value: object, oneLine: boolean): string {
  const document = { apiVersion, kind, ...value }
  return `${JSON.stringify(document, undefined, oneLine ? undefined : 2)}\n`
}

/** What the kernel takes as a device name (dev_valid_name in net/core/dev.c). */
function interfaceName(text: string): string {
  if (/^[^\s/:]{1,15}$/.test(text) && Buffer.byteLength(text) <= 15 && !/^\.\.?$/.test(text))
    return text
  throw new InvalidArgumentError('expected 1 to 15 characters without spaces, slashes and colons')
}

/** A descriptor that the caller has opened. Node's own, as of epoll, are of no kind. */
export function openDescriptor(text: string): number {
  const fd = integerWithin(1, 1023)(text)
  try {
    const found = fstatSync(fd)
    if (found.isFIFO() || found.isSocket() || found.isFile() || found.isCharacterDevice()) return fd
  } catch {
    // EBADF: said below.
  }
  throw new InvalidArgumentError(`no descriptor ${fd} is open: as in --ready-fd 3 3>FILE`)
}

export function integerWithin(least: number, most: number): (text: string) => number {
  return text => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : -1
    if (value >= least && value <= most) return value
    throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}`)
  }
}
