// The file of a UAPI socket, /var/run/wireguard/NAME.sock: a directory of mode 0755, a socket that
// only its owner may open (umask 077), as wireguard-go makes them (ipc/uapi_unix.go).
//
// The socket is bound under a name of our own and then linked to its place. So the place never
// holds a socket that does not listen yet, two starters cannot both win (link fails where a file
// is), and libuv, which unlinks what it has bound, cannot remove the socket of a successor.

import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  type Stats,
  statSync,
  unlinkSync,
  watch,
} from 'node:fs'
import { connect, type Server } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { GatewayError } from '../net/errors.ts'

export const uapiDirectory = '/var/run/wireguard'

export function socketPath(directory: string, interfaceName: string): string {
  return join(directory, `${interfaceName}.sock`)
}

/** Makes `server` listen at `path`. Throws EADDRINUSE when somebody else does. */
export async function listenAt(server: Server, path: string): Promise<void> {
  const temporary = prepare(path)
  await clearStale(path)
  try {
    await listenUnder077(server, temporary)
    linkSync(temporary, path)
  } catch (cause) {
    server.close()
    // Somebody was faster.
    throw codeOf(cause) === 'EEXIST' ? inUse(path) : failure(cause, path)
  } finally {
    removeFile(temporary)
  }
}

/** Identity of a file: device and inode. Undefined when there is none. */
export function fileIdentity(path: string): string | undefined {
  const found = lstat(path)
  return found === undefined ? undefined : `${found.dev}:${found.ino}`
}

/** Removes the file if it is still the one with this identity. */
export function removeOwn(path: string, identity: string | undefined): void {
  if (identity !== undefined && fileIdentity(path) === identity) removeFile(path)
}

/**
 * Calls `onGone` once when the file with this identity has left its place; returns how to stop.
 * The directory is watched and not the file: inotify reports the removal of a file only when its
 * last link is gone.
 */
export function watchFile(
  path: string,
  identity: string,
  onGone: () => void,
  onError: (error: Error) => void,
): () => void {
  let stopped = false
  const stop = (): void => {
    stopped = true
    watcher.close()
  }
  const look = (): void => {
    if (stopped || fileIdentity(path) === identity) return
    stop()
    onGone()
  }
  const watcher = watch(dirname(path), { persistent: false }, look)
  watcher.on('error', onError)
  // It may have gone before the watch began.
  setImmediate(look)
  return stop
}

function prepare(path: string): string {
  const dir = dirname(path)
  try {
    if (mkdirSync(dir, { recursive: true }) !== undefined) chmodSync(dir, 0o755)
    if (!statSync(dir).isDirectory()) throw new Error(`${dir} is not a directory`)
  } catch (cause) {
    throw failure(cause, dir)
  }
  return join(dir, `.${basename(path)}.${process.pid}`)
}

/** A socket that nobody listens on is left over from a daemon that was killed. */
async function clearStale(path: string): Promise<void> {
  const found = lstat(path)
  if (found === undefined) return
  if (!found.isSocket()) {
    throw new GatewayError('EEXIST', `${path} is there and is not a socket`, {
      hint: `remove it: rm ${path}`,
    })
  }
  const error = await testConnect(path)
  if (error === undefined) throw inUse(path)
  if (error.code === 'ECONNREFUSED') removeFile(path)
  else if (error.code !== 'ENOENT') throw failure(error, path)
}

function testConnect(path: string): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(undefined)
    })
    socket.once('error', resolve)
  })
}

function listenUnder077(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const umask = process.umask(0o077)
    try {
      server.listen(path, () => {
        server.removeListener('error', reject)
        resolve()
      })
    } finally {
      process.umask(umask)
    }
  })
}

function lstat(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}

function removeFile(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

function failure(cause: unknown, path: string): GatewayError {
  const code = codeOf(cause)
  const reason = cause instanceof Error ? cause.message : String(cause)
  const denied = code === 'EACCES' || code === 'EPERM'
  return new GatewayError(code ?? 'EIO', `cannot serve ${path}: ${reason}`, {
    cause,
    ...(denied ? { hint: 'run it as root' } : {}),
  })
}

function inUse(path: string): GatewayError {
  return new GatewayError('EADDRINUSE', `${path} is served by another process`, {
    hint: 'choose another interface name, or end that process first',
  })
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}
