// What the kernel of a space has counted, by the names of nstat.

import type { Spaces } from '../namespaces.ts'

/** Transport checksums that the kernel found wrong. */
export interface ChecksumErrors {
  readonly tcp: number
  readonly udp: number
  readonly udp6: number
}

export async function checksumErrors(spaces: Spaces, space: string): Promise<ChecksumErrors> {
  // Absolute numbers; nstat's history would be shared by all spaces otherwise.
  const command = ['env', 'NSTAT_HISTORY=/run/nstat', 'nstat', '-asz']
  const text = await spaces.mustRun(space, command)
  const counted = new Map(text.split('\n').map(line => pair(line)))
  const read = (name: string) => {
    const value = counted.get(name)
    if (value === undefined) throw new Error(`nstat does not know ${name}:\n${text}`)
    return value
  }
  return {
    tcp: read('TcpInCsumErrors'),
    udp: read('UdpInCsumErrors'),
    udp6: read('Udp6InCsumErrors'),
  }
}

function pair(line: string): [name: string, value: number] {
  const [name, value] = line.split(/ +/)
  return [name, Number(value)]
}
