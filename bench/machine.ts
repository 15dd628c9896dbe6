// The machine that figures belong to. Whether it has AVX-512 and vector AES decides which AEAD is
// fast, so no table is printed without it.

import { readFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { run, succeeds } from './commands.ts'

export interface Machine {
  readonly cpu: string
  readonly cpuFamily: string
  readonly cores: number
  /** Of `notedFeatures`: whether this CPU has it. */
  readonly features: Readonly<Record<string, boolean>>
  readonly kernel: string
  readonly node: string
  readonly openssl: string
  readonly iperf: string
  /** The commit of this tree, with `+` when it was changed since. */
  readonly commit: string
  readonly date: string
}

const notedFeatures = ['avx2', 'avx512f', 'avx512ifma', 'vaes', 'vpclmulqdq']
const root = new URL('..', import.meta.url).pathname

export function describeMachine(): Machine {
  const cpuInfo = readFileSync('/proc/cpuinfo', 'utf8')
  return {
    cpu: cpuField(cpuInfo, 'model name'),
    cpuFamily: cpuField(cpuInfo, 'cpu family'),
    cores: cpus().length,
    features: cpuFeatures(cpuInfo),
    kernel: release(),
    node: process.versions.node,
    openssl: process.versions.openssl,
    iperf: run(['iperf3', '--version']).split('\n')[0].replace(/ \(.*/, ''),
    commit: describeCommit(),
    date: new Date().toISOString(),
  }
}

export function cpuFeatures(cpuInfo: string): Record<string, boolean> {
  const flags = new Set(cpuField(cpuInfo, 'flags').split(' '))
  return Object.fromEntries(notedFeatures.map(name => [name, flags.has(name)]))
}

/** One paragraph for people. */
export function machineLine(machine: Machine): string {
  const has = Object.entries(machine.features).map(([name, there]) => (there ? name : `no ${name}`))
  return (
    `${machine.cpu} (family ${machine.cpuFamily}), ${machine.cores} cores, ${has.join(', ')}; ` +
    `Linux ${machine.kernel}, Node ${machine.node}, OpenSSL ${machine.openssl}, ` +
    `${machine.iperf}; Hawser ${machine.commit}; ${machine.date.slice(0, 16)}Z`
  )
}

/** The processor in a few words: what it is, and which wide vectors it has. */
export function shortMachine({ cpu, cpuFamily, cores, features }: Machine): string {
  const vectors = features['avx512f'] === true ? 'AVX-512' : 'no AVX-512'
  return `${cpu} (family ${cpuFamily}), ${cores} cores, ${vectors}`
}

function cpuField(cpuInfo: string, name: string): string {
  const line = cpuInfo.split('\n').find(candidate => candidate.startsWith(`${name}\t`))
  return line?.slice(line.indexOf(':') + 1).trim() ?? 'unknown'
}

function describeCommit(): string {
  if (!succeeds(['git', '-C', root, 'rev-parse', 'HEAD'])) return 'unknown'
  const commit = run(['git', '-C', root, 'rev-parse', '--short', 'HEAD']).trim()
  const isChanged = run(['git', '-C', root, 'status', '--porcelain', '--untracked-files=no']) !== ''
  return `${commit}${isChanged ? '+' : ''}`
}
