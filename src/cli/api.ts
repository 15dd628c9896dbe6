// `hawser api serve`: the API of a lab's cluster, for the lab and for tests; it is no Kubernetes. On loopback,
// or on an address of a network namespace that is the lab's own.

import { join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { type LogLevel, logLevels, processLog } from '../daemon/log.ts'
import { objectName } from '../kube/names.ts'
import { type Prefix, parsePrefix } from '../net/address.ts'
import { systemClock } from '../net/clock.ts'
import { exitCode, GatewayError } from '../net/errors.ts'
import { openDescriptor } from './datapath.ts'
import {
  announceReady,
  isLoopback,
  type ListenAddress,
  parseListen,
  serverNames,
  untilSignal,
  urlOf,
} from './serving.ts'

interface Flags {
  readonly data: string
  readonly memory?: boolean
  readonly listen: ListenAddress
  readonly sandboxed?: boolean
  readonly serviceCidr?: readonly Prefix[]
  readonly brokerNamespace: string
  readonly readyFd?: number
  readonly logLevel: LogLevel
}

export function apiCommand(): Command {
  return new Command('api').description("serve the API of a lab's cluster").addCommand(serve())
}

function serve(): Command {
  return new Command('serve')
    .description(
      'Serves the API of a cluster of a lab. Writes admin.kubeconfig and component.kubeconfig.',
    )
    .requiredOption('--data <directory>', 'where it keeps its files (0700)')
    .option('--memory', 'objects in memory alone')
    .addOption(
      new Option('--listen <address:port>', 'on loopback')
        .argParser(parseListen)
        .default(parseListen('127.0.0.1:0'), '127.0.0.1:0'),
    )
    .option('--sandboxed', 'any address: the network namespace is of a lab')
    .option('--service-cidr <prefix...>', 'for ClusterIPs, the preferred family first', collected)
    .option('--broker-namespace <name>', 'where the trust rule holds', objectName.brokerNamespace)
    .option('--ready-fd <n>', 'write "ready" here when it serves', openDescriptor)
    .addOption(new Option('--log-level <level>').choices(logLevels).default('info'))
    .action(run)
}

function collected(text: string, before: readonly Prefix[] = []): Prefix[] {
  return [...before, parsePrefix(text)]
}

async function run(flags: Flags): Promise<void> {
  const { data, listen, serviceCidr: serviceCidrs = [], brokerNamespace } = flags
  if (!isLoopback(listen) && flags.sandboxed !== true) {
    throw new GatewayError('BAD_FLAG', '--listen: the API of a lab is for loopback', {
      exit: exitCode.usage,
      hint: '--listen 127.0.0.1:0; or --sandboxed in a network namespace of a lab',
    })
  }
  const log = processLog(flags.logLevel)
  const isToEnd = untilSignal()
  const { runApi, writeKubeconfig } = await import('../apiserver/running.ts')
  const { labKinds } = await import('../apiserver/kinds.ts')
  const { setUpLab } = await import('../apiserver/lab-setup.ts')
  const directory = resolve(data)
  const running = await runApi({
    ...{ kinds: labKinds(), directory, isInMemory: flags.memory === true, brokerNamespace },
    ...{ host: listen.host, port: listen.port, names: serverNames(listen, ''), serviceCidrs },
    ...{ clock: systemClock, report: line => log.error(line) },
  })
  try {
    const server = urlOf(listen, running.port)
    const tokens = setUpLab(running.api, serviceCidrs)
    for (const [name, token] of Object.entries(tokens)) {
      const parts = { server, ca: running.ca, token, namespace: objectName.operatorNamespace }
      writeKubeconfig(join(directory, `${name}.kubeconfig`), parts)
    }
    announceReady(flags.readyFd)
    log.info(`serving ${server}`)
    await isToEnd
  } finally {
    await running.close()
  }
}
