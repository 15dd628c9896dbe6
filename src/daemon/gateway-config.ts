// Flags, the environment of Submariner's gateway pod and the Submariner resource become the settings of
// a gateway, or a list of what is wrong with them: pure. A driver that we do not have is no error:
// the gateway says so in its status and goes on (control.md, "Cables from Endpoints").
//
// The PSK is derived as stock gateways do it: SHA-256 of the text that the driver was handed, which is
// CE_IPSEC_PSK as it is written. With nothing but a Secret stock hashes the empty text, whatever is in
// the Secret; we take the base64 of what is in it, and the difference is shown as a problem.

import { createHash } from 'node:crypto'
import type { CableDriverName, ControlSettings, Problem } from '../control/world.ts'
import { type LeaseTimes, leaseTimes } from '../kube/lease-record.ts'
import { clusterIdProblem, isDnsLabel, objectName } from '../kube/names.ts'
import type { Submariner } from '../kube/resources/submariner.ts'
import { type Address, type Prefix, parseAddress, parsePort, parsePrefix } from '../net/address.ts'
import { exitCode, GatewayError } from '../net/errors.ts'
import { type CipherChoice, fallbackCipher, parseCipherChoice } from '../tables/cipher.ts'
import {
  type Environment,
  type Found,
  type GatewayFlags,
  namesOf,
  type SettingName,
  Sources,
} from './gateway-sources.ts'

/** Where the PSK is to be taken from. */
export type PskSource =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'secret'; readonly name: string }

export interface BrokerConfig {
  readonly kubeconfig: string | undefined
  readonly server: string
  readonly secret: string | undefined
  readonly token: string | undefined
  readonly ca: string | undefined
  readonly isInsecure: boolean
}

export interface GatewayConfig {
  readonly control: ControlSettings
  readonly broker: BrokerConfig
  readonly psk: PskSource
  /** Known from the settings; others are still to be found out. */
  readonly publicIps: readonly Address[]
  readonly isAirGapped: boolean
  readonly healthCheckIntervalMs: number
  readonly lease: LeaseTimes
  readonly metricsPort: number
  readonly nodeName: string | undefined
  readonly podName: string | undefined
  readonly socketPath: string
  readonly isUninstalling: boolean
  /** What works in another way than it was asked for. */
  readonly problems: readonly Problem[]
}

export type ConfigResult =
  | { readonly ok: true; readonly config: GatewayConfig }
  | {
      readonly ok: false
      readonly errors: readonly GatewayError[]
      /** Whether nothing is wrong but that something is missing, which the resource could say. */
      readonly isIncomplete: boolean
    }

/** What is needed before a resource can be read. */
export interface LocalConfig {
  readonly namespace: string
  readonly apiServer: string | undefined
  readonly apiSecret: string | undefined
  readonly stateDirectory: string | undefined
}

export interface Machine {
  readonly hostname: string
  readonly version: string
}

export function localConfig(flags: GatewayFlags, environment: Environment): LocalConfig {
  const sources = new Sources(flags, environment)
  const text = (name: SettingName) => sources.find(name)?.text
  return {
    namespace: text('namespace') ?? objectName.operatorNamespace,
    apiServer: text('apiServer'),
    apiSecret: text('apiSecret'),
    stateDirectory: text('stateDirectory'),
  }
}

export function gatewayConfig(
  flags: GatewayFlags,
  environment: Environment,
  machine: Machine,
  submariner?: Submariner,
): ConfigResult {
  const reader = new Reader(new Sources(flags, environment, submariner))
  const config = readConfig(reader, machine)
  const { errors, isIncomplete } = reader
  return errors.length === 0 ? { ok: true, config } : { ok: false, errors, isIncomplete }
}

/** All of them in one, for whoever throws. */
export function configError(errors: readonly GatewayError[]): GatewayError {
  const messages = errors.map(({ message }) => message)
  return new GatewayError('BAD_SETTING', messages.join('; '), {
    exit: exitCode.usage,
    hint: errors[0].hint ?? 'hawser gateway --help',
  })
}

/** 32 bytes. `secret`: the bytes of `psk` in the Secret. */
export function presharedKeyOf(source: PskSource, secret?: Uint8Array): Uint8Array {
  const text =
    source.kind === 'text'
      ? source.text
      : Buffer.from(secret ?? new Uint8Array(0)).toString('base64')
  return new Uint8Array(createHash('sha256').update(text).digest())
}

/** Reads each setting once and gathers what is wrong; a wrong one is as if it were not there. */
class Reader {
  readonly sources: Sources
  readonly errors: GatewayError[] = []
  #wrongs = 0

  constructor(sources: Sources) {
    this.sources = sources
  }

  text(name: SettingName, fallback: string): string {
    return this.sources.find(name)?.text ?? fallback
  }

  /** Absent: an error. */
  required(name: SettingName): string {
    const found = this.sources.find(name)
    if (found !== undefined) return found.text
    this.#note(`${namesOf(name)} is not set`, 'or let join write the Submariner resource')
    return ''
  }

