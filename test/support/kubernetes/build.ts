// Builds the programs of a Kubernetes control plane, unless they are there, and prints their folder:
//
//   node test/support/kubernetes/build.ts
//
// Only one build at a time, from whichever clone: the kernel holds the lock (flock) and lets go of it
// when the builder dies. The folder gets its name when all programs are in it.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { run } from '../../../bench/commands.ts'
import { findGo, goSettings } from '../../../bench/go.ts'
import {
  builtFolder,
  cacheFolder,
  kubernetesVersion,
  linkerFlags,
  moduleFolder,
  type Program,
  programs,
} from './binaries.ts'

const packages: Readonly<Record<Program, string>> = {
  etcd: 'go.etcd.io/etcd/server/v3',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
}

/** flock ends with this when somebody else has the lock (EX_TEMPFAIL of sysexits.h). */
const isHeld = 75

process.exitCode = main(process.argv[2] === '--locked')

function main(hasLock: boolean): number {
  const folder = builtFolder()
  if (!programs.every(program => existsSync(`${folder}/${program}`))) {
    if (!hasLock) return buildWithLock()
    try {
      build(folder)
    } catch (error) {
      say(`failed: ${error instanceof Error ? error.message : error}`)
      return 1
    }
  }
  process.stdout.write(`${folder}\n`)
  return 0
}

/** This program again, as the only one of its kind. */
function buildWithLock(): number {
  mkdirSync(cacheFolder(), { recursive: true })
  const lock = `${cacheFolder()}/lock`
  const command = [lock, process.execPath, fileURLToPath(import.meta.url), '--locked']
  const flock = (...options: string[]) =>
    spawnSync('flock', [...options, ...command], { stdio: 'inherit' })
  let { status, error } = flock('--nonblock', '--conflict-exit-code', `${isHeld}`)
  if (status === isHeld) {
    say('another build is under way; waiting for it')
    ;({ status, error } = flock())
  }
  if (error !== undefined) say(`cannot run flock: ${error.message}`)
  return status ?? 1
}

function build(folder: string): void {
  const go = findGo(say)
  const partial = `${folder}.partial`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(partial)
  say(`building Kubernetes ${kubernetesVersion()} and etcd, once: about 10 minutes on two cores`)
  const flags = ['-trimpath', '-ldflags', linkerFlags()]
  for (const program of programs) {
    const startedMs = performance.now()
    const output = ['-o', `${partial}/${program}`, packages[program]]
    run([...goSettings, go, 'build', '-C', moduleFolder, ...flags, ...output])
    say(`${program} is built, after ${((performance.now() - startedMs) / 1000).toFixed(0)} s`)
  }
  rmSync(folder, { recursive: true, force: true })
  renameSync(partial, folder)
}

function say(text: string): void {
  process.stderr.write(`kubernetes: ${text}\n`)
}
