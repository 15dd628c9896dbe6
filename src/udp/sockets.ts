// The UDP sockets of a data path: one pair (IPv4, IPv6) on one port, shared by all drivers and by
// whoever attaches. With VXLAN cables, some send-only sockets beside it, so that flows differ in
// their source port (RFC 7348 5) and a UDP_SEGMENT train still leaves by one socket.

import { closeSync } from 'node:fs'
import type { SetupFunctions, UdpOpened } from '../native.ts'
import { GatewayError } from '../net/errors.ts'

/** The sockets of one pair of workers; a family that the host does not have is absent. */
export interface FamilyPair {
  readonly ipv4: UdpOpened | undefined
  readonly ipv6: UdpOpened | undefined
}

/** Those of the first pair of workers, and what all have together. */
export interface SocketPair extends FamilyPair {
  readonly port: number
  /** Of the other pairs of workers: on the same port, to which the kernel steers by receiver index. */
  readonly more: readonly FamilyPair[]
  readonly entropy4: readonly UdpOpened[]
  readonly entropy6: readonly UdpOpened[]
}

export interface SocketOptions {
  /** 0: the kernel chooses, the same port for both families. */
  readonly port: number
  readonly fwmark: number
  readonly gro: boolean
  /** Pairs of workers; each has sockets of its own. */
  readonly pairs: number
  /** Send-only sockets per family. */
  readonly entropySockets: number
}

const portTries = 16

/** Opens the sockets, all or none. Throws GatewayError with an errno name as its code. */
export function openSockets(native: SetupFunctions, options: SocketOptions): SocketPair {
  for (let attempt = 1; ; attempt++) {
    try {
      return openOnce(native, options)
    } catch (error) {
      const isTaken = codeOf(error) === 'EADDRINUSE'
      // A port that the kernel chose for one family may be taken in the other: choose again.
      if (options.port === 0 && isTaken && attempt < portTries) continue
      throw new GatewayError(codeOf(error), `UDP port ${options.port}: ${messageOf(error)}`, {
        hint: isTaken
          ? `ss -ulpn 'sport = :${options.port}' shows who has it`
          : 'run as root, or with CAP_NET_ADMIN (and CAP_NET_BIND_SERVICE for ports below 1024)',
        cause: error,
      })
    }
  }
}

/** The same pair with send-only sockets beside it. Throws GatewayError, and then nothing was opened. */
export function addEntropy(
  native: SetupFunctions,
  pair: SocketPair,
  options: Omit<SocketOptions, 'port'>,
): SocketPair {
  const opened: UdpOpened[] = []
  const more = (family: 4 | 6, isThere: boolean): UdpOpened[] =>
    Array.from({ length: isThere ? options.entropySockets : 0 }, () => {
      const { fwmark } = options
      const socket = native.openUdp({ family, port: 0, fwmark, gro: false, sendOnly: true })
      opened.push(socket)
      return socket
    })
  try {
    const entropy4 = more(4, pair.ipv4 !== undefined)
    return { ...pair, entropy4, entropy6: more(6, pair.ipv6 !== undefined) }
  } catch (error) {
    for (const socket of opened) closeSync(socket.fd)
    throw new GatewayError(codeOf(error), `UDP sockets: ${messageOf(error)}`, { cause: error })
  }
}

/** Closes a pair, but for what is also in `kept`. */
export function closeSockets(pair: SocketPair | undefined, kept?: SocketPair): void {
  if (!pair) return
  const stay = kept === undefined ? [] : socketFds(kept)
  for (const fd of socketFds(pair)) if (!stay.includes(fd)) closeSync(fd)
}

/** Every descriptor of the pair. */
export function socketFds(pair: SocketPair): number[] {
  return socketsOf(pair).map(({ fd }) => fd)
}

/** The local port of each descriptor. */
export function socketPorts(pair: SocketPair | undefined): ReadonlyMap<number, number> {
  return new Map(pair ? socketsOf(pair).map(({ fd, port }) => [fd, port]) : [])
}

function socketsOf(pair: SocketPair): UdpOpened[] {
  const families = [pair, ...pair.more].flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6])
  const sockets = [...families, ...pair.entropy4, ...pair.entropy6]
  return sockets.filter(socket => socket !== undefined)
}

function openOnce(native: SetupFunctions, options: SocketOptions): SocketPair {
  const opened: UdpOpened[] = []
  const { fwmark, pairs } = options
  const open = (family: 4 | 6, port: number, steerPairs: number) => {
    const socket = native.openUdp({ family, port, fwmark, gro: options.gro, steerPairs })
    opened.push(socket)
    return socket
  }
  const first = (family: 4 | 6, port: number) => {
    if (pairs === 1) return open(family, port, 1)
    // A socket that shares its port would not be refused where somebody else shares it already.
    const probe = native.openUdp({ family, port, fwmark, gro: false })
    closeSync(probe.fd)
    return open(family, probe.port, pairs)
  }
  try {
    const ipv4 = orAbsent(() => first(4, options.port))
    const ipv6 = orAbsent(() => first(6, ipv4?.port ?? options.port))
    const some = ipv4 ?? ipv6
    if (!some) throw new GatewayError('EAFNOSUPPORT', 'this host has neither IPv4 nor IPv6')
    const { port } = some
    const another = (family: 4 | 6, isThere: boolean) =>
      isThere ? open(family, port, pairs) : undefined
    const more = Array.from({ length: pairs - 1 }, () => ({
      ipv4: another(4, ipv4 !== undefined),
      ipv6: another(6, ipv6 !== undefined),
    }))
    return addEntropy(native, { ipv4, ipv6, port, more, entropy4: [], entropy6: [] }, options)
  } catch (error) {
    for (const socket of opened) closeSync(socket.fd)
    throw error
  }
}

/** A family that the host does not have is no failure. */
function orAbsent(open: () => UdpOpened): UdpOpened | undefined {
  try {
    return open()
  } catch (error) {
    if (['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes(codeOf(error))) return undefined
    throw error
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'EIO'
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
