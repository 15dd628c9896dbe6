// Three fake API servers as one process that a test may kill: a broker and two clusters. Arguments: the
// address to listen on, and a directory in which each gets a folder as a mounted Secret has it, with
// `token`, `ca.crt` and beside them `url`.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { controlKinds } from '../control-kinds.ts'
import { FakeApiserver } from '../fake-apiserver.ts'

const [host, directory] = process.argv.slice(2)

for (const name of ['broker', 'east', 'west']) {
  const server = new FakeApiserver({ kinds: controlKinds, host })
  // The Role of stock gateways.
  server.forbids = ({ method, path }) => method === 'PATCH' && !path.includes('/pods/')
  await server.open()
  const folder = join(directory, name)
  mkdirSync(folder)
  writeFileSync(join(folder, 'token'), 'token-1')
  writeFileSync(join(folder, 'ca.crt'), server.authority.pem)
  writeFileSync(join(folder, 'url'), server.url)
}
process.stdout.write('ready\n')
