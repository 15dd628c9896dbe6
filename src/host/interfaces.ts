// What interfaces this machine has, by one `ip -d address`, and which of them the default routes lead to.
// Whoever reads them compares: so addresses come as bytes, and text that cannot be read as one (there is
// none in practice) is left out, as are names that no line of `ip -batch` could hold.

import { type Address, type Family, parseAddress } from '../net/address.ts'
import { type Fields, isFields, numberOf, type RunCommand, readJson, textOf } from './commands.ts'

export interface InterfaceAddress {
  readonly address: Address
  /** Length of its prefix. */
  readonly bits: number
}

export interface NetworkInterface {
  readonly name: string
  readonly mtuBytes: number
  readonly isUp: boolean
  /** Lower case. */
  readonly mac: string
  readonly addresses: readonly InterfaceAddress[]
  /** Undefined for what is no VXLAN device. */
  readonly vxlan: VxlanFacts | undefined
}

export interface VxlanFacts {
  readonly vni: number
  readonly port: number
  /** What `ip` calls group or remote: where everything goes that has no entry of its own. */
  readonly remote: Address | undefined
  readonly local: Address | undefined
  readonly isLearning: boolean
}

/** The kernel takes quotes and much else, which nobody uses. */
const plainName = /^[\w.:@-]+$/

/** The device that a family's default route leads to: the one of least metric. */
export type DefaultDevices = Readonly<Record<Family, string | undefined>>

export interface Interfaces {
  readonly list: readonly NetworkInterface[]
  readonly defaults: DefaultDevices
}

export async function readInterfaces(run: RunCommand): Promise<Interfaces> {
  const [list, ipv4, ipv6] = await Promise.all([
    readJson(run, ['ip', '-N', '-j', '-d', 'address', 'show']),
    readJson(run, ['ip', '-N', '-j', '-4', 'route', 'show', 'default']),
    readJson(run, ['ip', '-N', '-j', '-6', 'route', 'show', 'default']),
  ])
  return {
    list: list.map(readInterface).filter(({ name }) => plainName.test(name)),
    defaults: { 4: leastMetric(ipv4), 6: leastMetric(ipv6) },
  }
}

function readInterface(fields: Fields): NetworkInterface {
  const flags = Array.isArray(fields['flags']) ? fields['flags'] : []
  return {
    name: textOf(fields, 'ifname'),
    mtuBytes: numberOf(fields, 'mtu'),
    isUp: flags.includes('UP'),
    mac: textOf(fields, 'address').toLowerCase(),
    addresses: listOf(fields, 'addr_info').flatMap(entry => {
      const address = addressOf(entry, 'local')
      return address === undefined ? [] : [{ address, bits: numberOf(entry, 'prefixlen') }]
    }),
    vxlan: readVxlan(fields['linkinfo']),
  }
}

function readVxlan(info: unknown): VxlanFacts | undefined {
  if (!isFields(info) || info['info_kind'] !== 'vxlan') return undefined
  const data = isFields(info['info_data']) ? info['info_data'] : {}
  return {
    vni: numberOf(data, 'id'),
    port: numberOf(data, 'port'),
    remote: addressOf(data, 'remote', 'remote6', 'group', 'group6'),
    local: addressOf(data, 'local', 'local6'),
    isLearning: data['learning'] === true,
  }
}

/** Routes that lead over several devices have no `dev`; the others come first. */
function leastMetric(routes: readonly Fields[]): string | undefined {
  const direct = routes.filter(route => textOf(route, 'dev') !== '')
  direct.sort((a, b) => numberOf(a, 'metric') - numberOf(b, 'metric'))
  if (direct.length > 0) return textOf(direct[0], 'dev')
  const hops = routes.flatMap(route => listOf(route, 'nexthops'))
  return hops.map(hop => textOf(hop, 'dev')).find(name => name !== '')
}

export function addressOf(fields: Fields, ...names: readonly string[]): Address | undefined {
  for (const name of names) {
    const text = textOf(fields, name)
    try {
      if (text !== '') return parseAddress(text)
    } catch {
      // `any` and the like.
    }
  }
  return undefined
}

function listOf(fields: Fields, name: string): Fields[] {
  const list = fields[name]
  return Array.isArray(list) ? list.filter(isFields) : []
}
