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

/** `--natt`, `--natt=false` and `--no-natt`, as people know them. */
export function flagOption(name: string, what: string, isDefault: boolean): Option {
  return new Option(`--${name} [true|false]`, what)
    .argParser(text => {
      if (text === 'true' || text === 'false') return text === 'true'
      throw new InvalidArgumentError('expected true or false')
    })
    .preset(true)
    .default(isDefault)
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
