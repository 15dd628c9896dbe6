// What kube-proxy would do on a node of a lab, as one nftables table: who asks for a Service's ClusterIP
// is sent to one of its ready endpoints, by chance and with the source address kept. The text replaces
// the whole table in one transaction, so no packet sees half of it.

import { type Address, formatAddress } from '../net/address.ts'
import type { Service, ServicePort, ServiceSlice } from './service-kinds.ts'

export const serviceTable = 'hawser-lab-services'

/** Input for `nft -f -`. */
export function serviceRules(
  services: readonly Service[],
  slices: readonly ServiceSlice[],
): string {
  const rules = services
    .flatMap(service => rulesOf(service, slicesOf(service, slices)))
    .map(rule => `    ${rule}`)
  return [
    // Declared first: deleting what is not there is an error.
    `table inet ${serviceTable}`,
    `delete table inet ${serviceTable}`,
    `table inet ${serviceTable} {`,
    '  chain services {',
    ...rules,
    '  }',
    '  chain prerouting {',
    '    type nat hook prerouting priority -100',
    '    jump services',
    '  }',
    '  chain output {',
    '    type nat hook output priority -100',
    '    jump services',
    '  }',
    '}',
    '',
  ].join('\n')
}

/** Whether each port of the Service has somewhere to go in each of its families. */
export function isBalanced(service: Service, slices: readonly ServiceSlice[]): boolean {
  const rules = rulesOf(service, slicesOf(service, slices))
  return rules.length > 0 && rules.length === service.ports.length * service.clusterIps.length
}

function rulesOf(service: Service, slices: readonly ServiceSlice[]): string[] {
  return service.clusterIps.flatMap(clusterIp =>
    service.ports.flatMap(port => ruleOf(clusterIp, port, slices) ?? []),
  )
}

function ruleOf(
  clusterIp: Address,
  port: ServicePort,
  slices: readonly ServiceSlice[],
): string | undefined {
  const protocol = port.protocol.toLowerCase()
  if (protocol !== 'tcp' && protocol !== 'udp') return undefined
  const family = clusterIp.family === 4 ? 'ip' : 'ip6'
  const targets = slices.flatMap(slice => {
    const target = slice.ports.find(({ name }) => name === port.name)
    if (target === undefined || target.port === 0) return []
    return slice.addresses
      .filter(address => address.family === clusterIp.family)
      .map(address => `${formatAddress(address)} . ${target.port}`)
  })
  const distinct = [...new Set(targets)].sort()
  if (distinct.length === 0) return undefined
  const map = distinct.map((target, index) => `${index} : ${target}`).join(', ')
  const match = `${family} daddr ${formatAddress(clusterIp)} ${protocol} dport ${port.port}`
  return `${match} dnat ${family} to numgen random mod ${distinct.length} map { ${map} }`
}

function slicesOf({ meta }: Service, slices: readonly ServiceSlice[]): ServiceSlice[] {
  return slices.filter(
    slice => slice.meta.namespace === meta.namespace && slice.service === meta.name,
  )
}
