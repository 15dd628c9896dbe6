// Where a capture is written: a file, a set of files of which the oldest goes, or standard output.
// What cannot be written ends the capture: a full disk with an error, a reader that has gone silently.

import { closeSync, fchmodSync, fstatSync, openSync, rmSync, writeSync } from 'node:fs'
import { extname } from 'node:path'
import { GatewayError } from '../net/errors.ts'

export interface Sink {
  /** Where to, for people. */
  readonly name: string
  /** Of the file that is written to now. */
  readonly bytes: number
  write(bytes: Uint8Array): Promise<void>
  close(): void
}

/** Thrown by `write` when nobody reads standard output any more. */
export class ReaderGone extends Error {}

/** A file that only its owner can read: captures hold what people said, and may hold keys. */
export function fileSink(path: string): Sink {
  const fd = withPath(path, () => openSync(path, 'w', 0o600))
  // A device or a pipe belongs to others too: the mode of /dev/null is not ours to change.
  if (fstatSync(fd).isFile()) withPath(path, () => fchmodSync(fd, 0o600))
  let isOpen = true
  let written = 0
  return {
    name: path,
    get bytes() {
      return written
    },
    async write(bytes) {
      for (let at = 0; at < bytes.length; )
        at += withPath(path, () => writeSync(fd, bytes, at, bytes.length - at))
      written += bytes.length
    },
    close() {
      if (isOpen) closeSync(fd)
      isOpen = false
    },
  }
}

export function standardOutputSink(): Sink {
  let written = 0
  // Each write tells by itself how it went.
  process.stdout.removeAllListeners('error')
  process.stdout.on('error', () => undefined)
  return {
    name: 'standard output',
    get bytes() {
      return written
    },
    write(bytes) {
      written += bytes.length
      return new Promise((resolve, reject) => {
        const fail = (error: NodeJS.ErrnoException) =>
          reject(error.code === 'EPIPE' ? new ReaderGone() : unwritable('standard output', error))
        try {
          process.stdout.write(bytes, error => (error ? fail(error) : resolve()))
        } catch (error) {
          // Into a file it is written at once, and fails at once.
          fail(error as NodeJS.ErrnoException)
        }
      })
    },
    close() {},
  }
}

/** The names of a set: `west.pcapng` becomes `west-00001.pcapng`, `west-00002.pcapng`, … */
export class RotatingFiles {
  readonly #path: string
  readonly #filesMost: number
  readonly #files: string[] = []
  #count = 0

  /** `filesMost`: the oldest goes when there are more; Infinity keeps all. */
  constructor(path: string, filesMost: number) {
    this.#path = path
    this.#filesMost = filesMost
  }

  next(): Sink {
    const extension = extname(this.#path)
    const stem = this.#path.slice(0, this.#path.length - extension.length)
    const path = `${stem}-${String(++this.#count).padStart(5, '0')}${extension}`
    this.#files.push(path)
    const sink = fileSink(path)
    if (this.#files.length > this.#filesMost) {
      const oldest = this.#files.shift()
      if (oldest !== undefined) rmSync(oldest, { force: true })
    }
    return sink
  }
}

function withPath<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw unwritable(path, error as NodeJS.ErrnoException)
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on the device',
  EDQUOT: 'the quota is used up',
  EFBIG: 'the file is too large',
  EACCES: 'permission denied',
  ENOENT: 'there is no such directory',
  EISDIR: 'it is a directory',
  EROFS: 'the file system is read-only',
}

function unwritable(path: string, error: NodeJS.ErrnoException): GatewayError {
  const code = error.code ?? 'EIO'
  const hint = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code)
    ? 'capture less: a filter, --snaplen 128, or --rotate 100M --files 5'
    : 'give -w the path of a file that can be written'
  return new GatewayError(code, `cannot write ${path}: ${reasons[code] ?? error.message}`, {
    hint,
    cause: error,
  })
}
