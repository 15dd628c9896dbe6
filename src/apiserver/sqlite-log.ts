// The log on disk: SQLite with a write-ahead log, every commit synced (synchronous=FULL), so that neither
// the end of the process nor of the machine takes back what was acknowledged. The file has mode 0600: it
// holds tokens and the PSK as text, as etcd does. One process at a time, held by SQLite's own lock.
//
// A disk that is full refuses the commit and leaves what is there as it was.

import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { GatewayError } from '../net/errors.ts'
import { type Log, type LogEntry, LogError, type Logged, type LoggedRow } from './store.ts'

/** Of the tables; another one is not touched. */
const schemaVersion = 1

export class SqliteLog implements Log {
  readonly #database: DatabaseSync
  readonly #put: StatementSync
  readonly #remove: StatementSync
  readonly #mark: StatementSync

  /** Opens or makes `store.db` in a directory. Throws GatewayError. */
  constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    chmodSync(directory, 0o700)
    const file = join(directory, 'store.db')
    const umask = process.umask(0o077)
    try {
      this.#database = new DatabaseSync(file)
      this.#open(file)
    } catch (cause) {
      throw openError(file, cause)
    } finally {
      process.umask(umask)
    }
    const database = this.#database
    this.#put = database.prepare(
      'INSERT INTO objects (kind, key, text) VALUES (?, ?, ?)' +
        ' ON CONFLICT (kind, key) DO UPDATE SET text = excluded.text',
    )
    this.#remove = database.prepare('DELETE FROM objects WHERE kind = ? AND key = ?')
    this.#mark = database.prepare(
      'INSERT INTO changes (kind, version) VALUES (?, ?)' +
        ' ON CONFLICT (kind) DO UPDATE SET version = excluded.version',
    )
  }

  #open(file: string): void {
    const database = this.#database
    database.exec('PRAGMA locking_mode = EXCLUSIVE')
    database.exec('PRAGMA journal_mode = WAL')
    database.exec('PRAGMA synchronous = FULL')
    const { user_version: found } = database.prepare('PRAGMA user_version').get() ?? {}
    if (found !== 0 && found !== schemaVersion) {
      throw new GatewayError('BAD_STORE', `${file} was made by another version (${found})`)
    }
    database.exec(
      'BEGIN IMMEDIATE;' +
        'CREATE TABLE IF NOT EXISTS objects' +
        ' (kind TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL,' +
        ' PRIMARY KEY (kind, key)) WITHOUT ROWID;' +
        'CREATE TABLE IF NOT EXISTS changes' +
        ' (kind TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;' +
        `PRAGMA user_version = ${schemaVersion};` +
        'COMMIT',
    )
  }

  load(): Logged {
    const lastChanges = new Map<string, number>()
    for (const row of this.#database.prepare('SELECT kind, version FROM changes').iterate()) {
      lastChanges.set(String(row['kind']), Number(row['version']))
    }
    const rows = this.#database.prepare('SELECT kind, key, text FROM objects').all()
    return {
      version: Math.max(0, ...lastChanges.values()),
      lastChanges,
      rows: rows as unknown as readonly LoggedRow[],
    }
  }

  append({ version, kind, key, text }: LogEntry): void {
    const database = this.#database
    try {
      database.exec('BEGIN IMMEDIATE')
      if (text === undefined) this.#remove.run(kind, key)
      else this.#put.run(kind, key, text)
      this.#mark.run(kind, version)
      database.exec('COMMIT')
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK')
      throw new LogError(error instanceof Error ? error.message : String(error), { cause: error })
    }
  }

  close(): void {
    this.#database.close()
  }
}

function openError(file: string, cause: unknown): GatewayError {
  if (cause instanceof GatewayError) return cause
  const why = cause instanceof Error ? cause.message : String(cause)
  if (/locked|busy/.test(why)) {
    return new GatewayError('EBUSY', `${file} is in use by another process`, {
      hint: `fuser -v ${file}`,
      cause,
    })
  }
  return new GatewayError('BAD_STORE', `cannot open ${file}: ${why}`, { cause })
}
