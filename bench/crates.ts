// The WireGuard programs in Rust that Hawser is compared with, as `cargo install` makes them from
// crates.io: an exact version, the dependencies of its own lockfile, its own build settings.
//
// Cargo comes from PATH or from where rustup puts it. What it built is kept in .cache/bench, and is
// built before anything is measured.

import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { run, succeeds } from './commands.ts'

export interface Crate {
  /** On crates.io. */
  readonly name: string
  readonly version: string
  /** What the crate calls its program. */
  readonly program: string
  /** How long the build takes on two cores. */
  readonly buildSeconds: number
}

export interface BuiltCrate {
  readonly file: string
  readonly version: string
}

export const boringtun: Crate = {
  name: 'boringtun-cli',
  version: '0.7.1',
  program: 'boringtun-cli',
  buildSeconds: 50,
}

export const gotatun: Crate = {
  name: 'gotatun-cli',
  version: '0.10.2',
  program: 'gotatun',
  buildSeconds: 110,
}

const cache = new URL('../.cache/bench', import.meta.url).pathname

/** Builds a crate, or finds it built. Throws with the reason. */
export function buildCrate(crate: Crate, say: (text: string) => void): BuiltCrate {
  const { name, version, program, buildSeconds } = crate
  const folder = `${cache}/${name}-${version}`
  const file = `${folder}/bin/${program}`
  if (!existsSync(file)) {
    const cargo = findCargo()
    say(`building ${name} ${version}, once, in about ${buildSeconds} s`)
    // --force: an install that was interrupted may have left its list without the program.
    const install = [cargo, 'install', '--quiet', '--locked', '--force', '--root', folder]
    run([...install, '--version', version, name])
  }
  const rustc = rustcVersion(readFileSync(`${folder}/.crates2.json`, 'utf8'))
  return { file, version: `${version} (${rustc})` }
}

/** The compiler in cargo's list of what is installed in a folder. */
export function rustcVersion(installed: string): string {
  const match = /"rustc":"(rustc [\d.]+)/.exec(installed)
  return match?.[1] ?? 'rustc of an unknown version'
}

function findCargo(): string {
  const candidates = ['cargo', `${homedir()}/.cargo/bin/cargo`]
  const found = candidates.find(cargo => succeeds([cargo, '--version']))
  if (found !== undefined) return found
  throw new Error(`no cargo in PATH or ${homedir()}/.cargo/bin: install Rust (https://rustup.rs)`)
}
