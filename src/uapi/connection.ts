// One connection to the UAPI socket: bytes in, requests answered one after the other, in order.
// While a request is being answered the socket is not read, and an answer waits for its reader, so
// that a peer that asks much or reads slowly costs one chunk of memory.
//
// Rubbish, half a request or a peer that vanishes end this connection and nothing else. Every
// chunk that was read or written may have held a key and is wiped.

import type { Socket } from 'node:net'
import { type Errno, errnoName, errnoOk } from './errno.ts'
import { formatErrno } from './format.ts'
import { type Request, RequestParser } from './request.ts'
import type { UapiService } from './service.ts'

export interface ConnectionOptions {
  readonly readOnly: boolean
  /** Answer every request with this errno: there are too many connections. */
  readonly refuse?: Errno
  readonly log: (line: string) => void
}

/** Serves the socket until either side ends. The socket must allow to be half open. */
export function serveConnection(
  socket: Socket,
  service: UapiService,
  options: ConnectionOptions,
): void {
  const parser = new RequestParser(options)

  const answerAll = async (requests: readonly Request[]): Promise<boolean> => {
    for (const request of requests) {
      await answer(socket, service, request, options.log)
      if (request.last || options.refuse !== undefined) return false
    }
    return true
  }
  const take = async (chunk: Buffer): Promise<void> => {
    const open = await answerAll(parser.feed(chunk))
    chunk.fill(0)
    if (open) socket.resume()
    else finish()
  }
  const takeEnd = async (): Promise<void> => {
    const request = parser.end()
    if (request !== undefined) await answerAll([request])
    finish()
  }
  /** What the peer still sends after the last answer must not keep it from being delivered. */
  const finish = (): void => {
    if (socket.writableEnded) return
    parser.wipe()
    socket.removeAllListeners('data').resume()
    socket.end(() => socket.destroy())
  }
  const abandon = (error: unknown): void => {
    parser.wipe()
    socket.destroy()
    if (!(error instanceof Disconnected)) throw error
  }

  socket.on('data', chunk => {
    socket.pause()
    take(chunk).catch(abandon)
  })
  socket.once('end', () => {
    takeEnd().catch(abandon)
  })
  socket.on('error', () => parser.wipe())
  socket.once('close', () => parser.wipe())
}

async function answer(
  socket: Socket,
  service: UapiService,
  request: Request,
  log: (line: string) => void,
): Promise<void> {
  const { action, operations } = request
  let errno = request.errno
  if (errno !== errnoOk) log(`uapi: ${request.problem} (${errnoName(errno)})`)
  else if (action === 'get') errno = await service.get(chunk => write(socket, chunk))
  else errno = await service.set(operations)
  await write(socket, formatErrno(action, errno))
}

/** Resolves when the kernel has the chunk, which is then wiped. */
function write(socket: Socket, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(chunk, error => {
      chunk.fill(0)
      if (error) reject(new Disconnected('the peer has gone', { cause: error }))
      else resolve()
    })
  })
}

/** Expected: the peer went away while we answered. */
class Disconnected extends Error {}
