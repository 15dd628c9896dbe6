// A way to a server that a test can shut: a forwarder of TCP connections on the server's own address, so
// that its certificate holds. Shut, it cuts what goes through and refuses what comes.

import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { freePort } from './ports.ts'

export interface Gate {
  /** Instead of the server's. */
  readonly url: string
  open(): Promise<void>
  shut(): Promise<void>
}

/** An open gate, gone with the test. */
export async function openGate(context: TestContext, serverUrl: string): Promise<Gate> {
  const { hostname, port } = new URL(serverUrl)
  const ownPort = await freePort(hostname)
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
  }
  const server = createServer(client => {
    const behind = connect(Number(port), hostname)
    for (const socket of [client, behind]) keep(socket)
    client.on('close', () => behind.destroy())
    behind.on('close', () => client.destroy())
    client.pipe(behind).pipe(client)
  })
  const gate = {
    url: `https://${hostname}:${ownPort}`,
    open: () => new Promise<void>(resolve => server.listen(ownPort, hostname, resolve)),
    async shut() {
      const closed = new Promise(resolve => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
  await gate.open()
  context.after(gate.shut)
  return gate
}