  parsed<T>(name: SettingName, fallback: T, parse: (text: string) => T): T {
    const found = this.sources.find(name)
    if (found === undefined) return fallback
    try {
      return parse(found.text)
    } catch (error) {
      this.refuse(found, error instanceof Error ? error.message : String(error))
      return fallback
    }
  }

  refuse({ where }: Found, why: string): void {
    this.#wrongs++
    this.#note(`${where}: ${why}`)
  }

  get isIncomplete(): boolean {
    return this.errors.length > this.#wrongs && this.#wrongs === 0
  }

  #note(message: string, hint?: string): void {
    const options = hint === undefined ? {} : { hint }
    this.errors.push(new GatewayError('BAD_SETTING', message, { ...options, exit: exitCode.usage }))
  }
}

function readConfig(reader: Reader, machine: Machine): GatewayConfig {
  const interfaceName = reader.parsed('interfaceName', 'hawser0', deviceName)
  const { psk, problems } = readPsk(reader.sources)
  reader.parsed('broker', 'k8s', text => {
    if (text !== 'k8s') throw new Error(`${JSON.stringify(text)} is no kind of broker: k8s is`)
    return text
  })
  return {
    control: readControl(reader, machine, interfaceName),
    broker: readBroker(reader),
    psk,
    publicIps: readPublicIps(reader),
    isAirGapped: reader.parsed('isAirGapped', false, goBoolean),
    healthCheckIntervalMs: reader.parsed('healthCheckInterval', 1, count(1, 3600)) * 1000,
    lease: readLease(reader),
    metricsPort: reader.parsed('metricsPort', 32_780, parsePort),
    nodeName: reader.sources.find('nodeName')?.text,
    podName: reader.sources.find('podName')?.text,
    socketPath: reader.text('socketPath', `/run/hawser/${interfaceName}.sock`),
    isUninstalling: reader.sources.environment['SUBMARINER_UNINSTALL'] === 'true',
    problems: [...problems, ...laterResolvers(reader)],
  }
}

function readControl(reader: Reader, machine: Machine, interfaceName: string): ControlSettings {
  const { drivers, missing } = readDrivers(reader)
  return {
    clusterId: readClusterId(reader),
    namespace: reader.parsed('namespace', objectName.operatorNamespace, namespaceName),
    brokerNamespace: reader.parsed('brokerNamespace', objectName.brokerNamespace, namespaceName),
    hostname: reader.text('hostname', machine.hostname),
    version: machine.version,
    clusterCidrs: readRequiredCidrs(reader, 'clusterCidr'),
    serviceCidrs: readRequiredCidrs(reader, 'serviceCidr'),
    globalCidrs: reader.parsed('globalCidr', [], prefixes),
    colorCodes: reader.parsed('colorCodes', ['blue'], commas),
    drivers,
    missingDriver: missing,
    ciphers: reader.parsed('ciphers', 'auto', ciphers),
    isNatEnabled: reader.parsed('isNatEnabled', false, goBoolean),
    isPreferredServer: reader.parsed('isPreferredServer', false, goBoolean),
    udpPort: reader.parsed('udpPort', 4500, cablePort),
    interfaceName,
    healthCheck: {
      isEnabled: reader.parsed('isHealthCheckEnabled', true, goBoolean),
      packetLossMost: reader.parsed('healthCheckLoss', 5, count(1, 1000)),
    },
    hasStockAgents: reader.parsed('hasStockAgents', false, goBoolean),
  }
}

function readClusterId(reader: Reader): string {
  const id = reader.required('clusterId')
  const found = reader.sources.find('clusterId')
  const problem = found === undefined ? undefined : clusterIdProblem(id)
  if (found !== undefined && problem !== undefined) reader.refuse(found, problem)
  return id
}

function readRequiredCidrs(reader: Reader, name: 'clusterCidr' | 'serviceCidr'): readonly Prefix[] {
  reader.required(name)
  return reader.parsed(name, [], prefixes)
}

const ownDrivers: readonly CableDriverName[] = ['wireguard', 'vxlan']

/** Exactly what was named: whoever wants encryption alone must not be given a cable without. */
function readDrivers(reader: Reader) {
  const named = commas(reader.text('cableDriver', 'wireguard'))
  const drivers = named.flatMap(name => ownDrivers.find(driver => driver === name) ?? [])
  const missing = named.find(name => !drivers.some(driver => driver === name))
  // What stands in for it is never used: the gateway has failed as far as cables go.
  return { drivers: drivers.length > 0 ? [...new Set(drivers)] : ownDrivers.slice(0, 1), missing }
}

