// A TCP server that tells its clients by which address it sees them, as IPv4 where it is one.

import assert from 'node:assert/strict'
import { collect } from '../../../src/lab/process.ts'
import { eventually } from '../eventually.ts'
import type { Spaces } from '../namespaces.ts'

const serve = `
  const server = require('node:net').createServer(socket => {
    socket.on('error', () => undefined)
    socket.end(socket.remoteAddress.replace(/^::ffff:/, ''))
  })
  server.listen(Number(process.argv[1]), '::', () => console.log('ready'))`

const ask = `
  const socket = require('node:net').connect(Number(process.argv[2]), process.argv[1])
  socket.setTimeout(30_000, () => socket.destroy(new Error('no answer in 30 s')))
  socket.on('error', error => { console.error(error.message); process.exit(1) })
  socket.pipe(process.stdout)`

export async function startWhoami(spaces: Spaces, space: string, port: number): Promise<void> {
  const child = spaces.start(space, [process.execPath, '-e', serve, String(port)])
  const output = collect(child)
  await eventually(
    () => output().stdout.includes('ready'),
    () => output().stderr.toString(),
  )
}

/** As whom the server sees the space. */
export async function seenAs(
  spaces: Spaces,
  space: string,
  host: string,
  port: number,
): Promise<string> {
  const command = [process.execPath, '-e', ask, host, String(port)]
  const { code, stdout, stderr } = await spaces.run(space, command)
  assert.equal(code, 0, `${space} to ${host}:${port}: ${stderr}`)
  return stdout
}
