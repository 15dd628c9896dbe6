// What the suites that touch the kernel need of a machine. A missing thing is a failure with its
// reason: a suite that cannot run is never passed over.

import { spawnSync } from 'node:child_process'
import { accessSync, closeSync, constants, openSync } from 'node:fs'
import { join } from 'node:path'

const programs = [
  ...['ip', 'ping', 'ethtool', 'wg', 'wg-quick', 'wireguard-go', 'iperf3', 'tcpdump', 'tshark'],
  ...['nft', 'curl', 'unshare', 'nsenter', 'setpriv'],
]

/** Why namespace and interop suites cannot run here; empty when they can. */
export function missingRequirements(): string[] {
  const missing = programs
    .filter(program => !isInstalled(program))
    .map(program => `${program} is not installed: sh scripts/setup`)
  return [...missing, ...tunProblem(), ...namespaceProblem()]
}

function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some(directory => {
    try {
      accessSync(join(directory, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function tunProblem(): string[] {
  try {
    closeSync(openSync('/dev/net/tun', 'r+'))
    return []
  } catch (error) {
    return [`/dev/net/tun cannot be opened: ${error instanceof Error ? error.message : error}`]
  }
}

function namespaceProblem(): string[] {
  const flags = process.geteuid?.() === 0 ? '-nmpf' : '-Urnmpf'
  const { status, stderr, error } = spawnSync('unshare', [flags, 'true'], { encoding: 'utf8' })
  if (status === 0) return []
  return [`no namespaces can be made here: ${error?.message ?? stderr.trim()}`]
}
