// Suites that run tests of `test/unit` once more on another build of the addon: with AddressSanitizer,
// or for arm64 under emulation. Each makes its build, and has the processes of the tests load it.

import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'

/** Makes the build and sets what the tests need. Returns what takes that back. Throws the reason. */
export type Prepare = () => () => void

/**
 * What needs the kernel's devices and sockets: the same for every processor behind the system call,
 * and slow. QEMU 7.2 does not know SO_MARK either.
 */
const ofTheKernel = ['icmp', 'tun', 'tun-device', 'udp']

/** What computes by the addon, OpenSSL or libsodium. The others are TypeScript alone. */
const computed = [
  ...['aes-transcript', 'blake2s', 'cookie', 'noise'],
  ...['protocol-ciphers', 'x25519', 'xchacha'],
]

/** Paths from the root of what is run for arm64. */
export function emulatedFiles(): string[] {
  const native = globSync('test/unit/native/*.test.ts').filter(
    file => !ofTheKernel.some(name => file.endsWith(`/${name}.test.ts`)),
  )
  const crypto = computed.map(name => `test/unit/crypto/${name}.test.ts`)
  return [...globSync('test/arm64/*.test.ts'), ...native, ...crypto].sort()
}

/** Node is not built with AddressSanitizer, so its library goes first. */
export function sanitize(): () => void {
  const libraries = spawnSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' })
  const build = spawnSync('sh', ['scripts/build-native', '--asan'], { stdio: 'inherit' })
  if (libraries.status !== 0 || build.status !== 0) throw new Error('no sanitized addon')
  return setVariables({
    LD_PRELOAD: libraries.stdout.trim(),
    // What Node and V8 keep until they end is no leak of ours.
    ASAN_OPTIONS: 'detect_leaks=0',
    HAWSER_NATIVE: 'build-asan/Release',
    // Enough to find a bad access; the count of nonces is the plain suite's to prove.
    HAWSER_NONCES: '102400',
  })
}

/** The test runner starts what process.execPath names. */
export function emulate(): () => void {
  const { status } = spawnSync('sh', ['scripts/setup', '--arm64'], { stdio: 'inherit' })
  if (status !== 0) throw new Error('`sh scripts/setup --arm64` failed, for the reason above')
  const { execPath } = process
  process.execPath = `${process.cwd()}/scripts/node-arm64`
  const restore = setVariables({
    HAWSER_NATIVE: 'build-arm64/Release',
    // Emulated code takes about ten times as long, and random input is for the plain suite.
    HAWSER_NONCES: '102400',
    HAWSER_FEWER: '10',
    // Stripping types is WebAssembly: most of the time of a start, under emulation.
    NODE_COMPILE_CACHE: '.cache/arm64/compile',
  })
  return () => {
    process.execPath = execPath
    restore()
  }
}

function setVariables(variables: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(variables).map(name => [name, process.env[name]] as const)
  Object.assign(process.env, variables)
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}
