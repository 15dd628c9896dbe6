// ClusterIPs of the lab's Services: given when a Service is made, the first free address of the service
// CIDR of each family that it wants, and kept as long as it lives. `None` is headless.

import { type Address, formatAddress, type Prefix, parseAddress } from '../net/address.ts'
import { type Body, listAt, nameOf, recordAt, textAt } from './body.ts'
import { serviceKind } from './builtin-kinds.ts'
import { badValue, forbiddenValue, invalid, Refusal } from './refusal.ts'
import type { Store } from './store.ts'

/** More than a lab has Services, and what a search may cost. */
const addressesMost = 4096

/** The Service with its addresses. Throws Refusal. */
export function withClusterIps(store: Store, cidrs: readonly Prefix[], body: Body): Body {
  const spec = recordAt(body, 'spec')
  const asked = askedFor(spec)
  if (textAt(spec, 'type') === 'ExternalName') return body
  const families = familiesOf(spec, cidrs, asked)
  const used = usedAddresses(store)
  const ips =
    asked[0] === 'None'
      ? ['None']
      : families.map((family, i) => {
          const cidr = cidrs.find(each => each.family === family)
          if (cidr === undefined) throw noFamily(body, family)
          return asked[i] === undefined
            ? freeAddress(cidr, used)
            : checked(body, asked[i], cidr, used)
        })
  const policy = textAt(spec, 'ipFamilyPolicy')
  return {
    ...body,
    spec: {
      ...spec,
      clusterIP: ips[0],
      clusterIPs: ips,
      ipFamilies: families.map(family => `IPv${family}`),
      ipFamilyPolicy: policy === '' ? 'SingleStack' : policy,
      internalTrafficPolicy: spec['internalTrafficPolicy'] ?? 'Cluster',
      ...portsOf(spec),
    },
    status: { loadBalancer: {}, ...recordAt(body, 'status') },
  }
}

/** An update keeps the addresses. Throws Refusal when it would change them. */
export function keptClusterIps(body: Body, before: Body): Body {
  const [spec, old] = [recordAt(body, 'spec'), recordAt(before, 'spec')]
  const [asked, had] = [textAt(spec, 'clusterIP'), textAt(old, 'clusterIP')]
  if (asked !== '' && asked !== had) {
    const cause = badValue('spec.clusterIPs[0]', asked, 'may not change once set')
    throw invalid(serviceKind, nameOf(body), [cause])
  }
  const kept = ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'].filter(
    name => name in old,
  )
  const fields = Object.fromEntries(kept.map(name => [name, spec[name] ?? old[name]]))
  return { ...body, spec: { ...spec, ...fields, ...portsOf(spec) } }
}

/** Where no target is named, it is the port itself. */
function portsOf(spec: Body): Body {
  const ports = listAt(spec, 'ports').map(port => recordAt(port))
  return ports.length === 0
    ? {}
    : { ports: ports.map(port => ({ targetPort: port['port'], ...port })) }
}

function askedFor(spec: Body): string[] {
  const many = listAt(spec, 'clusterIPs').map(String)
  const one = textAt(spec, 'clusterIP')
  return many.length > 0 ? many : one === '' ? [] : [one]
}

function familiesOf(spec: Body, cidrs: readonly Prefix[], asked: readonly string[]): (4 | 6)[] {
  const named = listAt(spec, 'ipFamilies').map(name => (name === 'IPv6' ? 6 : 4))
  const ofAsked = asked.filter(ip => ip !== 'None').map(ip => (ip.includes(':') ? 6 : 4))
  const [first = named[0] ?? cidrs[0]?.family ?? 4] = ofAsked
  const other = cidrs.find(({ family }) => family !== first)?.family
  const isDual = ['PreferDualStack', 'RequireDualStack'].includes(textAt(spec, 'ipFamilyPolicy'))
  const wantsBoth = isDual || named.length > 1 || ofAsked.length > 1
  return wantsBoth && other !== undefined ? [first, other] : [first]
}

function usedAddresses(store: Store): Set<string> {
  const all = store.list('services').flatMap(({ body }) => listAt(body, 'spec', 'clusterIPs'))
  return new Set(all.map(String))
}

function freeAddress(cidr: Prefix, used: ReadonlySet<string>): string {
  const hostBits = (cidr.family === 4 ? 32 : 128) - cidr.bits
  const most = Math.min(addressesMost, 2 ** hostBits - 1)
  for (let number = 1; number < most; number++) {
    const text = formatAddress(addressIn(cidr, number))
    if (!used.has(text)) return text
  }
  throw new Refusal('InternalError', 'failed to allocate a serviceIP: range is full')
}

function addressIn({ family, bytes }: Prefix, number: number): Address {
  const address = Uint8Array.from(bytes)
  let rest = number
  for (let i = address.length - 1; rest > 0; i--) {
    rest += address[i]
    address[i] = rest & 0xff
    rest >>>= 8
  }
  return { family, bytes: address }
}

function checked(body: Body, text: string, cidr: Prefix, used: ReadonlySet<string>): string {
  const wrong = (why: string) =>
    invalid(serviceKind, nameOf(body), [badValue('spec.clusterIPs', [text], why)])
  let address: Address
  try {
    address = parseAddress(text)
  } catch {
    throw wrong('must be a valid IP address')
  }
  if (!isWithin(address, cidr)) {
    const why = 'the provided network does not match the current range'
    throw wrong(`failed to allocate IP ${text}: ${why}`)
  }
  const written = formatAddress(address)
  if (used.has(written))
    throw wrong(`failed to allocate IP ${text}: provided IP is already allocated`)
  return written
}

function isWithin(address: Address, { family, bytes, bits }: Prefix): boolean {
  if (address.family !== family) return false
  for (let bit = 0; bit < bits; bit++) {
    const mask = 0x80 >> (bit & 7)
    if ((address.bytes[bit >> 3] & mask) !== (bytes[bit >> 3] & mask)) return false
  }
  return true
}

function noFamily(body: Body, family: number): Refusal {
  const why = `IPv${family} is not configured on this cluster`
  return invalid(serviceKind, nameOf(body), [forbiddenValue('spec.ipFamilies', why)])
}
