// `hawser broker serve`: a broker without a Kubernetes cluster. One process with an API of its own, a store
// on disk and a certificate; members reach it as they reach any broker. It makes what deploy-broker makes
// of a cluster, and writes the join file. There is one of it: who needs the broker to be highly available
// takes a Kubernetes cluster, while cables go on without any broker.

import { join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { type LogLevel, logLevels, processLog } from '../daemon/log.ts'
import { isDnsLabel, objectName } from '../kube/names.ts'
import { systemClock } from '../net/clock.ts'
import { exitCode, GatewayError } from '../net/errors.ts'
import { evictCommand } from './broker-evict.ts'
import { defaultBrokerFile, writeBrokerFile } from './broker-file.ts'
import { openDescriptor } from './datapath.ts'
import { output } from './output.ts'
import {
  announceReady,
  hostOf,
  type ListenAddress,
  parseListen,
  serverNames,
  untilSignal,
  urlOf,
} from './serving.ts'

interface Flags {
  readonly data: string
  readonly listen: ListenAddress
  readonly publicUrl?: string
  readonly writeInfo?: string
  readonly brokerNamespace: string
  readonly components: readonly string[]
  readonly customDomain?: readonly string[]
  readonly readyFd?: number
  readonly logLevel: LogLevel
}

const usualComponents = ['connectivity', 'service-discovery'] as const

export function brokerCommand(): Command {
  return new Command('broker')
    .description('serve a broker, and care for one')
    .addCommand(serve())
    .addCommand(evictCommand())
}

function serve(): Command {
  return new Command('serve')
    .description(
      'Serves a broker from a directory, without a Kubernetes cluster: an API of its own over TLS. ' +
        'One process, no high availability.',
    )
    .requiredOption('--data <directory>', 'where it keeps objects, keys and the certificate (0700)')
    .addOption(
      new Option('--listen <address:port>', 'where members reach it')
        .argParser(parseListen)
        .default(parseListen(':6443'), ':6443'),
    )
    .option('--public-url <url>', 'as members reach it, when that is another address')
    .option('--write-info <file>', 'the join file (default: broker-info.subm in --data)')
    .option('--broker-namespace <name>', 'of its objects', objectName.brokerNamespace)
    .addOption(
      new Option('--components <names...>', 'what the clusterset has')
        .choices([...usualComponents])
        .default([...usualComponents]),
    )
    .option('--custom-domain <domain...>', 'of the clusterset, besides clusterset.local')
    .option('--ready-fd <n>', 'write "ready" here when it serves', openDescriptor)
    .addOption(new Option('--log-level <level>').choices(logLevels).default('info'))
    .action(run)
}

async function run(flags: Flags): Promise<void> {
  const { data, listen, publicUrl, brokerNamespace: namespace } = flags
  if (!isDnsLabel(namespace)) {
    const message = `--broker-namespace ${JSON.stringify(namespace)} is no name of a namespace`
    throw new GatewayError('BAD_FLAG', message, { exit: exitCode.usage })
  }
  const publicHost = publicUrl === undefined ? '' : hostOf(publicUrl)
  const log = processLog(flags.logLevel)
  const isToEnd = untilSignal()
  const { runApi } = await import('../apiserver/running.ts')
  const { brokerKinds } = await import('../apiserver/kinds.ts')
  const running = await runApi({
    ...{ kinds: brokerKinds(), directory: resolve(data), brokerNamespace: namespace },
    ...{ host: listen.host, port: listen.port, names: serverNames(listen, publicHost) },
    ...{ clock: systemClock, report: line => log.error(line) },
  })
  try {
    const url = publicUrl ?? urlOf(listen, running.port)
    const file = await writeFiles(running, flags, url)
    announceReady(flags.readyFd)
    tell(url, file, flags)
    await isToEnd
    log.info('ending')
  } finally {
    await running.close()
  }
}

type Running = Awaited<ReturnType<typeof import('../apiserver/running.ts').runApi>>

/** The join file and an admin's kubeconfig. Returns the path of the first. */
async function writeFiles({ api, ca }: Running, flags: Flags, url: string): Promise<string> {
  const { setUpBroker } = await import('../apiserver/broker-setup.ts')
  const { writeKubeconfig } = await import('../apiserver/running.ts')
  const { data, components, customDomain: customDomains = [], brokerNamespace: namespace } = flags
  const info = setUpBroker(api, { namespace, url, components, customDomains, ca })
  const file = resolve(flags.writeInfo ?? join(data, defaultBrokerFile))
  const former = writeBrokerFile(file, info, new Date(systemClock.wallMs()))
  if (former !== undefined) say('note', `the former join file is ${former}`)
  const token = new TextDecoder().decode(info.token.token)
  writeKubeconfig(kubeconfigOf(flags), { server: url, ca, token, namespace })
  return file
}

function kubeconfigOf({ data }: Flags): string {
  return join(resolve(data), 'admin.kubeconfig')
}

function tell(url: string, file: string, flags: Flags): void {
  say('ok', `the broker serves ${url}, namespace ${flags.brokerNamespace}`)
  say('ok', `join file: ${file} (it holds a token and the PSK: copy it by a safe way)`)
  say('note', `in each cluster: hawser join ${file}`)
  say('note', `to look into it: kubectl --kubeconfig ${kubeconfigOf(flags)} get clusters,endpoints`)
  say('note', 'one process, no high availability; cables go on while it is away')
}

function say(kind: 'ok' | 'note', text: string): void {
  process.stderr.write(`${output(process.stderr).mark(kind)} ${text}\n`)
}
