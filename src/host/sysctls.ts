// Settings of interfaces in /proc/sys/net. Those of a device of ours go away with it; those of a foreign
// one are read before they are written, by whoever gives them back later.

import { readFileSync, writeFileSync } from 'node:fs'
import type { Family } from '../net/address.ts'
import { GatewayError } from '../net/errors.ts'

export interface Sysctl {
  readonly family: Family
  readonly interfaceName: string
  /** `rp_filter` or `forwarding`. */
  readonly name: string
  readonly value: number
}

/** Undefined when there is no such interface, or no such family on it. */
export function readSysctl({
  family,
  interfaceName,
  name,
}: Omit<Sysctl, 'value'>): number | undefined {
  const path = pathOf(family, interfaceName, name)
  try {
    return Number(readFileSync(path, 'utf8'))
  } catch (cause) {
    const { code = 'EIO' } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENODEV') return undefined
    throw new GatewayError(code, `cannot read ${path}: ${code}`, { hint: `cat ${path}`, cause })
  }
}

export function writeSysctl({ family, interfaceName, name, value }: Sysctl): void {
  const path = pathOf(family, interfaceName, name)
  try {
    writeFileSync(path, String(value))
  } catch (cause) {
    const { code = 'EIO' } = cause as NodeJS.ErrnoException
    // It went away in between: then there is nothing to set.
    if (code === 'ENOENT' || code === 'ENODEV') return
    throw new GatewayError(code, `cannot write ${value} to ${path}: ${code}`, {
      hint:
        code === 'EROFS'
          ? 'the pod has to be privileged, for a /proc/sys that can be written'
          : `echo ${value} >${path}`,
      cause,
    })
  }
}

function pathOf(family: Family, interfaceName: string, name: string): string {
  return `/proc/sys/net/ipv${family}/conf/${interfaceName}/${name}`
}
