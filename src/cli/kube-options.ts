// Flags and parsers that the commands about API servers share, and how they open one.

import { type Command, InvalidArgumentError, Option } from 'commander'
import { KubeClient } from '../kube/client.ts'
import { type BrokerSettings, brokerCredentials } from '../kube/credentials.ts'
import { kubeconfigCredentials } from '../kube/kubeconfig.ts'
import { type Prefix, parsePrefix } from '../net/address.ts'
import { systemClock } from '../net/clock.ts'
import { GatewayError } from '../net/errors.ts'

export interface KubeChoice {
  /** Files with `:` between them, as in KUBECONFIG. */
  readonly kubeconfig?: string
  readonly context?: string
}

export interface OpenedCluster {
  readonly client: KubeClient
  readonly context: string
  /** What the kubeconfig calls it. */
  readonly cluster: string
}

export function withKubeconfig(command: Command): Command {
  return command
    .option('--kubeconfig <path>', 'kubeconfig (KUBECONFIG, else ~/.kube/config)')
    .option('--context <name>', 'context of the kubeconfig')
}

const userAgent = 'hawser'

/** Throws NO_CREDENTIALS. */
export async function openCluster({ kubeconfig, context }: KubeChoice): Promise<OpenedCluster> {
  const { env } = process
  const environment = kubeconfig === undefined ? env : { ...env, KUBECONFIG: kubeconfig }
  const credentials = await kubeconfigCredentials({
    clock: systemClock,
    environment,
    ...(context === undefined ? {} : { context }),
  })
  const client = new KubeClient(credentials, userAgent)
  return { client, context: credentials.context, cluster: credentials.cluster }
}

/** A broker, by a token. `renewal`: what to do when it is not accepted. */
export function openBroker(settings: BrokerSettings, renewal: string): KubeClient {
  return new KubeClient({ ...brokerCredentials(systemClock, settings), renewal }, userAgent)
}

/** A flag that is on or off. */
export interface Switch {
  readonly name: string
  /** What it says when it is given in the form that is not the default. */
  readonly what: string
  /** Undefined: it matters whether it was given at all. */
  readonly isOn: boolean | undefined
}

/**
 * Switches as people of Submariner know them, `--natt` and `--natt=false`, and `--no-natt` too. They never
 * take the next word for a value, as an option of commander that may have one would.
 */
export function withSwitches(command: Command, switches: readonly Switch[]): Command {
  for (const { name, what, isOn } of switches) {
    const [on, off] = [new Option(`--${name}`, what), new Option(`--no-${name}`, what)]
    if (isOn !== undefined) on.default(isOn)
    command.addOption(isOn === true ? on.hideHelp() : on)
    command.addOption(isOn === true ? off : off.hideHelp())
  }
  const forms = new Map(
    switches.flatMap(({ name }) => [
      [`--${name}=true`, `--${name}`],
      [`--${name}=false`, `--no-${name}`],
    ]),
  )
  const parse = command.parseOptions.bind(command)
  command.parseOptions = words => parse(words.map(word => forms.get(word) ?? word))
  return command
}

export function prefixOf(text: string): Prefix {
  try {
    return parsePrefix(text.trim())
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    throw new InvalidArgumentError('expected a CIDR like 10.42.0.0/16')
  }
}

export function prefixesOf(text: string): readonly Prefix[] {
  return text.split(',').map(prefixOf)
}

export function namesOf(text: string): readonly string[] {
  return text
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
}
