// Starts the long-living programs of a lab inside its spaces: the data path of a gateway and the
// page server of a pod. They are children of the sandbox's holder, not of the command that made
// them, and they tell when they serve by a line on descriptor 3.

import { readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { GatewayError } from '../net/errors.ts'
import { start } from './process.ts'
import { entered, outsidePath, type Sandbox } from './sandbox.ts'
import type { ClusterPlan, LabPlan, PodPlan } from './topology.ts'

/** Where a data path serves in its gateway's own /run: where `hawser status` looks by itself. */
export function datapathSocket(plan: LabPlan): string {
  return `/run/hawser/${plan.interfaceName}.sock`
}

const hawser = fileURLToPath(new URL('../../bin/hawser', import.meta.url))
const pageServer = fileURLToPath(new URL('./page-server.ts', import.meta.url))

export function startGateway(sandbox: Sandbox, plan: LabPlan, cluster: ClusterPlan) {
  const mtu = ['--mtu', String(plan.cableMtuBytes)]
  const command = [hawser, 'datapath', '--interface', plan.interfaceName, ...mtu]
  return startDaemon(sandbox, cluster.gateway.space, 'datapath', [
    ...command,
    ...['--socket', datapathSocket(plan), '--ready-fd', '3'],
  ])
}

export function startPageServer(sandbox: Sandbox, cluster: ClusterPlan, pod: PodPlan) {
  const command = [process.execPath, pageServer, `${cluster.name}/${pod.name}`]
  return startDaemon(sandbox, pod.space, 'page-server', command)
}

/** Starts a program in a session of its own; resolves when it has written to descriptor 3. */
async function startDaemon(
  sandbox: Sandbox,
  space: string,
  name: string,
  command: readonly string[],
): Promise<void> {
  const log = `/run/hawser/${name}.log`
  const script = `exec setsid -f "$@" >>${log} 2>&1`
  const child = start(entered(sandbox, space, ['sh', '-c', script, 'sh', ...command]), {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  const failed = new Promise<string>(resolve =>
    child.once('error', cause => resolve(String(cause))),
  )
  const ready = child.stdio[3] as Readable
  const reason = await Promise.race([failed, readiness(ready)])
  ready.destroy()
  if (reason === undefined) return
  const said = lastWords(outsidePath(sandbox, space, log))
  const message = `${name} on ${space} ${reason}${said.error === '' ? '' : `: ${said.error}`}`
  throw new GatewayError('EFAILED', message, said.hint === undefined ? {} : { hint: said.hint })
}

/** Nothing when the line came, else why it did not. */
function readiness(pipe: Readable): Promise<string | undefined> {
  return new Promise(resolve => {
    const timer = setTimeout(() => resolve('is not ready after 15 s'), 15_000)
    const settle = (reason: string | undefined) => {
      clearTimeout(timer)
      resolve(reason)
    }
    pipe.once('data', () => settle(undefined))
    pipe.once('end', () => settle('ended before it was ready'))
    pipe.once('error', cause => settle(String(cause)))
  })
}

/** The end of a log: its last error and, where one follows, what to try. */
function lastWords(file: string): { readonly error: string; readonly hint?: string } {
  let lines: string[] = []
  try {
    lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  } catch {
    // The program did not get as far as to open it.
  }
  const last = lines.at(-1) ?? ''
  if (!last.startsWith('try: ')) return { error: withoutName(last) }
  return { error: withoutName(lines.at(-2) ?? ''), hint: last.slice('try: '.length) }
}

function withoutName(line: string): string {
  return line.replace(/^hawser: /, '')
}
