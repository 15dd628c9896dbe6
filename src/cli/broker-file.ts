// The join file on disk. It holds secrets: mode 0600 from its first byte on, and what was there before is
// kept beside it under the name that stock gives it.

import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { type BrokerInfo, formatBrokerInfo, parseBrokerInfo } from '../kube/broker-info.ts'
import { exitCode, GatewayError } from '../net/errors.ts'

export const defaultBrokerFile = 'broker-info.subm'

/** Throws GatewayError, with the path. "-" is standard input. */
export function readBrokerFile(path: string): BrokerInfo {
  const text = textOf(path)
  try {
    return parseBrokerInfo(text)
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    const { hint, exit } = error
    throw new GatewayError(error.code, `${path} is ${error.message}`, {
      exit,
      ...(hint === undefined ? {} : { hint }),
    })
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new GatewayError('BAD_BROKER_INFO', `cannot read the join file ${path}: ${why}`, {
      hint: `ls -l ${path}; hawser deploy-broker writes one`,
      exit: exitCode.failed,
    })
  }
}

/** Returns where the file is that was there before, if there was another one. */
export function writeBrokerFile(path: string, info: BrokerInfo, now: Date): string | undefined {
  const text = formatBrokerInfo(info)
  try {
    const before = existingText(path)
    if (before === text) {
      chmodSync(path, 0o600)
      return undefined
    }
    const backup = `${path}.${now
      .toISOString()
      .replace(/\.\d+Z$/, 'Z')
      .replaceAll(':', '_')}`
    const fresh = `${path}.new`
    // One that a failure has left may have another mode, or lead elsewhere.
    rmSync(fresh, { force: true })
    writeFileSync(fresh, text, { mode: 0o600, flag: 'wx', flush: true })
    if (before !== undefined) renameSync(path, backup)
    renameSync(fresh, path)
    return before === undefined ? undefined : backup
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new GatewayError('EIO', `cannot write the join file ${path}: ${why}`, {
      hint: 'run it again where there is room and the right to write, or with --file PATH',
    })
  }
}

function existingText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
