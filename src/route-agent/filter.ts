// The NAT rules of a node, as the body of one nftables table: pure.
//
// Network plugins masquerade what leaves the pods' network, and the far cluster would see a node where a
// pod had asked. A NAT mapping is made once per connection, and the first chain that makes one wins: so
// each connection between our pods and a remote is mapped to the source that it has already, in a chain
// ten before everybody else's (`srcnat - 10`, the place that stock Submariner takes too). An `accept`
// would not do: it ends the chain, not those of other tables.
//
// What a worker sends itself leaves with its address on the overlay, which means nothing elsewhere: it
// becomes the node's address among the pods.
//
// Filters (INPUT, FORWARD) are not touched here: a cluster that drops what it does not know has to
// accept UDP 4800 and what is forwarded to vx-submariner.

import {
  type Address,
  type Family,
  formatAddress,
  formatPrefix,
  type Prefix,
} from '../net/address.ts'
import { overlayDevice, overlayPrefix } from './overlay.ts'
import type { AgentSettings } from './settings.ts'

export const filterTable = 'hawser-route-agent'
/** The set that remembers old settings of interfaces. */
export const rememberedSet = 'remembered'

export interface FilterPlan {
  readonly local: readonly Prefix[]
  readonly remote: readonly Prefix[]
  /** Of this node among the pods, one of a family at most. */
  readonly nodeAddresses: readonly Address[]
}

export function filterPlan(
  { clusterCidrs }: AgentSettings,
  remote: readonly Prefix[],
  nodeAddresses: readonly Address[],
): FilterPlan {
  return { local: clusterCidrs, remote, nodeAddresses }
}

/** `remembered`: by interface. */
export function filterText(
  plan: FilterPlan | undefined,
  remembered: ReadonlyMap<string, string>,
): string {
  const elements = [...remembered].map(([name, what]) => `"${name}" comment "${what}"`).sort()
  const lines = [
    `set ${rememberedSet} { typeof iifname; ${elementsText(elements)}}`,
    ...(plan === undefined ? [] : [...sets(plan, 4), ...sets(plan, 6), ...chain(plan)]),
  ]
  return lines.map(line => `  ${line}\n`).join('')
}

function chain(plan: FilterPlan): string[] {
  const rules = ([4, 6] as const).flatMap(family => {
    const word = family === 4 ? 'ip' : 'ip6'
    const own = plan.nodeAddresses.find(address => address.family === family)
    const overlay = formatPrefix(overlayPrefix[family])
    return [
      ...(own === undefined
        ? []
        : [
            `oifname "${overlayDevice[family]}" ${word} saddr ${overlay} snat ${word} to ${formatAddress(own)}`,
          ]),
      `${word} saddr @local${family} ${word} daddr @remote${family} snat ${word} to ${word} saddr`,
      `${word} saddr @remote${family} ${word} daddr @local${family} snat ${word} to ${word} saddr`,
    ]
  })
  return [
    'chain postrouting {',
    '  type nat hook postrouting priority srcnat - 10; policy accept;',
    ...rules.map(rule => `  ${rule}`),
    '}',
  ]
}

function sets(plan: FilterPlan, family: Family): string[] {
  const type = family === 4 ? 'ipv4_addr' : 'ipv6_addr'
  return (['local', 'remote'] as const).map(which => {
    const elements = plan[which].filter(prefix => prefix.family === family).map(formatPrefix)
    // Prefixes within one another are no error with auto-merge.
    return `set ${which}${family} { type ${type}; flags interval; auto-merge; ${elementsText(elements)}}`
  })
}

function elementsText(elements: readonly string[]): string {
  return elements.length === 0 ? '' : `elements = { ${elements.join(', ')} }; `
}
