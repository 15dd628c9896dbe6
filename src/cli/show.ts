// `hawser show connections|endpoints|gateways`: what the gateways of one or more clusters say of themselves,
// read from their Gateway objects.
//
// One cluster that cannot be asked is an error; of several, those that can be asked are shown, the others
// are named on standard error, and the exit code says that it was a part.

import { Command } from 'commander'
import { kubeCodeOf } from '../kube/errors.ts'
import { objectName } from '../kube/names.ts'
import { type Gateway, gatewayType } from '../kube/resources/gateway.ts'
import { type ExitCode, exitCode, GatewayError } from '../net/errors.ts'
import { type CommandOutput, outputOption, standardOutput } from './datapath.ts'
import { namesOf, openCluster } from './kube-options.ts'
import { errorLines, output } from './output.ts'
import {
  documentText,
  type Failed,
  type OutputFormat,
  type Shown,
  tableText,
  type View,
  views,
} from './show-view.ts'

interface Flags {
  readonly kubeconfig?: string
  readonly context?: readonly string[]
  readonly contexts?: readonly string[]
  readonly namespace: string
  readonly output: OutputFormat
}

export function showCommand(
  out: CommandOutput = standardOutput,
  complain: (text: string) => void = text => void process.stderr.write(text),
): Command {
  const show = new Command('show').description('what the gateways of clusters say of themselves')
  for (const view of views) {
    show.addCommand(
      new Command(view.name)
        .description(view.summary)
        .option('--kubeconfig <path>', 'kubeconfig (KUBECONFIG, else ~/.kube/config)')
        .option('--context <name...>', 'contexts of it (the current one)')
        .option('--contexts <list>', 'the same, with commas', namesOf)
        .option('-n, --namespace <name>', 'of the gateways', objectName.operatorNamespace)
        .addOption(outputOption('table', 'wide', 'json', 'yaml'))
        .action((flags: Flags) => run(view, flags, out, complain)),
    )
  }
  return show
}

async function run(
  view: View,
  flags: Flags,
  out: CommandOutput,
  complain: (text: string) => void,
): Promise<void> {
  const named = [...(flags.context ?? []), ...(flags.contexts ?? [])]
  const contexts: readonly (string | undefined)[] = named.length > 0 ? named : [undefined]
  const asked = await Promise.all(contexts.map(context => ask(context, flags)))
  const shown = asked.filter(each => each.kind === 'shown')
  const failed = asked.filter(each => each.kind === 'failed')
  // Alone, it is an error like any other.
  if (contexts.length === 1 && failed.length === 1) throw failed[0].error
  const isOne = contexts.length === 1
  out.write(
    flags.output === 'json' || flags.output === 'yaml'
      ? documentText(view, shown, failed, flags.output)
      : tableText(view, shown, {
          isWide: flags.output === 'wide',
          isOne,
          widthMax: out.widthMax(),
        }),
  )
  const on = output(process.stderr)
  for (const { context, error } of failed) {
    const { hint } = error
    complain(errorLines({ message: `${context}: ${error.message}`, hint }, on))
  }
  process.exitCode = exitOf(view, shown, failed.length)
}

function exitOf(view: View, shown: readonly Shown[], failures: number): ExitCode {
  if (shown.length === 0) return exitCode.unreachable
  if (failures > 0) return exitCode.partial
  return shown.every(({ gateways }) => view.isHealthy(gateways)) ? exitCode.ok : exitCode.failed
}

async function ask(context: string | undefined, flags: Flags): Promise<Shown | Failed> {
  const { kubeconfig, namespace } = flags
  try {
    const opened = await openCluster({
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
      ...(context === undefined ? {} : { context }),
    })
    try {
      const { items, problems } = await opened.client.list(gatewayType, { namespace })
      const { cluster } = opened
      return { kind: 'shown', context: opened.context, cluster, gateways: byName(items), problems }
    } finally {
      opened.client.close()
    }
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return { kind: 'failed', context: context ?? '', error: withNextStep(error) }
  }
}

function byName(gateways: readonly Gateway[]): readonly Gateway[] {
  return [...gateways].sort((a, b) => (a.meta.name < b.meta.name ? -1 : 1))
}

function withNextStep(error: GatewayError): GatewayError {
  if (kubeCodeOf(error) !== 'NO_SUCH_KIND') return error
  return new GatewayError('NOT_JOINED', 'this cluster has no Gateways: it has not joined', {
    hint: 'hawser join broker-info.subm',
  })
}
