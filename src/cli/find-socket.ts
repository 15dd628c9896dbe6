// Finds the data path that a command is about: by path, by interface name, or because there is only
// one on this machine.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { exitCode, GatewayError } from '../net/errors.ts'
import { socketDirectory } from '../wire/client.ts'

export interface SocketChoice {
  readonly socket?: string
  readonly interface?: string
}

export function socketOf(interfaceName: string, directory: string = socketDirectory): string {
  return join(directory, `${interfaceName}.sock`)
}

/** Throws GatewayError: USAGE when there are several, UNREACHABLE when there is none. */
export function findSocket(choice: SocketChoice, directory: string = socketDirectory): string {
  if (choice.socket !== undefined) return choice.socket
  if (choice.interface !== undefined) return socketOf(choice.interface, directory)
  const found = socketsIn(directory)
  if (found.length === 1) return join(directory, found[0])
  if (found.length === 0)
    throw new GatewayError('UNREACHABLE', `no data path has a socket in ${directory}`, {
      hint: 'hawser datapath --interface NAME, or give --socket PATH',
      exit: exitCode.unreachable,
    })
  const names = found.map(file => file.replace(/\.sock$/, ''))
  throw new GatewayError('USAGE', `several data paths run here: ${names.join(', ')}`, {
    hint: `--interface ${names[0]}`,
    exit: exitCode.usage,
  })
}

function socketsIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter(file => file.endsWith('.sock'))
      .sort()
  } catch {
    // No directory, or none that we may read: no socket that we could use.
    return []
  }
}
