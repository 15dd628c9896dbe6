// `hawser wg`: arguments and environment of wireguard-go, so that wg-quick and scripts written for
// it work unchanged. In the foreground it becomes the daemon; else it starts itself once more in
// the background and waits until that one serves.

import { fstatSync } from 'node:fs'
import { Command } from 'commander'
import type { Readiness } from '../daemon/background.ts'
import { processLog } from '../daemon/log.ts'
import { exitCode, GatewayError } from '../net/errors.ts'

const environmentHelp = `
Environment:
  WG_TUN_FD                  an open TUN descriptor to adopt
  WG_UAPI_FD                 a listening UAPI socket to adopt
  WG_PROCESS_FOREGROUND=1    the same as --foreground
  HAWSER_PAIRS               pairs of workers: 1, 2, 4 or 8 (one for every two cores)
  LOG_LEVEL                  verbose, debug, error (default) or silent; when it is set and not
                             silent, a daemon in the background keeps standard error for its log

The interface is configured with \`wg\` and \`ip\`, for example:
  hawser wg wg0 && wg setconf wg0 wg0.conf && ip link set wg0 up
  WG_QUICK_USERSPACE_IMPLEMENTATION=hawser-wg wg-quick up wg0`

export function wgCommand(): Command {
  return new Command('wg')
    .summary('run a WireGuard interface, in place of wireguard-go')
    .description(
      'Makes a WireGuard interface and serves it, in place of wireguard-go. Returns when the ' +
        'interface can be configured; it ends when the interface or its socket is deleted.',
    )
    .argument('<interface>', 'name of the interface, as wg0')
    .option('-f, --foreground', 'stay in the foreground')
    .addHelpText('after', environmentHelp)
    .action(async (name: string, flags: { foreground?: boolean }) => {
      await run(planOf(name, flags.foreground === true, process.env))
    })
}

export interface WgPlan {
  readonly interfaceName: string
  readonly foreground: boolean
  /** Descriptors to adopt, by their variable. */
  readonly descriptors: Readonly<Record<string, number>>
  readonly logLevel: 'debug' | 'error' | 'silent'
  /** LOG_LEVEL was set by the user. */
  readonly logWanted: boolean
}

/** Throws GatewayError with exit code 2 for a name or descriptor that cannot be. */
export function planOf(name: string, foreground: boolean, env: NodeJS.ProcessEnv): WgPlan {
  const descriptors: Record<string, number> = {}
  for (const variable of [tunVariable, uapiVariable]) {
    const text = env[variable]
    if (text !== undefined && text !== '') descriptors[variable] = descriptorOf(variable, text)
  }
  const logLevel = logLevelOf(env['LOG_LEVEL'])
  return {
    interfaceName: checkedName(name),
    foreground: foreground || env['WG_PROCESS_FOREGROUND'] === '1',
    descriptors,
    logLevel,
    logWanted: (env['LOG_LEVEL'] ?? '') !== '' && logLevel !== 'silent',
  }
}

const tunVariable = 'WG_TUN_FD'
const uapiVariable = 'WG_UAPI_FD'
/** IFNAMSIZ less the final zero. */
const nameBytesMax = 15

/** What the kernel takes (dev_valid_name), less `%`, by which it would choose a number itself. */
function checkedName(name: string): string {
  const bytes = Buffer.byteLength(name)
  const wrong =
    bytes === 0 || bytes > nameBytesMax
      ? `must have 1 to ${nameBytesMax} bytes`
      : name === '.' || name === '..' || /[/:%\s\0]/.test(name)
        ? 'must not have "/", ":", "%" or white space in it'
        : undefined
  if (wrong === undefined) return name
  throw new GatewayError('EINVAL', `interface name ${JSON.stringify(name)} ${wrong}`, {
    exit: exitCode.usage,
    hint: 'hawser wg wg0',
  })
}

function descriptorOf(variable: string, text: string): number {
  const fd = /^\d{1,6}$/.test(text) ? Number(text) : -1
  try {
    fstatSync(fd)
    return fd
  } catch (cause) {
    const message = `${variable}=${JSON.stringify(text)} is no open descriptor`
    throw new GatewayError('EBADF', message, { exit: exitCode.usage, cause })
  }
}

function logLevelOf(text: string | undefined): WgPlan['logLevel'] {
  if (text === 'verbose' || text === 'debug') return 'debug'
  return text === 'silent' ? 'silent' : 'error'
}

async function run(plan: WgPlan): Promise<void> {
  const { readinessOf, startInBackground } = await import('../daemon/background.ts')
  const readiness = readinessOf(process.env)
  if (plan.foreground) return await runForeground(plan, readiness)
  await startInBackground({
    command: [process.execPath, ...process.execArgv, process.argv[1], 'wg', plan.interfaceName],
    env: { ...process.env, WG_PROCESS_FOREGROUND: '1' },
    descriptors: plan.descriptors,
    keepStderr: plan.logWanted,
  })
}

async function runForeground(plan: WgPlan, readiness: Readiness | undefined): Promise<void> {
  const { runWireguard } = await import('../daemon/wg.ts')
  const { choosePairs } = await import('../daemon/pairs.ts')
  const tunFd = plan.descriptors[tunVariable]
  const uapiFd = plan.descriptors[uapiVariable]
  try {
    await runWireguard({
      interfaceName: plan.interfaceName,
      pairs: choosePairs(process.env),
      onReady: () => readiness?.ready(),
      onFatal: message => readiness?.failed(message),
      log: processLog(plan.logLevel).debug,
      ...(tunFd === undefined ? {} : { tunFd }),
      ...(uapiFd === undefined ? {} : { uapiFd }),
    })
  } catch (error) {
    readiness?.failed(error)
    throw error
  }
}
