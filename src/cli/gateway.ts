// `hawser gateway`: the control daemon. Every setting has a flag, a variable of the environment (that of
// Submariner's gateway pod where there is one) and mostly a field of the Submariner resource; the
// first that is there counts. Secrets have no flag: the command line is no place for them.
//
// Flags of stock Submariner's binary that mean nothing here are taken and left alone.

import { hostname } from 'node:os'
import { Command, Option } from 'commander'
import { type GatewayFlags, type SettingName, settingNames } from '../daemon/gateway-sources.ts'
import { type LogLevel, logLevels, processLog } from '../daemon/log.ts'
import { exitCode, GatewayError } from '../net/errors.ts'
import { integerWithin } from './datapath.ts'
import { packageVersion } from './version.ts'

interface OtherFlags {
  readonly kubeconfig?: string
  readonly logLevel?: LogLevel
  readonly v?: string
}

export function gatewayCommand(): Command {
  const command = new Command('gateway')
    .summary('run the control daemon of a gateway')
    .description(
      'Finds the gateways of other clusters by way of the broker and has the data path of this ' +
        'machine forward to them. It needs `hawser datapath` beside it, may be started and ' +
        'stopped while that one forwards, and goes on when API servers are away.',
    )
    .option('--kubeconfig <path>', "of this cluster (the pod's account, else KUBECONFIG)")
  for (const [, flag, what] of settingFlags()) command.option(`--${flag} <value>`, what)
  return command
    .addOption(new Option('--log-level <level>').choices(logLevels))
    .addOption(new Option('--v <level>', 'as of stock: 3 and more is debug'))
    .addOption(new Option('--master <url>').hideHelp())
    .addOption(new Option('--alsologtostderr [value]').hideHelp())
    .addCommand(waitNodeCommand())
    .addHelpText('after', environmentHelp())
    .action(async (given: Readonly<Record<string, string>> & OtherFlags) => {
      const { runGatewayDaemon } = await import('../daemon/gateway.ts')
      process.exitCode = await runGatewayDaemon({
        flags: flagsOf(given),
        environment: process.env,
        kubeconfig: given.kubeconfig,
        machine: { hostname: hostname(), version: packageVersion() },
        log: processLog(levelOf(given, process.env)),
      })
    })
}

function waitNodeCommand(): Command {
  return new Command('wait-node')
    .description('wait until the Node is ready; exit code 4 when it is not in time')
    .option('--node-name <name>', 'which one (NODE_NAME)')
    .option('--kubeconfig <path>', "of this cluster (the pod's account, else KUBECONFIG)")
    .option('--timeout <seconds>', 'for how long (without end)')
    .action(async (_: object, command: Command) => {
      // The parent has flags of these names, and takes them first.
      const given = command.optsWithGlobals<Readonly<Record<string, string | undefined>>>()
      const nodeName = given['nodeName'] ?? process.env['NODE_NAME'] ?? ''
      const seconds = given['timeout']
      if (nodeName === '') {
        throw new GatewayError('USAGE', 'which Node? --node-name or NODE_NAME is not set', {
          exit: exitCode.usage,
        })
      }
      const { waitForNode } = await import('../daemon/wait-node.ts')
      process.exitCode = await waitForNode({
        nodeName,
        environment: process.env,
        kubeconfig: given['kubeconfig'],
        version: packageVersion(),
        limitMs: seconds === undefined ? undefined : integerWithin(0, 1e6)(seconds) * 1000,
        log: processLog('info'),
      })
    })
}

function settingFlags(): (readonly [SettingName, string, string])[] {
  return (Object.entries(settingNames) as [SettingName, { flag?: string; what: string }][]).flatMap(
    ([name, { flag, what }]) => (flag === undefined ? [] : [[name, flag, what] as const]),
  )
}

/** By setting, from commander's names of the flags. */
function flagsOf(given: Readonly<Record<string, unknown>>): GatewayFlags {
  const pairs = settingFlags().flatMap(([name, flag]) => {
    const key = flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
    const value = given[key]
    return typeof value === 'string' ? [[name, value] as const] : []
  })
  return Object.fromEntries(pairs)
}

function levelOf(
  { logLevel, v }: OtherFlags,
  environment: Readonly<Record<string, string | undefined>>,
): LogLevel {
  if (logLevel !== undefined) return logLevel
  const verbosity = Number(v ?? environment['SUBMARINER_VERBOSITY'] ?? 0)
  return environment['SUBMARINER_DEBUG'] === 'true' || verbosity >= 3 ? 'debug' : 'info'
}

function environmentHelp(): string {
  const rows = Object.values(settingNames).map(({ variable, what, ...rest }) => [
    variable,
    'flag' in rest ? `--${rest.flag}` : what,
  ])
  const width = Math.max(...rows.map(([variable]) => variable.length))
  const lines = rows.map(([variable, what]) => `  ${variable.padEnd(width)}  ${what}`)
  return `
Environment, where a flag is not given:
${lines.join('\n')}
  ${'CE_IPSEC_PSK'.padEnd(width)}  PSK of the clusterset, as stock gateways take it
  ${'SUBMARINER_UNINSTALL'.padEnd(width)}  true: delete what this cluster has written, and end
  ${'SUBMARINER_DEBUG'.padEnd(width)}  true: debug lines in the log

What neither says is read from the Submariner resource named submariner.

  hawser datapath --interface hawser0 &
  hawser gateway --kubeconfig east.kubeconfig --broker-kubeconfig broker.kubeconfig \\
    --cluster-id east --cluster-cidr 10.10.0.0/16 --service-cidr 10.11.0.0/16`
}
