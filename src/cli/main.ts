// The command line. One table names every command and says in a line what it does; only the module
// of the command that was asked for is loaded, so that `hawser --help` and short commands start
// fast and no daemon's code is read by another.
//
// Errors are one line `hawser: what, where`, and a second one `try: …` where there is something to
// try. Exit codes are those of net/errors.ts.

import { flushCompileCache } from 'node:module'
import { Command, CommanderError, Option } from 'commander'
import { type ExitCode, exitCode, GatewayError } from '../net/errors.ts'
import { type ColorWhen, errorLines, output, setOutputMode } from './output.ts'
import { packageVersion } from './version.ts'

interface CommandEntry {
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<Command>
}

const commands: readonly CommandEntry[] = [
  {
    name: 'deploy-broker',
    summary: 'make a cluster the broker of a clusterset',
    load: async () => (await import('./deploy-broker.ts')).deployBrokerCommand(),
  },
  {
    name: 'join',
    summary: 'make a cluster a member of a clusterset',
    load: async () => (await import('./join.ts')).joinCommand(),
  },
  {
    name: 'leave',
    summary: 'take a cluster out of its clusterset',
    load: async () => (await import('./leave.ts')).leaveCommand(),
  },
  {
    name: 'show',
    summary: 'show connections, endpoints and gateways of clusters',
    load: async () => (await import('./show.ts')).showCommand(),
  },
  {
    name: 'broker',
    summary: 'serve a broker, and care for one',
    load: async () => (await import('./broker.ts')).brokerCommand(),
  },
  {
    name: 'api',
    summary: "serve the API of a lab's cluster",
    load: async () => (await import('./api.ts')).apiCommand(),
  },
  {
    name: 'lab',
    summary: 'lay out clusters in network namespaces, joined by cables',
    load: async () => (await import('./lab.ts')).labCommand(),
  },
  {
    name: 'wg',
    summary: 'run a WireGuard interface, in place of wireguard-go',
    load: async () => (await import('./wg.ts')).wgCommand(),
  },
  {
    name: 'gateway',
    summary: 'run the control daemon of a gateway',
    load: async () => (await import('./gateway.ts')).gatewayCommand(),
  },
  datapathEntry('datapath', 'run the data path of a gateway'),
  datapathEntry('apply', 'post tables to a running data path'),
  datapathEntry('status', 'show what a data path is doing'),
  datapathEntry('drops', 'show what a data path has dropped, and why'),
  {
    name: 'route-agent',
    summary: 'keep the routes of a node to the other clusters',
    load: async () => (await import('./route-agent.ts')).routeAgentCommand(packageVersion()),
  },
  {
    name: 'cable',
    summary: 'show the cables of a data path, or change the cipher of one',
    load: async () => (await import('./cable.ts')).cableCommand(),
  },
  {
    name: 'capture',
    summary: 'capture packets as pcapng, for Wireshark and tcpdump',
    load: async () => (await import('./capture.ts')).captureCommand(),
  },
]

/** Runs one command line, without the program's name. Never rejects. */
export async function main(args: readonly string[]): Promise<ExitCode> {
  dieQuietlyOnClosedPipe()
  keepCompiledCode()
  const program = rootCommand()
  try {
    const chosen = chosenCommand(args)
    for (const entry of commands) {
      program.addCommand(entry.name === chosen ? await entry.load() : stub(entry))
    }
    silence(program)
    await program.parseAsync([...args], { from: 'user' })
    return (process.exitCode as ExitCode | undefined) ?? exitCode.ok
  } catch (error) {
    return report(error, helpLine(program, args))
  }
}

/** The command whose help tells what was wrong with a line. */
function helpLine(program: Command, args: readonly string[]): string {
  const chosen = chosenCommand(args)
  const command = program.commands.find(each => each.name() === chosen)
  if (chosen === undefined || command === undefined) return 'hawser help'
  const next = args[args.indexOf(chosen) + 1]
  const isSubcommand = command.commands.some(each => each.name() === next)
  return isSubcommand ? `hawser ${chosen} ${next} --help` : `hawser help ${chosen}`
}

/** The first word that is neither an option of ours nor its value; behind `help`, the next one. */
export function chosenCommand(args: readonly string[]): string | undefined {
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--color') i++
    else if (!args[i].startsWith('-') && args[i] !== 'help') return args[i]
  }
  return undefined
}

function rootCommand(): Command {
  const program = new Command('hawser')
    .description('Joins the networks of Kubernetes clusters by cables that it carries itself.')
    .version(`hawser ${packageVersion()}`, '-V, --version', 'print the version')
    .addOption(
      new Option('--color <when>', 'colour the output')
        .choices(['auto', 'always', 'never'])
        .default('auto'),
    )
    .option('--plain', 'write marks in ASCII')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
  program.hook('preAction', () => {
    const { color, plain } = program.opts<{ color: ColorWhen; plain?: boolean }>()
    setOutputMode({ color, plain: plain === true })
  })
  return program
}

function stub(entry: CommandEntry): Command {
  return new Command(entry.name).description(entry.summary)
}

function datapathEntry(name: string, summary: string): CommandEntry {
  return {
    name,
    summary,
    load: async () => {
      const { datapathCommands } = await import('./datapath.ts')
      const found = datapathCommands().find(command => command.name() === name)
      if (found === undefined) throw new Error(`cli/datapath.ts has no command ${name}`)
      return found
    },
  }
}

/** Errors are thrown to `main` and printed there, by nobody else. */
function silence(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => {} })
  for (const child of command.commands) silence(child)
}

function report(error: unknown, help: string): ExitCode {
  const on = output(process.stderr)
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return exitCode.ok
    // The help that stands for a missing command has been printed.
    if (error.code === 'commander.help') return exitCode.usage
    const message = error.message.replace(/^error: /, '')
    process.stderr.write(errorLines({ message, hint: help }, on))
    return exitCode.usage
  }
  if (error instanceof GatewayError) {
    const hint = error.hint ?? (error.exit === exitCode.usage ? help : undefined)
    process.stderr.write(errorLines({ message: error.message, hint }, on))
    return error.exit
  }
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(errorLines({ message, hint: undefined }, on))
  if (process.env['LOG_LEVEL'] === 'debug' && error instanceof Error) {
    process.stderr.write(`${error.stack}\n`)
  }
  return exitCode.failed
}

const cacheAfterMs = 5000

/**
 * Node writes its cache of compiled code at an orderly end alone, and a daemon may never have one: what
 * runs for a while writes it by then.
 */
function keepCompiledCode(): void {
  setTimeout(flushCompileCache, cacheAfterMs).unref()
}

/** `hawser status | head -1` is no error. */
function dieQuietlyOnClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(exitCode.ok)
  })
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2))
