// A sandbox: one PID, mount and network namespace in which any number of named spaces live, each a
// network namespace with a /run of its own. Labs and tests run in it.
//
// Why a PID namespace: its first process, the holder, is the only thing that keeps the sandbox.
// When the holder dies, whoever killed it and how, the kernel kills every process inside and the
// namespaces, devices and sockets go with them. Cleaning up is one kill that cannot be half done.
//
// The holder dies by itself when the pipe to its maker closes before `keep` was called: a maker
// that is killed with SIGKILL leaves nothing behind. Spaces are files in the sandbox's own /run
// (network namespaces where `ip netns` keeps them), so they cost no process each.
//
// A plain user gets the same inside a user namespace (unshare -Ur).

import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { GatewayError } from '../net/errors.ts'
import { collect, ended, type Finished, mustRun, type RunOptions, run, start } from './process.ts'

/** What it takes to find a sandbox again, from any process of the same user. */
export interface Sandbox {
  /** The holder: PID 1 inside, this number outside. */
  readonly pid: number
  /** Field 22 of /proc/PID/stat: together with the number it names one process for good. */
  readonly startTime: string
  /** Made by a plain user, entered through the user namespace. */
  readonly rootless: boolean
}

export interface OpenSandbox extends Sandbox {
  /** From now on the sandbox outlives this process. */
  keep(): void
}

