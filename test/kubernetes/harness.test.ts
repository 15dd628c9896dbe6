// The harness of these tests: it leaves nothing behind, and a server that does not start says why.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '../support/eventually.ts'
import { kubernetesVersion } from '../support/kubernetes/binaries.ts'
import { Daemon } from '../support/kubernetes/daemon.ts'
import { startServers } from '../support/kubernetes/servers.ts'
import { temporaryDirectory } from '../support/temporary.ts'

const program = fileURLToPath(new URL('../support/kubernetes/orphan-program.ts', import.meta.url))

interface Version {
  readonly gitVersion: string
}

/** A process that nobody has waited for yet has no command line any more. */
function isRunning(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== ''
  } catch {
    return false
  }
}

test('a process that is killed leaves neither servers nor files behind', async context => {
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] })
  context.after(() => child.kill('SIGKILL'))
  const [line]: string[] = await once(createInterface(child.stdout), 'line')
  const { pids, kubeconfig } = JSON.parse(line) as { pids: number[]; kubeconfig: string }
  assert.equal(pids.length, 3)
  assert.ok(pids.every(isRunning))
  assert.ok(existsSync(kubeconfig))
  child.kill('SIGKILL')
  await eventually(
    () => !pids.some(isRunning),
    () => JSON.stringify(pids),
  )
  await eventually(() => !existsSync(dirname(kubeconfig)))
})

test('servers that are stopped are gone at once', async () => {
  const servers = await startServers(['first', 'second'])
  const { pids } = servers
  const folder = dirname(servers.get('first').kubeconfig)
  assert.throws(() => servers.get('third'), /there is no server third, but first, second/)
  const versions = await servers.get('second').kubectl(['version', '-o', 'json'])
  const { clientVersion, serverVersion } = JSON.parse(versions) as Record<string, Version>
  for (const { gitVersion } of [clientVersion, serverVersion]) {
    assert.equal(gitVersion, kubernetesVersion())
  }
  await servers.stop()
  assert.deepEqual(pids.filter(isRunning), [])
  assert.ok(!existsSync(folder))
})

test('a server that ends before it is ready says what it wrote last', async context => {
  const log = join(temporaryDirectory(context), 'log')
  const fails = new Daemon(['sh', '-c', 'echo one; echo no such flag >&2; exit 3'], log)
  const never = async () => false
  await assert.rejects(fails.ready(never), /^Error: sh ended with 3.*\none\nno such flag$/)
  const missing = new Daemon(['/nonexistent/etcd'], log)
  await assert.rejects(missing.ready(never), /etcd ended with .*No such file/s)
})
