// `hawser gateway`: the control daemon of a gateway, put together. It reads its settings, attaches to the
// data path, and leaves everything else to src/control. In order: settings (from the API server where
// the environment is not enough, from the state directory while that one is away), keys, HTTP, the
// loop, and then a signal; the data path forwards on when it ends.
//
// With SUBMARINER_UNINSTALL=true it takes away what this cluster has written, and ends.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { Control } from '../control/control.ts'
import { StateDirectory } from '../control/state-directory.ts'
import { deleteOwnObjects } from '../control/uninstall.ts'
import { backoffMs } from '../kube/backoff.ts'
import type { KubeClient } from '../kube/client.ts'
import { KubeError } from '../kube/errors.ts'
import { objectName } from '../kube/names.ts'
import { secretType } from '../kube/resources/secret.ts'
import { type Submariner, submarinerType } from '../kube/resources/submariner.ts'
import { loadNative } from '../native.ts'
import { systemClock } from '../net/clock.ts'
import { type ExitCode, exitCode } from '../net/errors.ts'
import { DatapathClient } from '../wire/client.ts'
import { exitOnUncaught } from './fatal.ts'
import { type AccessOptions, brokerClient, localClient, missingPsk } from './gateway-access.ts'
import {
  type ConfigResult,
  configError,
  type GatewayConfig,
  gatewayConfig,
  localConfig,
  type Machine,
  presharedKeyOf,
  secretDirectory,
} from './gateway-config.ts'
import { GatewayHost } from './gateway-host.ts'
import type { Environment, GatewayFlags } from './gateway-sources.ts'
import { type HttpServer, type HttpView, startHttp } from './http.ts'
import type { Log } from './log.ts'
import { onFirstSignal } from './signals.ts'

export interface GatewayDaemonOptions {
  readonly flags: GatewayFlags
  readonly environment: Environment
  readonly kubeconfig: string | undefined
  readonly machine: Machine
  readonly log: Log
}

interface Settings {
  readonly config: GatewayConfig
  /** They come from the Submariner resource too: they may change with it. */
  readonly usesResource: boolean
}

const requestMs = 5000
const retries = { firstMs: 1000, mostMs: 20_000 } as const

/** Runs until it is told to end. Throws GatewayError when it cannot start. */
export async function runGatewayDaemon(options: GatewayDaemonOptions): Promise<ExitCode> {
  const { flags, environment, kubeconfig, machine, log } = options
  const ending = Promise.withResolvers<string>()
  const aborting = new AbortController()
  const forgetSignals = onFirstSignal(name => {
    aborting.abort()
    ending.resolve(name)
  })
  try {
    const where = localConfig(flags, environment)
    const access: AccessOptions = {
      clock: systemClock,
      environment,
      userAgent: `hawser/${machine.version}`,
    }
    const state = StateDirectory.open(where.stateDirectory)
    const local = await localClient(access, where, kubeconfig)
    const settings = await readSettings(options, local, state, aborting.signal)
    if (settings === undefined) return exitCode.ok
    const { config } = settings
    const broker = await brokerClient(access, config.broker, config.control, local)
    if (config.isUninstalling) return await uninstall(config, local, broker, log)
    const presharedKey = await readPsk(config, local, state)
    if (!config.control.hasStockAgents) await takeClusterKey(config, local, state)
    return await run({ options, settings, state, local, broker, presharedKey }, ending)
  } finally {
    forgetSignals()
  }
}

interface Running {
  readonly options: GatewayDaemonOptions
  readonly settings: Settings
  readonly state: StateDirectory
  readonly local: KubeClient
  readonly broker: KubeClient
  readonly presharedKey: Uint8Array
}

async function run(running: Running, ending: PromiseWithResolvers<string>): Promise<ExitCode> {
  const { options, settings, state, local, broker, presharedKey } = running
  const { log } = options
  const { config } = settings
  const resource = new FollowedResource(running, why => ending.resolve(why))
  const control = new Control({
    ...{ local, broker, state, presharedKey, log },
    settings: config.control,
    publicIps: config.publicIps,
    nodeName: config.nodeName,
    podName: config.podName,
    submarinerNamespace: localConfig(options.flags, options.environment).namespace,
    lease: config.lease,
    healthCheckIntervalMs: config.healthCheckIntervalMs,
    connect: () => DatapathClient.connect(config.socketPath),
    native: loadNative(),
    host: new GatewayHost(config.control.drivers),
    clock: systemClock,
    problems: config.problems,
    noteSubmariner: submariner => resource.note(submariner),
  })
  let http: HttpServer | undefined
  const stop = async () => {
    await Promise.all([control.stop({ leaves: resource.isGone }), http?.close()])
    if (resource.isGone) state.forget()
    local.close()
    broker.close()
  }
  const letFail = exitOnUncaught(stop, message => log.error(message))
  control.done.catch((error: unknown) => {
    // A bug of ours: the supervisor starts another one, and the data path forwards on.
    setImmediate(() => {
      throw error
    })
  })
  const { clusterId, hostname } = config.control
  log.info(`gateway of cluster ${clusterId} on ${hostname}, data path at ${config.socketPath}`)
  http = await startHttp(config.metricsPort, () => viewOf(control), log)
  log.info(`ending: ${await ending.promise}`)
  await stop()
  letFail()
  return exitCode.ok
}

