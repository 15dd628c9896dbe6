// Makes a function of a filter (filter.ts). It is asked once for a superpacket: whatever a filter can
// ask is the same for all segments. Asking allocates nothing and throws nothing.

import { read32 } from '../packet/bytes.ts'
import type { PacketView } from '../packet/packet-view.ts'
import type { Filter, Side } from './filter.ts'

/** What is asked about. */
export interface Subject {
  readonly packet: PacketView
  /** False: it could not be decoded, and has no addresses, ports and protocol. */
  isPacket: boolean
  isWire: boolean
  isOutbound: boolean
  cable: number
  drop: number
}

export type Matcher = (subject: Subject) => boolean

export function createMatcher(filter: Filter): Matcher {
  switch (filter.kind) {
    case 'and':
      return both(filter.parts.map(createMatcher), true)
    case 'or':
      return both(filter.parts.map(createMatcher), false)
    case 'not': {
      const matches = createMatcher(filter.part)
      return subject => !matches(subject)
    }
    case 'net':
      return filter.family === 4 ? net4(filter) : net6(filter)
    case 'port':
      return port(filter.side, filter.least, filter.most)
    case 'protocol': {
      const { number } = filter
      return ({ isPacket, packet }) => isPacket && packet.protocol === number
    }
    case 'version': {
      const { version } = filter
      return ({ isPacket, packet }) => isPacket && packet.version === version
    }
    case 'cable': {
      const { index } = filter
      return ({ cable }) => cable === index && index >= 0
    }
    case 'drop': {
      const { reason } = filter
      return ({ drop }) => (reason === 0 ? drop > 0 : drop === reason)
    }
    case 'direction': {
      const { outbound } = filter
      return ({ isOutbound }) => isOutbound === outbound
    }
    case 'stage': {
      const { wire } = filter
      return ({ isWire }) => isWire === wire
    }
    default:
      return filter satisfies never
  }
}

/** All of them (`unless` true), or any of them. */
function both(parts: readonly Matcher[], unless: boolean): Matcher {
  return subject => {
    for (const matches of parts) if (matches(subject) !== unless) return !unless
    return unless
  }
}

type Net = Extract<Filter, { kind: 'net' }>

function net4({ side, bytes, bits }: Net): Matcher {
  const mask = bits === 0 ? 0 : -1 << (32 - bits)
  const wanted = read32(bytes, 0) & mask
  return ({ isPacket, packet }) => {
    if (!isPacket || packet.version !== 4) return false
    if (side !== 'dst' && (packet.source4 & mask) === wanted) return true
    return side !== 'src' && (packet.destination4 & mask) === wanted
  }
}

function net6({ side, bytes, bits }: Net): Matcher {
  const isWithin = (slab: Uint8Array, at: number) => {
    for (let i = 0; i * 8 < bits; i++) {
      const mask = 0xff00 >> Math.min(8, bits - i * 8)
      if (((slab[at + i] ^ bytes[i]) & mask & 0xff) !== 0) return false
    }
    return true
  }
  return ({ isPacket, packet }) => {
    if (!isPacket || packet.version !== 6) return false
    if (side !== 'dst' && isWithin(packet.slab, packet.sourceOffset)) return true
    return side !== 'src' && isWithin(packet.slab, packet.destinationOffset)
  }
}

/** A later fragment has no ports, and so matches none. */
function port(side: Side, least: number, most: number): Matcher {
  return ({ isPacket, packet }) => {
    const { sourcePort, destinationPort } = packet
    if (!isPacket || packet.laterFragment || !hasPorts(packet.protocol)) return false
    if (side !== 'dst' && sourcePort >= least && sourcePort <= most) return true
    return side !== 'src' && destinationPort >= least && destinationPort <= most
  }
}

/** The protocols whose ports PacketView reads. */
function hasPorts(protocol: number): boolean {
  return (
    protocol === 6 || protocol === 17 || protocol === 33 || protocol === 132 || protocol === 136
  )
}

/** Whether a filter can tell packets apart by why they were dropped. */
export function asksForDrop(filter: Filter): boolean {
  if (filter.kind === 'and' || filter.kind === 'or') return filter.parts.some(asksForDrop)
  return filter.kind === 'not' ? asksForDrop(filter.part) : filter.kind === 'drop'
}
