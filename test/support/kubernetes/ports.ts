// Where the servers of a test listen: a loopback address of their own out of 127.0.0.0/8, and there a port
// that the kernel chose. Nobody else binds that address, so a port that was found free stays so, also
// while its server is dead and is started again.

import { randomInt } from 'node:crypto'
import { type AddressInfo, createServer } from 'node:net'

export function ownLoopback(): string {
  return `127.${randomInt(1, 255)}.${randomInt(0, 256)}.${randomInt(1, 255)}`
}

const given = new Set<string>()

/** A port that this function has not given away before. */
export async function freePort(address: string): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, address, resolve)
  })
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  const name = `${address}:${port}`
  if (given.has(name)) return freePort(address)
  given.add(name)
  return port
}
