// What Gateway and RouteAgent say of their remotes: a state, words for it, the remote's Endpoint and
// the round trip times of health checks.

import { type Address, formatAddress } from '../../net/address.ts'
import { formatGoDuration, parseGoDuration } from '../duration.ts'
import { type EndpointSpec, readEndpointSpec, writeEndpointSpec } from './endpoint.ts'
import {
  type Fields,
  has,
  readAddress,
  readFlag,
  readObject,
  readOneOf,
  readParsed,
  readText,
} from './fields.ts'
import { overlay, trueOrNone } from './resource.ts'

/** `none`: nobody has looked. */
const connectionStates = ['connected', 'connecting', 'error', 'none'] as const

export type ConnectionState = (typeof connectionStates)[number]

/** Round trip times; in the object they are Go durations (`388.079µs`). */
export interface Latency {
  readonly lastNs: number
  readonly minNs: number
  readonly averageNs: number
  readonly maxNs: number
  readonly stdDevNs: number
}

export interface Connection {
  readonly state: ConnectionState
  readonly message: string
  readonly endpoint: EndpointSpec
  /** The remote's address that is in use. */
  readonly usingIp: Address | undefined
  readonly isUsingNat: boolean
  /** Undefined without health checks. */
  readonly latency: Latency | undefined
}

export function readConnection(fields: Fields): Connection {
  return {
    state: readState(fields),
    message: readText(fields, 'statusMessage', ''),
    endpoint: readEndpointSpec(readObject(fields, 'endpoint')),
    usingIp: readAddress(fields, 'usingIP'),
    isUsingNat: readFlag(fields, 'usingNAT', false),
    latency: readLatency(fields),
  }
}

export function writeConnection(connection: Connection): Record<string, unknown> {
  const { usingIp, isUsingNat, latency } = connection
  return overlay(undefined, {
    status: connection.state,
    statusMessage: connection.message,
    endpoint: writeEndpointSpec(connection.endpoint),
    usingIP: usingIp === undefined ? undefined : formatAddress(usingIp),
    usingNAT: trueOrNone(isUsingNat),
    latencyRTT: writeLatency(latency),
  })
}

export function readState(fields: Fields): ConnectionState {
  return readOneOf(fields, 'status', connectionStates)
}

export function readLatency(fields: Fields): Latency | undefined {
  if (!has(fields, 'latencyRTT')) return undefined
  const inner = readObject(fields, 'latencyRTT')
  return {
    lastNs: readDuration(inner, 'last'),
    minNs: readDuration(inner, 'min'),
    averageNs: readDuration(inner, 'average'),
    maxNs: readDuration(inner, 'max'),
    stdDevNs: readDuration(inner, 'stdDev'),
  }
}

export function writeLatency(latency: Latency | undefined): Record<string, string> | undefined {
  if (latency === undefined) return undefined
  return {
    last: formatGoDuration(latency.lastNs),
    min: formatGoDuration(latency.minNs),
    average: formatGoDuration(latency.averageNs),
    max: formatGoDuration(latency.maxNs),
    stdDev: formatGoDuration(latency.stdDevNs),
  }
}

function readDuration(fields: Fields, name: string): number {
  return readParsed(fields, name, 'a duration like 1.5ms', parseGoDuration) ?? 0
}
