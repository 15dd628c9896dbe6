// A child for tests of starting in the background: does what its first argument says.

import { readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { readinessOf } from '../../src/daemon/background.ts'
import { GatewayError } from '../../src/net/errors.ts'

const [, , behaviour, file] = process.argv
const readiness = readinessOf(process.env)

function describe(): object {
  // proc_pid_stat(5): the sixth field is the session.
  const session = Number(readFileSync('/proc/self/stat', 'utf8').split(' ')[5])
  return {
    pid: process.pid,
    session,
    directory: process.cwd(),
    standard: [0, 1, 2].map(fd => readlinkSync(`/proc/self/fd/${fd}`)),
    handed: readFileSync(Number(process.env['TEST_FD']), 'utf8'),
    variableGone: process.env['HAWSER_READY_FD'] === undefined,
  }
}

switch (behaviour) {
  case 'serve':
    writeFileSync(file, JSON.stringify(describe()))
    readiness?.ready()
    process.on('SIGTERM', () => process.exit(0))
    setInterval(() => {}, 60_000)
    break
  case 'fail':
    readiness?.failed(new GatewayError('EBUSY', 'wg7: in use', { hint: 'ip link', exit: 1 }))
    process.exit(1)
    break
  case 'usage':
    readiness?.failed(new GatewayError('BAD', 'wrong', { exit: 2 }))
    process.exit(2)
    break
  case 'killed':
    process.kill(process.pid, 'SIGKILL')
    break
  case 'silent':
    process.exit(7)
    break
  case 'slow':
    writeFileSync(file, String(process.pid))
    setInterval(() => {}, 60_000)
    break
  default:
    throw new Error(`unknown behaviour ${behaviour}`)
}
