// Flags, the environment of Submariner's route agent pod and the Submariner resource become settings, in
// that order of precedence: pure. An empty variable is as if it were not set, as for stock. What only the
// resource can say is asked of it when it is missing, since stock's agents may not read it.

import { clusterIdProblem, objectName } from '../kube/names.ts'
import type { Submariner } from '../kube/resources/submariner.ts'
import { type Prefix, parsePrefix } from '../net/address.ts'
import { exitCode, GatewayError } from '../net/errors.ts'

export interface AgentSettings {
  readonly clusterId: string
  readonly namespace: string
  /** Of the Node, and of our RouteAgent. */
  readonly nodeName: string
  /** What an Endpoint calls this machine; either name will do. */
  readonly hostname: string
  /** Pods. Their families are those that are routed. */
  readonly clusterCidrs: readonly Prefix[]
  readonly serviceCidrs: readonly Prefix[]
  readonly globalCidrs: readonly Prefix[]
  readonly networkPlugin: string
  readonly isHealthCheckEnabled: boolean
  readonly version: string
}

export interface AgentFlags {
  readonly namespace?: string
  readonly clusterId?: string
  readonly nodeName?: string
  readonly hostname?: string
  readonly clusterCidr?: string
  readonly serviceCidr?: string
  readonly globalCidr?: string
  readonly networkPlugin?: string
}

export type Environment = Readonly<Record<string, string | undefined>>

export interface Machine {
  readonly hostname: string
  readonly version: string
}

/** Where each is found in the environment. */
const variables = {
  namespace: 'SUBMARINER_NAMESPACE',
  clusterId: 'SUBMARINER_CLUSTERID',
  nodeName: 'NODE_NAME',
  hostname: 'HAWSER_HOSTNAME',
  clusterCidr: 'SUBMARINER_CLUSTERCIDR',
  serviceCidr: 'SUBMARINER_SERVICECIDR',
  globalCidr: 'SUBMARINER_GLOBALCIDR',
  networkPlugin: 'SUBMARINER_NETWORKPLUGIN',
} as const satisfies Record<keyof AgentFlags, string>

/** The plugin that needs routes of another kind. */
export const ovnKubernetes = 'OVNKubernetes'

/** Needed before a resource can be read. */
export function namespaceOf(flags: AgentFlags, environment: Environment): string {
  return textOf('namespace', flags, environment) ?? objectName.operatorNamespace
}

export function nodeNameOf(flags: AgentFlags, environment: Environment, machine: Machine): string {
  return textOf('nodeName', flags, environment) ?? machine.hostname
}

/** Undefined: something is missing that the resource could say. Throws BAD_SETTING. */
export function agentSettings(
  flags: AgentFlags,
  environment: Environment,
  machine: Machine,
  submariner?: Submariner,
): AgentSettings | undefined {
  const clusterId = textOf('clusterId', flags, environment) ?? submariner?.clusterId
  const clusterCidrs =
    cidrsOf('clusterCidr', flags, environment) ?? found(submariner, 'clusterCidrs')
  if (clusterId === undefined || clusterCidrs === undefined) return undefined
  const problem = clusterIdProblem(clusterId)
  if (problem !== undefined) throw badSetting('clusterId', problem)
  const health = environment['SUBMARINER_HEALTHCHECKENABLED'] ?? ''
  return {
    clusterId,
    namespace: namespaceOf(flags, environment),
    nodeName: nodeNameOf(flags, environment, machine),
    hostname: textOf('hostname', flags, environment) ?? machine.hostname,
    clusterCidrs,
    serviceCidrs:
      cidrsOf('serviceCidr', flags, environment) ?? found(submariner, 'serviceCidrs') ?? [],
    globalCidrs: cidrsOf('globalCidr', flags, environment) ?? submariner?.globalCidrs ?? [],
    networkPlugin: textOf('networkPlugin', flags, environment) ?? 'generic',
    isHealthCheckEnabled:
      health === '' ? (submariner?.healthCheck?.isEnabled ?? true) : isTrue(health),
    version: machine.version,
  }
}

/** Where the resource leaves it open, its status says what was found. */
function found(
  submariner: Submariner | undefined,
  name: 'clusterCidrs' | 'serviceCidrs',
): readonly Prefix[] | undefined {
  const said = submariner?.[name]
  return said?.length === 0 ? (submariner?.status?.[name] ?? said) : said
}

/** As Go's strconv.ParseBool, in what people write. */
export function isTrue(text: string | undefined): boolean {
  return ['1', 't', 'true'].includes((text ?? '').toLowerCase())
}

function textOf(
  name: keyof AgentFlags,
  flags: AgentFlags,
  environment: Environment,
): string | undefined {
  return flags[name] || environment[variables[name]] || undefined
}

function cidrsOf(
  name: keyof AgentFlags,
  flags: AgentFlags,
  environment: Environment,
): readonly Prefix[] | undefined {
  const text = textOf(name, flags, environment)
  if (text === undefined) return undefined
  const parts = text.split(',').map(part => part.trim())
  return parts
    .filter(part => part !== '')
    .map(part => {
      try {
        return parsePrefix(part)
      } catch (error) {
        throw badSetting(name, (error as Error).message)
      }
    })
}

function badSetting(name: keyof AgentFlags, what: string): GatewayError {
  const flag = `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
  return new GatewayError('BAD_SETTING', `${flag} (${variables[name]}): ${what}`, {
    exit: exitCode.usage,
    hint: 'hawser route-agent --help',
  })
}