function viewOf(control: Control): HttpView {
  const { figures } = control
  return {
    isActive: control.isActive,
    gateway: control.plan?.gateway,
    datapath: control.datapath,
    problems: control.problems,
    syncIterations: figures.gatewayWrites,
    loopLagSeconds: figures.lagMs / 1000,
    loopTurns: figures.turns,
    unready: control.unready,
  }
}

/** The environment may be enough; else the resource has to be read, however long that takes. */
async function readSettings(
  { flags, environment, machine, log }: GatewayDaemonOptions,
  local: KubeClient,
  state: StateDirectory,
  signal: AbortSignal,
): Promise<Settings | undefined> {
  const alone = gatewayConfig(flags, environment, machine)
  if (alone.ok || !alone.isIncomplete) return { config: required(alone), usesResource: false }
  const { namespace } = localConfig(flags, environment)
  const place = { name: objectName.submariner, namespace }
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      const { value } = await local.get(submarinerType, place, { limitMs: requestMs })
      state.keepSubmariner(value)
      const result = gatewayConfig(flags, environment, machine, value)
      return { config: required(result), usesResource: true }
    } catch (error) {
      if (!(error instanceof KubeError)) throw error
      if (error.code === 'NOT_FOUND' || error.code === 'NO_SUCH_KIND') {
        state.forget()
        throw configError(alone.errors)
      }
      const remembered = state.submariner()
      if (remembered !== undefined) {
        log.error(`${error.message}; the settings are those of the last start`)
        const result = gatewayConfig(flags, environment, machine, remembered)
        return { config: required(result), usesResource: true }
      }
      if (attempt === 1) log.error(`${configError(alone.errors).message}; ${error.message}`)
      const pauseMs = backoffMs(retries, attempt, Math.random())
      await delay(pauseMs, undefined, { signal }).catch(() => undefined)
    }
  }
  return undefined
}

function required(result: ConfigResult): GatewayConfig {
  if (result.ok) return result.config
  throw configError(result.errors)
}

/** The resource that settings come from. They last as long as the process: with others it ends. */
class FollowedResource {
  readonly #running: Pick<Running, 'options' | 'settings'>
  readonly #end: (why: string) => void
  #isGone = false
  #refusal = ''

  constructor(running: Pick<Running, 'options' | 'settings'>, end: (why: string) => void) {
    this.#running = running
    this.#end = end
  }

  /** This cluster has left. */
  get isGone(): boolean {
    return this.#isGone
  }

  /** As it is now; undefined: there is none. */
  note(submariner: Submariner | undefined): void {
    const { options, settings } = this.#running
    if (!settings.usesResource) return
    if (submariner === undefined) {
      this.#isGone = true
      this.#end('the Submariner resource is gone: this cluster has left the clusterset')
      return
    }
    const { flags, environment, machine, log } = options
    const result = gatewayConfig(flags, environment, machine, submariner)
    if (result.ok && !isDeepStrictEqual(result.config, settings.config)) {
      this.#end('the settings in the Submariner resource are others now')
    }
    // Its status is written every few seconds, and what is wrong in it is said once.
    const refusal = result.ok ? '' : configError(result.errors).message
    if (refusal !== '' && refusal !== this.#refusal) {
      log.error(`${refusal}; the settings stay as they were`)
    }
    this.#refusal = refusal
  }
}

async function readPsk(
  { psk, control }: GatewayConfig,
  local: KubeClient,
  state: StateDirectory,
): Promise<Uint8Array> {
  if (psk.kind === 'text') {
    const key = presharedKeyOf(psk)
    state.keepPresharedKey(key)
    return key
  }
  try {
    const key = presharedKeyOf(psk, await readPskSecret(psk.name, local, control.namespace))
    state.keepPresharedKey(key)
    return key
  } catch (error) {
    const stored = state.presharedKey()
    if (stored !== undefined) return stored
    throw error instanceof Error ? missingPsk(psk.name, error.message) : error
  }
}

/** Mounted, or from the API server. */
async function readPskSecret(name: string, local: KubeClient, namespace: string) {
  try {
    return await readFile(join(secretDirectory(name), 'psk'))
  } catch (error) {
    if (name.includes('/')) throw error
    const { value } = await local.get(secretType, { name, namespace }, { limitMs: requestMs })
    if (value.data['psk'] === undefined) throw new Error('there is no psk in it')
    return value.data['psk']
  }
}

/** One for all gateways of the cluster, where join has made one and it can be read; else this node's. */
async function takeClusterKey(
  { control }: GatewayConfig,
  local: KubeClient,
  state: StateDirectory,
): Promise<void> {
  const place = { name: objectName.wireguardSecret, namespace: control.namespace }
  try {
    const { value } = await local.get(secretType, place, { limitMs: requestMs })
    const key = value.data['private-key']
    if (key?.length === 32) state.keepPrivateKey(key)
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
  }
}

async function uninstall(
  { control }: GatewayConfig,
  local: KubeClient,
  broker: KubeClient,
  log: Log,
): Promise<ExitCode> {
  const { clusterId, namespace, brokerNamespace, interfaceName, drivers } = control
  const failures = await deleteOwnObjects({
    ...{ local, broker, clusterId, namespace, brokerNamespace, log },
  })
  for (const { message } of failures) log.error(message)
  await new GatewayHost(drivers).cleanUp(interfaceName)
  local.close()
  broker.close()
  return failures.length === 0 ? exitCode.ok : exitCode.partial
}
