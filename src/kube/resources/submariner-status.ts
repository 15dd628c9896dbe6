// The status of a Submariner: what `subctl show` prints of a member. It is a report. One that does not
// parse counts as none, so that the settings beside it are still read.

import { formatPrefix, type Prefix } from '../../net/address.ts'
import {
  FieldError,
  type Fields,
  has,
  readFlag,
  readObject,
  readObjects,
  readPrefix,
  readPrefixLine,
  readText,
  splitCommas,
} from './fields.ts'
import { type GatewayStatus, readGatewayStatus, writeGatewayStatus } from './gateway.ts'
import { listOrNone, overlay, textOrNone, trueOrNone } from './resource.ts'

export interface SubmarinerStatus {
  readonly clusterId: string
  readonly isNatEnabled: boolean
  readonly isAirGapped: boolean
  readonly clusterCidrs: readonly Prefix[]
  readonly serviceCidrs: readonly Prefix[]
  readonly globalCidrs: readonly Prefix[]
  readonly clustersetIpCidr: Prefix | undefined
  readonly colorCodes: readonly string[]
  /** The name of the network plugin that was found; empty when none was looked for. */
  readonly networkPlugin: string
  readonly version: string
  readonly gateways: readonly GatewayStatus[]
}

/** The status of the raw object; undefined when there is none, or none that can be read. */
export function readSubmarinerStatus(root: Fields): SubmarinerStatus | undefined {
  try {
    return has(root, 'status') ? readStatus(readObject(root, 'status')) : undefined
  } catch (error) {
    if (error instanceof FieldError) return undefined
    throw error
  }
}

function readStatus(status: Fields): SubmarinerStatus {
  return {
    clusterId: readText(status, 'clusterID', ''),
    isNatEnabled: readFlag(status, 'natEnabled', false),
    isAirGapped: readFlag(status, 'airGappedDeployment', false),
    clusterCidrs: readPrefixLine(status, 'clusterCIDR'),
    serviceCidrs: readPrefixLine(status, 'serviceCIDR'),
    globalCidrs: readPrefixLine(status, 'globalCIDR'),
    clustersetIpCidr: readPrefix(status, 'clustersetIPCIDR'),
    colorCodes: splitCommas(readText(status, 'colorCodes', '')),
    networkPlugin: readText(status, 'networkPlugin', ''),
    version: readText(status, 'version', ''),
    gateways: readObjects(status, 'gateways').map(readGatewayStatus),
  }
}

/** Laid over the base's; the states of DaemonSets and of the deployment stay. */
export function writeSubmarinerStatus(
  status: SubmarinerStatus,
  base: unknown,
): Record<string, unknown> {
  return overlay(base, {
    clusterID: status.clusterId,
    natEnabled: status.isNatEnabled,
    airGappedDeployment: trueOrNone(status.isAirGapped),
    clusterCIDR: prefixLine(status.clusterCidrs),
    serviceCIDR: prefixLine(status.serviceCidrs),
    globalCIDR: prefixLine(status.globalCidrs),
    clustersetIPCIDR: prefixText(status.clustersetIpCidr),
    colorCodes: textOrNone(status.colorCodes.join(',')),
    networkPlugin: textOrNone(status.networkPlugin),
    version: textOrNone(status.version),
    gateways: listOrNone(status.gateways.map(gateway => writeGatewayStatus(gateway))),
  })
}

/** Prefixes with commas between them, or undefined. */
export function prefixLine(prefixes: readonly Prefix[]): string | undefined {
  return textOrNone(prefixes.map(formatPrefix).join(','))
}

export function prefixText(prefix: Prefix | undefined): string | undefined {
  return prefix === undefined ? undefined : formatPrefix(prefix)
}
