// The data path's end of its unix socket (docs/wire.md). Clients come and go, several at once: the
// control daemon, the CLI, the lab. The socket has mode 0600, and the other end must have our own
// uid or be root (SO_PEERCRED), because a client reads and writes private keys. Snapshots are
// applied one after the other, each with a higher generation than the one in force.
//
// No client can harm the data path: see connection.ts for what bounds a single one.

import { existsSync, lstatSync, mkdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { GatewayError } from '../net/errors.ts'
import type { ForeignDatagram } from '../tables/status.ts'
import type { Tables } from '../tables/tables.ts'
import { socketDirectory } from './client.ts'
import { Connection, type ConnectionTarget } from './connection.ts'
import { secretsOf } from './tables.ts'

/**
 * Clients at the same time. The next one is turned away with EAGAIN; four times as many connections,
 * with those that read their farewell, and the next one is closed without a word.
 */
export const clientsMax = 32

/** Room for a path in sockaddr_un, without its closing zero. */
const pathBytesMax = 107

export interface WireServerOptions {
  readonly path: string
  readonly datapath: ConnectionTarget
  /** Uid and pid at the other end of a connected unix socket, by descriptor (SO_PEERCRED). */
  readonly peerCredentials: (fd: number) => { uid: number; pid: number }
  readonly log: (line: string) => void
}

export interface WireServer {
  readonly path: string
  /** Pushes a datagram to every subscriber that keeps up. False: there is none. */
  pushForeign(datagram: ForeignDatagram): boolean
  /** Stops listening, cuts all clients off and removes the socket. */
  close(): Promise<void>
}

/** Starts to listen. Throws GatewayError: EADDRINUSE when somebody answers on that path, … */
export async function startWireServer(options: WireServerOptions): Promise<WireServer> {
  const { path, log } = options
  await preparePath(path)
  const connections = new Set<Connection>()
  const target = oneAtATime(options.datapath, log)
  const server = createServer({ allowHalfOpen: true, highWaterMark: 65_536 }, socket => {
    const connection = new Connection(socket, target, log)
    connections.add(connection)
    socket.on('close', () => connections.delete(connection))
    const served = [...connections].filter(({ isServed }) => isServed).length
    const refusal = judge(socket, options, served)
    if (refusal) connection.refuse(refusal)
  })
  server.maxConnections = 4 * clientsMax
  await listen(server, path)
  server.on('error', error => log(`socket ${path}: ${error.message}`))
  return {
    path,
    pushForeign(datagram) {
      const nowMs = performance.now()
      let isRead = false
      for (const connection of connections) isRead = connection.push(datagram, nowMs) || isRead
      return isRead
    },
    async close() {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      for (const connection of connections)
        connection.refuse(new GatewayError('ESHUTDOWN', 'the data path ends'))
      await closed
    },
  }
}

/** Why a client is not served, or undefined. */
function judge(
  socket: Socket,
  options: WireServerOptions,
  clients: number,
): GatewayError | undefined {
  if (clients > clientsMax)
    return new GatewayError('EAGAIN', `${clientsMax} clients are attached already`)
  const own = process.getuid?.() ?? 0
  try {
    const { uid, pid } = options.peerCredentials(descriptorOf(socket))
    if (uid === 0 || uid === own) return undefined
    const allowed = own === 0 ? 'root' : `root and uid ${own}`
    return new GatewayError('EPERM', `process ${pid} has uid ${uid}; only ${allowed} may attach`)
  } catch (cause) {
    return new GatewayError('EPERM', 'the other end cannot be identified', { cause })
  }
}

/** Node has no public way to a socket's descriptor, and SO_PEERCRED needs it. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { _handle?: { fd?: number } }
  if (typeof handle?.fd !== 'number' || handle.fd < 0) throw new Error('no descriptor')
  return handle.fd
}

/** The same target, whose snapshots are applied in turn and with rising generations. */
function oneAtATime(datapath: ConnectionTarget, log: (line: string) => void): ConnectionTarget {
  let last: Promise<void> = Promise.resolve()
  // The keys of a snapshot are wiped one snapshot late: a UAPI get may still walk over it.
  let replaced: readonly Uint8Array[] = []
  const applyNow = async (tables: Tables) => {
    const before = datapath.tables
    const current = before.generation
    if (tables.generation <= current)
      throw new GatewayError(
        'STALE',
        `generation ${tables.generation} is not above ${current}, which is in force`,
        { hint: 'read the status, and post with a higher generation' },
      )
    await datapath.apply(tables)
    for (const secret of replaced) secret.fill(0)
    replaced = secretsOf(before)
    log(`generation ${tables.generation} in force, cables: ${tables.cables.length}`)
  }
  return {
    interfaceName: datapath.interfaceName,
    get tables() {
      return datapath.tables
    },
    status: () => datapath.status(),
    sendForeign: (to, bytes) => datapath.sendForeign(to, bytes),
    startCapture: request => datapath.startCapture(request),
    apply(tables) {
      const applied = last.then(() => applyNow(tables))
      last = applied.catch(() => undefined)
      return applied
    },
  }
}

/** Removes a socket that nobody answers on any more. Makes the usual directory, and no other. */
async function preparePath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > pathBytesMax)
    throw new GatewayError('ENAMETOOLONG', `the socket path ${path} is too long`, {
      hint: `give --socket a path of at most ${pathBytesMax} bytes`,
    })
  const directory = dirname(path)
  try {
    if (directory === socketDirectory) mkdirSync(directory, { recursive: true, mode: 0o755 })
    else if (!existsSync(directory))
      throw new GatewayError('ENOENT', `cannot listen on ${path}: there is no ${directory}`, {
        hint: `mkdir -p ${directory}`,
      })
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found === undefined) return
    if (!found.isSocket())
      throw new GatewayError('EEXIST', `${path} is there already and is no socket`, {
        hint: 'give --socket another path',
      })
    if (await answers(path))
      throw new GatewayError('EADDRINUSE', `another process serves ${path}`, {
        hint: `hawser status --socket ${path}`,
      })
    rmSync(path, { force: true })
  } catch (cause) {
    throw cause instanceof GatewayError ? cause : cannotListen(path, cause)
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false)
      else reject(error)
    })
  })
}

/** Node binds within the call to listen, so that the umask gives the socket its mode from birth. */
function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', cause => reject(cannotListen(path, cause)))
    server.once('listening', () => {
      server.removeAllListeners('error')
      resolve()
    })
    const before = process.umask(0o177)
    try {
      server.listen(path)
    } finally {
      process.umask(before)
    }
  })
}

function cannotListen(path: string, cause: unknown): GatewayError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'EIO'
  return new GatewayError(code, `cannot listen on ${path}: ${code}`, {
    hint: 'give --socket a path in a directory that belongs to the user of the data path',
    cause,
  })
}
