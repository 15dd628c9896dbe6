// What the commands that serve an API have in common: where they listen, what they are called by, how they
// say that they serve, and how they end.

import { closeSync, writeSync } from 'node:fs'
import { hostname, networkInterfaces } from 'node:os'
import { InvalidArgumentError } from 'commander'
import { formatAddress, parseAddress } from '../net/address.ts'
import { exitCode, GatewayError } from '../net/errors.ts'

export interface ListenAddress {
  /** Undefined: all interfaces. */
  readonly host: string | undefined
  readonly port: number
}

/** `192.0.2.1:6443`, `[2001:db8::1]:6443`, `:6443`. */
export function parseListen(text: string): ListenAddress {
  const found = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text)
  const host = found?.[1] ?? found?.[2] ?? ''
  const port = Number(found?.[3] ?? -1)
  if (found === null || port > 65_535) {
    throw new InvalidArgumentError('expected ADDRESS:PORT, as 192.0.2.1:6443, [::]:6443 or :6443')
  }
  if (host === '') return { host: undefined, port }
  try {
    return { host: formatAddress(parseAddress(host)), port }
  } catch {
    throw new InvalidArgumentError(`${JSON.stringify(host)} is no IP address`)
  }
}

export function isLoopback({ host }: ListenAddress): boolean {
  return host !== undefined && (host === '::1' || host.startsWith('127.'))
}

/** Addresses of this machine that others may come by, the best one first. */
export function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap(entries => entries ?? [])
  const outer = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
  const [v4, v6] = ['IPv4', 'IPv6'].map(family =>
    outer.filter(entry => entry.family === family).map(({ address }) => address),
  )
  return [...v4, ...v6]
}

/** What goes into a certificate. */
export function serverNames({ host }: ListenAddress, publicHost: string): string[] {
  const isAny = host === undefined || host === '::' || host === '0.0.0.0'
  const names = [
    ...(publicHost === '' ? [] : [publicHost]),
    ...(isAny ? ownAddresses() : [host]),
    ...['127.0.0.1', '::1', 'localhost'],
    ...(/^[a-z0-9.-]+$/i.test(hostname()) ? [hostname()] : []),
  ]
  return [...new Set(names)]
}

/** How clients on this machine, or others if there is a way, come to it. */
export function urlOf({ host }: ListenAddress, port: number): string {
  const isAny = host === undefined || host === '::' || host === '0.0.0.0'
  const name = isAny ? (ownAddresses()[0] ?? '127.0.0.1') : host
  return `https://${name.includes(':') ? `[${name}]` : name}:${port}`
}

/** The host of a URL, without brackets. Throws GatewayError. */
export function hostOf(url: string): string {
  if (URL.canParse(url)) {
    const { protocol, hostname: host, search, hash } = new URL(url)
    if (protocol === 'https:' && search === '' && hash === '') return host.replace(/^\[|\]$/g, '')
  }
  throw new GatewayError('BAD_FLAG', `--public-url ${JSON.stringify(url)} is no https URL`, {
    exit: exitCode.usage,
    hint: '--public-url https://broker.example.com:6443',
  })
}

/** Says `ready` there; a reader that is gone is no reason to end. */
export function announceReady(fd: number | undefined): void {
  if (fd === undefined) return
  try {
    writeSync(fd, 'ready\n')
    if (fd > 2) closeSync(fd)
  } catch {
    // EPIPE: whoever waited has ended.
  }
}

/** Resolves at the first signal that asks for the end; the second one ends at once. To be called first. */
export function untilSignal(): Promise<void> {
  return new Promise(resolve => {
    const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
    const listener = () => {
      for (const name of names) process.off(name, listener)
      resolve()
    }
    for (const name of names) process.on(name, listener)
  })
}