/** Makes an empty sandbox. `label` is what `ps` shows for its holder. Throws GatewayError. */
export async function startSandbox(label: string): Promise<OpenSandbox> {
  // A root without CAP_SYS_ADMIN, as in most containers, may still have user namespaces.
  const modes = process.geteuid?.() === 0 ? [false, true] : [true]
  let reason = ''
  for (const rootless of modes) {
    const child = start(holderCommand(label, rootless), {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const first = await firstLine(child)
    if (first.line !== undefined) return handle(child, first.line, rootless)
    reason = first.reason
  }
  throw new GatewayError('EPERM', `cannot make namespaces: ${reason}`, {
    hint: 'run as root, or allow user namespaces: sysctl kernel.unprivileged_userns_clone=1',
  })
}

/** Makes spaces of these names: loopback up, no address waits for duplicate detection. */
export async function addSpaces(sandbox: Sandbox, names: readonly string[]): Promise<void> {
  await mustRun(entered(sandbox, undefined, ['sh', '-ec', spaceScript, 'spaces', ...names]))
}

/** The command line that runs `command` in a space, or in the sandbox outside of all spaces. */
export function entered(
  sandbox: Sandbox,
  space: string | undefined,
  command: readonly string[],
): string[] {
  const line = ['nsenter', '--target', String(sandbox.pid)]
  if (sandbox.rootless) line.push('--user', '--preserve-credentials')
  line.push('--mount', '--net', '--pid', '--')
  if (space !== undefined) {
    line.push('nsenter', `--net=/run/netns/${space}`, '--')
    line.push('unshare', '--mount', 'sh', '-ec', enterScript, space)
  }
  return line.concat(command)
}

/** Runs a program in a space to its end. It dies with its nsenter when the time is up. */
export function runIn(
  sandbox: Sandbox,
  space: string | undefined,
  command: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  return run(entered(sandbox, space, bound(command)), options)
}

export function mustRunIn(
  sandbox: Sandbox,
  space: string | undefined,
  command: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  return mustRun(entered(sandbox, space, bound(command)), options)
}

/** Starts a program in a space with both outputs piped; ends with this process or with `kill`. */
export function startIn(sandbox: Sandbox, space: string, command: readonly string[]): ChildProcess {
  return start(entered(sandbox, space, bound(command)), { stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Where a file of a space's /run is seen from outside of the sandbox. */
export function outsidePath(sandbox: Sandbox, space: string, path: string): string {
  return `/proc/${sandbox.pid}/root/run/lab/spaces/${space}/${path.replace(/^\/run\//, '')}`
}

/** Where a file that all spaces share, or /run outside of them, is seen from outside of the sandbox. */
export function inSandbox(sandbox: Sandbox, path: string): string {
  return `/proc/${sandbox.pid}/root${path}`
}

export function isAlive(sandbox: Sandbox): boolean {
  try {
    const { state, startTime } = parseStat(readFileSync(`/proc/${sandbox.pid}/stat`, 'latin1'))
    return startTime === sandbox.startTime && state !== 'Z' && state !== 'X'
  } catch {
    return false
  }
}

/** Kills the holder, and with it everything inside; returns when all of it is gone. */
export async function endSandbox(sandbox: Sandbox, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (isAlive(sandbox)) {
    if (performance.now() > deadline)
      throw new GatewayError('EBUSY', `process ${sandbox.pid} does not end`, {
        hint: `ps -o pid,stat,wchan,args ${sandbox.pid}`,
      })
    try {
      process.kill(sandbox.pid, 'SIGKILL')
    } catch (cause) {
      if (!isAlive(sandbox)) return
      throw new GatewayError('EPERM', `may not end process ${sandbox.pid}`, { cause })
    }
    await delay(5)
  }
}

/** Pid, state and start time out of a /proc/PID/stat line. The name in it may hold anything. */
export function parseStat(line: string): { pid: number; state: string; startTime: string } {
  const rest = line.slice(line.lastIndexOf(')') + 2).split(' ')
  return { pid: Number.parseInt(line, 10), state: rest[0], startTime: rest[19] }
}

// The shell reads its own stat before /proc is that of the new namespace: so it tells the number
// that the maker knows it by. `wait` reaps what daemons leave to PID 1, before and after `keep`.
// A /proc that cannot be mounted (some containers) is done without: `ps` then shows the outside.
const holderScript = `
read -r stat </proc/self/stat
mount -t proc proc /proc 2>/dev/null || :
mount -t tmpfs -o mode=755 hawser /run || exit 1
mkdir -p /run/netns /run/lab/spaces || exit 1
ip link set lo up
echo "$stat"
exec 3<&0 >/dev/null 2>&1
{ read -r keep <&3; } &
wait $! || exit 1
exec 3<&- </dev/null
while :; do sleep 2147483 & wait; done
`

const spaceScript = `
for space; do
  ip netns add "$space"
  mkdir -p "/run/lab/spaces/$space/wireguard" "/run/lab/spaces/$space/hawser"
  nsenter "--net=/run/netns/$space" sh -ec '
    ip link set lo up
    cd /proc/sys/net
    echo 0 >ipv4/conf/all/rp_filter
    echo 0 >ipv4/conf/default/rp_filter
    echo 0 >ipv6/conf/all/accept_dad
    echo 0 >ipv6/conf/default/accept_dad
    echo 0 >ipv6/conf/default/accept_ra
    echo 0 >ipv6/conf/all/disable_ipv6
    echo 0 >ipv6/conf/default/disable_ipv6
  '
done
`

// Who enters a space gets a mount namespace made for the occasion, in which the space's directory
// lies over /run: sockets of one space do not meet those of another. One kept mount namespace per
// space would do too, but binding its file fails by chance since namespaces are numbered in batches
// per CPU (EINVAL from mnt_ns_loop in fs/namespace.c, seen on 6.18).
// /sys shows the network devices of the namespace that it was mounted in.
const enterScript = `
mount --bind "/run/lab/spaces/$0" /run
mount -t sysfs sysfs /sys 2>/dev/null || :
exec "$@"
`

function holderCommand(label: string, rootless: boolean): string[] {
  const user = rootless ? ['--user', '--map-root-user'] : []
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child']
  return ['unshare', ...user, ...namespaces, 'sh', '-c', holderScript, label]
}

// nsenter stays outside as the parent and does not hand signals on: the program asks to die with it.
function bound(command: readonly string[]): string[] {
  return ['setpriv', '--pdeathsig', 'KILL', ...command]
}

type FirstLine = { line: string; reason?: undefined } | { line?: undefined; reason: string }

async function firstLine(child: ChildProcess): Promise<FirstLine> {
  const output = collect(child)
  const line = new Promise<string>(resolve => {
    child.stdout?.on('data', () => {
      const { stdout } = output()
      if (stdout.includes('\n')) resolve(stdout.toString())
    })
  })
  child.stdin?.on('error', () => {})
  try {
    const first = await Promise.race([line, ended(child)])
    if (typeof first === 'string') return { line: first }
    return { reason: output().stderr.toString().split('\n')[0] || `unshare ended with ${first}` }
  } catch (cause) {
    return { reason: cause instanceof Error ? cause.message : String(cause) }
  }
}

function handle(child: ChildProcess, stat: string, rootless: boolean): OpenSandbox {
  const { pid, startTime } = parseStat(stat)
  // unshare complains when its child is killed; nobody needs to read that.
  child.stderr?.destroy()
  child.stdout?.destroy()
  const keep = () => {
    child.stdin?.end('keep\n')
    child.unref()
  }
  return { pid, startTime, rootless, keep }
}
