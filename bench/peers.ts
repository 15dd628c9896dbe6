// The wireguard-go programs that Hawser is compared with, each built from the command that its own
// module holds, at the version that bench/peers/NAME/go.mod pins: nobody can say that we configured
// them badly. A module of its own for each, so that neither lifts the other's dependencies.
//
// A binary is kept in .cache/bench under its version and Go's, and is built before anything is
// measured.

import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { run } from './commands.ts'
import { findGo, goSettings, pinnedVersion } from './go.ts'

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

const root = new URL('..', import.meta.url).pathname
const cache = `${root}.cache/bench`

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
    run([...goSettings, go, 'build', '-C', folder, '-trimpath', '-o', partial, peer.module])
    renameSync(partial, file)
  }
  return { file, version, goVersion }
}
