// Says when somebody changes links, addresses, routes or rules of this machine: `ip monitor`, of which
// nothing is read but that it said something. It may end (its socket overflows when a thousand routes
// come at once), and is then started again after a while; whoever listens looks now and then anyway.

import { type ChildProcess, spawn } from 'node:child_process'

const againMs = 5000

export interface Monitor {
  stop(): void
}

/** Calls `changed` for each piece of news, and when there is no telling what was missed. */
export function monitorHost(changed: () => void): Monitor {
  let child: ChildProcess | undefined
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  const start = () => {
    child = spawn('ip', ['monitor', 'link', 'address', 'route', 'rule'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    child.stdout?.on('data', changed)
    // `error`: there is no such program; `close` follows in every other case.
    child.once('error', again)
    child.once('close', again)
  }
  const again = () => {
    clearTimeout(timer)
    if (isStopped) return
    changed()
    timer = setTimeout(start, againMs)
  }
  start()
  return {
    stop: () => {
      isStopped = true
      clearTimeout(timer)
      child?.kill('SIGKILL')
    },
  }
}
