// The UAPI listener: a unix socket by which `wg` and `wg-quick` configure the data path and read
// it (www.wireguard.com/xplatform; framing in request.ts, keys in operation.ts and format.ts).
//
// Main path: accept, serveConnection, and at the end `close`. `hawser wg` listens for both kinds of
// requests and ends when somebody removes the socket; `hawser datapath` listens read-only, so that
// `wg show` works on every gateway.
//
// Invariants: at most `connectionsMax` connections are served at a time, as many again are told
// EAGAIN, more are closed. Nothing that a connection does can throw here.

import { createServer, type Server, type Socket } from 'node:net'
import { GatewayError } from '../net/errors.ts'
import { serveConnection } from './connection.ts'
import { EAGAIN } from './errno.ts'
import { createUapiService, type UapiDatapath } from './service.ts'
import {
  fileIdentity,
  listenAt,
  removeOwn,
  socketPath,
  uapiDirectory,
  watchFile,
} from './socket-file.ts'

export const connectionsMax = 64

export interface UapiServerOptions {
  readonly interfaceName: string
  readonly datapath: UapiDatapath
  /** Answer a set with EPERM. */
  readonly readOnly: boolean
  /** Called once when the socket file was removed or replaced by someone else. */
  readonly onSocketRemoved: () => void
  readonly log: (line: string) => void
  /** Where the socket is made; /var/run/wireguard. */
  readonly directory?: string
  /** Adopt this descriptor, which listens already (WG_UAPI_FD). */
  readonly fd?: number
}

export interface UapiServer {
  readonly path: string
  /** Stops listening, ends the connections and removes the socket file. */
  close(): Promise<void>
}

/** Listens. Throws GatewayError, EADDRINUSE when another process serves this name. */
export async function listenUapi(options: UapiServerOptions): Promise<UapiServer> {
  const path = socketPath(options.directory ?? uapiDirectory, options.interfaceName)
  const connections = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: false })
  server.maxConnections = 2 * connectionsMax
  const service = createUapiService(options.datapath, options.log)
  server.on('connection', socket => {
    const crowded = connections.size >= connectionsMax
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
    const { readOnly, log } = options
    serveConnection(socket, service, { readOnly, log, ...(crowded ? { refuse: EAGAIN } : {}) })
  })
  if (options.fd === undefined) await listenAt(server, path)
  else await adopt(server, options.fd)
  server.on('error', error => options.log(`uapi: ${error.message}`))

  const identity = fileIdentity(path)
  const stopWatching = watchOwn(path, identity, options)
  return {
    path,
    async close() {
      stopWatching()
      removeOwn(path, identity)
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      for (const socket of connections) socket.destroy()
      await closed
    },
  }
}

function adopt(server: Server, fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void => {
      reject(new GatewayError('EINVAL', `descriptor ${fd} is no listening unix socket`, { cause }))
    }
    server.once('error', fail)
    server.listen({ fd }, () => {
      server.removeListener('error', fail)
      resolve()
    })
  })
}

/** An adopted socket may live in another place: then there is nothing to watch. */
function watchOwn(
  path: string,
  identity: string | undefined,
  options: UapiServerOptions,
): () => void {
  if (identity === undefined) return () => {}
  const blind = (error: unknown): void => {
    const reason = error instanceof Error ? error.message : String(error)
    options.log(`uapi: removing ${path} will go unnoticed: ${reason}`)
  }
  try {
    return watchFile(path, identity, options.onSocketRemoved, blind)
  } catch (error) {
    blind(error)
    return () => {}
  }
}
