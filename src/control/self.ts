// What this machine is: the address that its packets leave from, and the one that others ping, which is
// that of the interface inside a cluster CIDR (the network plugin's). The plugin may come later than we
// do, so it is looked for again: after 4 s, then ever later (by a fifth) up to a minute.

import { createSocket, type Socket } from 'node:dgram'
import { networkInterfaces } from 'node:os'
import { type FamilyAddresses, noAddresses } from '../kube/resources/endpoint.ts'
import type { Signal } from '../kube/signal.ts'
import {
  type Address,
  type Family,
  formatAddress,
  type Prefix,
  parseAddress,
} from '../net/address.ts'
import type { Clock } from '../net/clock.ts'
import { contains, hostPrefix } from '../net/prefix.ts'
import type { SelfFacts } from './world.ts'

/** Nothing is sent there: a connected UDP socket has the source that the routes choose. */
const farAway: Readonly<Record<Family, string>> = { 4: '8.8.8.8', 6: '2001:4860:4860::8888' }
const port = 53

export const lookTimes = { firstMs: 4000, factor: 1.2, mostMs: 60_000 } as const

/** How a look is made; a test has its own. */
export interface Looks {
  readonly privateIp: (family: Family) => Promise<Address | undefined>
  readonly interfaceAddresses: () => readonly Address[]
}

export const machineLooks: Looks = { privateIp, interfaceAddresses }

export interface SelfParts {
  readonly clock: Clock
  readonly clusterCidrs: readonly Prefix[]
  readonly publicIps: readonly Address[]
  /** Raised when something is different. */
  readonly changed: Signal
  readonly looks?: Looks
}

export class SelfWatcher {
  readonly #parts: SelfParts
  readonly #looks: Looks
  #facts: SelfFacts
  #delayMs: number = lookTimes.firstMs
  #nextMs: number
  #isLooking = false
  #hasLooked = false

  constructor(parts: SelfParts) {
    this.#parts = parts
    this.#looks = parts.looks ?? machineLooks
    const publicIps = byFamily(parts.publicIps)
    this.#facts = { privateIps: noAddresses, publicIps, healthCheckIps: noAddresses }
    this.#nextMs = parts.clock.monotonicMs()
  }

  get facts(): SelfFacts {
    return this.#facts
  }

  /** Before that the facts are none. */
  get hasLooked(): boolean {
    return this.#hasLooked
  }

  /** When `look` is to be called next. */
  get nextMs(): number {
    return this.#isLooking ? Number.POSITIVE_INFINITY : this.#nextMs
  }

  async look(): Promise<void> {
    this.#isLooking = true
    const [ipv4, ipv6] = await Promise.all([this.#looks.privateIp(4), this.#looks.privateIp(6)])
    const addresses = this.#looks.interfaceAddresses()
    const { clusterCidrs } = this.#parts
    const inside = addresses.filter(address =>
      clusterCidrs.some(cidr => contains(cidr, hostPrefix(address))),
    )
    const facts: SelfFacts = {
      ...this.#facts,
      // A node without a route for a while is still the node that it was.
      privateIps: {
        ipv4: ipv4 ?? this.#facts.privateIps.ipv4,
        ipv6: ipv6 ?? this.#facts.privateIps.ipv6,
      },
      healthCheckIps: byFamily(inside),
    }
    const isDifferent = textOf(facts) !== textOf(this.#facts)
    this.#facts = facts
    this.#delayMs = this.#isWhole(facts)
      ? lookTimes.mostMs
      : Math.min(lookTimes.mostMs, this.#delayMs * lookTimes.factor)
    this.#nextMs = this.#parts.clock.monotonicMs() + this.#delayMs
    this.#isLooking = false
    this.#hasLooked = true
    if (isDifferent) this.#parts.changed.raise()
  }

  /** A health check address of each family that the cluster has. */
  #isWhole({ healthCheckIps, privateIps }: SelfFacts): boolean {
    const families = new Set(this.#parts.clusterCidrs.map(({ family }) => family))
    const has = (family: Family) =>
      (family === 4 ? healthCheckIps.ipv4 : healthCheckIps.ipv6) !== undefined
    const hasAny = privateIps.ipv4 !== undefined || privateIps.ipv6 !== undefined
    return hasAny && [...families].every(has)
  }
}

function privateIp(family: Family): Promise<Address | undefined> {
  return new Promise(resolve => {
    const socket = createSocket(family === 4 ? 'udp4' : 'udp6')
    const end = (address: Address | undefined) => {
      socket.close()
      resolve(address)
    }
    // There is no route to the rest of the world.
    socket.once('error', () => end(undefined))
    socket.connect(port, farAway[family], () => {
      end(ownAddress(socket))
    })
  })
}

/** With a route and no address of the family the kernel names none. */
function ownAddress(socket: Socket): Address | undefined {
  try {
    const address = parseAddress(socket.address().address.split('%')[0])
    return address.bytes.some(byte => byte !== 0) ? address : undefined
  } catch {
    // It could not be connected.
    return undefined
  }
}

function interfaceAddresses(): Address[] {
  return Object.values(networkInterfaces()).flatMap(list =>
    (list ?? []).map(({ address }) => parseAddress(address.split('%')[0])),
  )
}

/** The first of each family. */
function byFamily(addresses: readonly Address[]): FamilyAddresses {
  return {
    ipv4: addresses.find(({ family }) => family === 4),
    ipv6: addresses.find(({ family }) => family === 6),
  }
}

function textOf({ privateIps, healthCheckIps }: SelfFacts): string {
  const all = [privateIps.ipv4, privateIps.ipv6, healthCheckIps.ipv4, healthCheckIps.ipv6]
  return all.map(address => (address === undefined ? '-' : formatAddress(address))).join()
}