function readBroker(reader: Reader): BrokerConfig {
  const { sources } = reader
  const kubeconfig = sources.find('brokerKubeconfig')?.text
  const server = kubeconfig === undefined ? reader.required('brokerServer') : ''
  const secret = sources.find('brokerSecret')
  const token = sources.find('brokerToken')
  const hasNone = secret === undefined && token === undefined && kubeconfig === undefined
  if (hasNone && server !== '') reader.required('brokerSecret')
  return {
    kubeconfig,
    server,
    secret: secret === undefined ? undefined : secretDirectory(secret.text),
    token: token?.text,
    ca: sources.find('brokerCa')?.text,
    isInsecure: reader.parsed('isBrokerInsecure', false, goBoolean),
  }
}

/** Where the operator mounts Secrets, unless it is a directory. */
export function secretDirectory(text: string): string {
  return text.includes('/') ? text : `/run/secrets/submariner.io/${text}`
}

function readPsk(sources: Sources): { psk: PskSource; problems: readonly Problem[] } {
  const { environment, submariner } = sources
  // The operator hands on an empty text when the resource has none.
  const ofResource = submariner === undefined ? undefined : (submariner.cable.psk ?? '')
  const inline = environment['CE_IPSEC_PSK'] ?? ofResource
  const secret = sources.find('pskSecret')
  if ((inline ?? '') === '' && secret !== undefined) {
    const message =
      'the PSK comes from a Secret alone: gateways of stock Submariner hash an empty PSK in its ' +
      'place and cannot connect; give it in ceIPSecPSK, too'
    const object = `secrets/${secret.text}`
    const problem: Problem = { code: 'psk-from-secret', clusterId: '', object, message }
    return { psk: { kind: 'secret', name: secret.text }, problems: [problem] }
  }
  return { psk: { kind: 'text', text: inline ?? 'default psk' }, problems: [] }
}

/** Those that need nobody else. */
function readPublicIps(reader: Reader): Address[] {
  return reader.parsed('publicIp', [], text =>
    commas(text).flatMap(form => {
      const match = /^ipv([46]):(.*)$/.exec(form)
      if (match === null) return []
      const address = parseAddress(match[2])
      if (address.family === Number(match[1])) return [address]
      throw new Error(`${JSON.stringify(match[2])} is no IPv${match[1]} address`)
    }),
  )
}

/** `api:`, `lb:` and `dns:` ask somebody; no public address is published for them. */
function laterResolvers(reader: Reader): Problem[] {
  const found = reader.sources.find('publicIp')
  const unknown = commas(found?.text ?? '').filter(form => !/^ipv[46]:/.test(form))
  return unknown.map(form => ({
    code: 'public-ip-unknown',
    clusterId: '',
    object: '',
    message: `${found?.where}: ${JSON.stringify(form)} is not looked up yet: give ipv4:ADDRESS or ipv6:ADDRESS`,
  }))
}

/** 0 is the default, as for stock. */
function readLease(reader: Reader): LeaseTimes {
  const ms = (name: SettingName, fallbackMs: number) =>
    reader.parsed(name, 0, count(0, 86_400)) * 1000 || fallbackMs
  const times = {
    durationMs: ms('leaseDuration', leaseTimes.durationMs),
    renewDeadlineMs: ms('renewDeadline', leaseTimes.renewDeadlineMs),
    retryPeriodMs: ms('retryPeriod', leaseTimes.retryPeriodMs),
  }
  const isRising =
    times.retryPeriodMs < times.renewDeadlineMs && times.renewDeadlineMs < times.durationMs
  if (isRising) return times
  const where = 'LEADERSHIP_RETRYPERIOD, _RENEWDEADLINE, _LEASEDURATION'
  reader.refuse({ where, text: '' }, 'each has to be less than the next')
  return leaseTimes
}

function commas(text: string): string[] {
  return text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')
}

function prefixes(text: string): Prefix[] {
  return commas(text).map(parsePrefix)
}

function cablePort(text: string): number {
  const port = parsePort(text)
  if (port === 0) throw new Error('0 is no port for cables')
  return port
}

function ciphers(text: string): CipherChoice {
  const list = parseCipherChoice(text)
  if (list === 'auto') return list
  if ('wrong' in list) throw new Error(list.wrong)
  return list.includes(fallbackCipher) ? list : [...list, fallbackCipher]
}

function goBoolean(text: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false
  throw new Error(`${JSON.stringify(text)} is neither true nor false`)
}

function namespaceName(text: string): string {
  if (isDnsLabel(text)) return text
  throw new Error(`${JSON.stringify(text)} is no name of a namespace`)
}

/** The kernel takes much else, which would be more than a word to `ip -batch`. */
function deviceName(text: string): string {
  if (/^[\w.@-]{1,15}$/.test(text) && !/^\.\.?$/.test(text)) return text
  throw new Error(`${JSON.stringify(text)} is no name of a device`)
}

function count(least: number, most: number): (text: string) => number {
  return text => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : -1
    if (value >= least && value <= most) return value
    throw new Error(`${JSON.stringify(text)} is no whole number from ${least} to ${most}`)
  }
}
