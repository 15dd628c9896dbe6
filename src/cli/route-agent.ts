// `hawser route-agent`: what a DaemonSet runs on every node of a cluster. Its flags stand before the
// variables of Submariner's route agent pod, and those before the Submariner resource.

import { hostname } from 'node:os'
import { Command, Option } from 'commander'
import { type LogLevel, logLevels, processLog } from '../daemon/log.ts'
import type { AgentFlags } from '../route-agent/settings.ts'

interface Flags extends AgentFlags {
  readonly kubeconfig?: string
  readonly context?: string
  readonly uninstall?: boolean
  readonly waitForNode?: boolean
  readonly logLevel?: LogLevel
}

const environmentHelp = `
Environment, as of Submariner's route agent:
  SUBMARINER_NAMESPACE, SUBMARINER_CLUSTERID, SUBMARINER_CLUSTERCIDR, SUBMARINER_SERVICECIDR,
  SUBMARINER_GLOBALCIDR, SUBMARINER_NETWORKPLUGIN, SUBMARINER_HEALTHCHECKENABLED, SUBMARINER_DEBUG,
  NODE_NAME
  SUBMARINER_UNINSTALL=true      the same as --uninstall
  SUBMARINER_WAITFORNODE=true    the same as --wait-for-node
  HAWSER_HOSTNAME                the same as --hostname`

export function routeAgentCommand(version: string): Command {
  return new Command('route-agent')
    .description(
      'Keeps the routes of this node to the other clusters, in the foreground, until SIGTERM. ' +
        'A signal leaves the routes where they are.',
    )
    .option('--kubeconfig <file>', 'credentials of this cluster (in a pod: its service account)')
    .option('--context <name>', 'context of the kubeconfig')
    .option('--namespace <name>', 'where the Endpoints are (submariner-operator)')
    .option('--cluster-id <id>', 'of this cluster')
    .option('--node-name <name>', "of this node's Node object (the host name)")
    .option('--hostname <name>', 'what an Endpoint calls this node (the host name)')
    .option('--cluster-cidr <list>', 'networks of the pods, with commas between them')
    .option('--service-cidr <list>', 'networks of the services')
    .option('--global-cidr <list>', 'networks of Globalnet')
    .option('--network-plugin <name>', 'as Submariner names it (generic)')
    .option('--uninstall', 'take away what a route agent has made on this node, and end')
    .option('--wait-for-node', 'end when the Node is ready')
    .addOption(
      new Option('--log-level <level>', 'SUBMARINER_DEBUG=true is debug')
        .choices(logLevels)
        .default(undefined, 'info'),
    )
    .addHelpText('after', environmentHelp)
    .action(async (flags: Flags) => {
      const { isTrue } = await import('../route-agent/settings.ts')
      const { runRouteAgent, uninstallRouteAgent, waitForNode } = await import(
        '../daemon/route-agent.ts'
      )
      const environment = process.env
      const isDebugging = isTrue(environment['SUBMARINER_DEBUG'])
      const log = processLog(flags.logLevel ?? (isDebugging ? 'debug' : 'info'))
      const options = {
        flags,
        environment,
        machine: { hostname: hostname(), version },
        log,
        ...(flags.kubeconfig === undefined ? {} : { kubeconfig: flags.kubeconfig }),
        ...(flags.context === undefined ? {} : { context: flags.context }),
      }
      const isUninstalling = flags.uninstall ?? isTrue(environment['SUBMARINER_UNINSTALL'])
      const isWaiting = flags.waitForNode ?? isTrue(environment['SUBMARINER_WAITFORNODE'])
      if (isUninstalling) process.exitCode = await uninstallRouteAgent(log)
      else if (isWaiting) process.exitCode = await waitForNode(options)
      else process.exitCode = await runRouteAgent(options)
    })
}
