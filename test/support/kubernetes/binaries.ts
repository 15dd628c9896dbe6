// The programs of a Kubernetes control plane and where they lie: in HAWSER_KUBE_BIN, when that names a
// folder, or built (build.ts) from the module of test/kubernetes/servers.
//
// What was built is kept under its own name in the user's cache, so that every clone on a machine shares
// it: $XDG_CACHE_HOME/hawser/kubernetes/KEY, where KEY is made of go.mod, go.sum and what else decides.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { pinnedVersion } from '../../../bench/go.ts'

/** In the order in which they are built: the small ones have compiled a part of the large ones. */
export const programs = ['etcd', 'kubectl', 'kube-apiserver', 'kube-controller-manager'] as const

export type Program = (typeof programs)[number]

/** Where the module is that pins them. */
export const moduleFolder = fileURLToPath(new URL('../../kubernetes/servers', import.meta.url))

const buildProgram = fileURLToPath(new URL('build.ts', import.meta.url))

/** As `kubectl version` shows it: `v1.37.2`. */
export function kubernetesVersion(): string {
  return pinnedVersion(readFileSync(`${moduleFolder}/go.mod`, 'utf8'), 'k8s.io/kubernetes')
}

/** Of every go build here. Without the stamp clients see a version 0.0.0-master. */
export function linkerFlags(): string {
  const version = kubernetesVersion()
  const [major, minor] = version.slice(1).split('.')
  const stamps = { gitVersion: version, gitMajor: major, gitMinor: minor }
  const settings = Object.entries(stamps).map(
    ([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`,
  )
  return ['-s', '-w', ...settings].join(' ')
}

/** The folder of all that was ever built. */
export function cacheFolder(): string {
  const cache = process.env['XDG_CACHE_HOME'] || `${homedir()}/.cache`
  return `${cache}/hawser/kubernetes`
}

/** Where a build of this tree goes, whether it is there or not. */
export function builtFolder(): string {
  const hash = createHash('sha256')
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(`${moduleFolder}/${file}`))
  const key = hash.update(`${process.platform} ${process.arch} ${linkerFlags()}`).digest('hex')
  return `${cacheFolder()}/${kubernetesVersion()}-${key.slice(0, 16)}`
}

/** The folder with the programs. Throws, with what to do, when they are not all there. */
export function binariesFolder(): string {
  const given = process.env['HAWSER_KUBE_BIN']
  const folder = given || builtFolder()
  const missing = programs.filter(program => !isExecutable(`${folder}/${program}`))
  if (missing.length === 0) return folder
  const hint = given ? 'unset HAWSER_KUBE_BIN' : `node ${buildProgram}, or npm test -- kubernetes`
  throw new Error(`${folder} has no ${missing.join(', ')}\ntry: ${hint}`)
}

/** Before the suite: builds what is missing, which takes minutes. Throws when that fails. */
export function prepareServers(): () => void {
  if (!process.env['HAWSER_KUBE_BIN']) {
    const { status } = spawnSync(process.execPath, [buildProgram], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    if (status !== 0) throw new Error('the servers could not be built, for the reason above')
  }
  binariesFolder()
  return () => undefined
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
