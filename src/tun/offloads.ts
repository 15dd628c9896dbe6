// Which offloads the TUN device and the UDP sockets use. Each is asked of the kernel, tried by a
// self-test, and can be switched off by an environment variable for bisecting; status shows the
// modes in force and why the others are off.

import type { Native, OffloadProbe } from '../native.ts'
import { GatewayError } from '../net/errors.ts'
import type { OffloadStatus } from '../tables/status.ts'

/** linux/if_tun.h. */
const TUN_F = { CSUM: 0x01, TSO4: 0x02, TSO6: 0x04, TSO_ECN: 0x08, USO4: 0x20, USO6: 0x40 } as const

export const offloadVariables = {
  tunTso: 'HAWSER_NO_TUN_TSO',
  tunUso: 'HAWSER_NO_TUN_USO',
  udpSegmentation: 'HAWSER_NO_UDP_SEGMENT',
  udpGro: 'HAWSER_NO_UDP_GRO',
} as const

type Mode = keyof typeof offloadVariables

/** What the self-tests and the environment allow. */
export function chooseOffloads(
  native: Pick<Native, 'probeOffloads'>,
  environment: Readonly<Record<string, string | undefined>>,
): OffloadStatus {
  const probe: OffloadProbe = native.probeOffloads()
  const reasons: Record<string, string> = {}
  const isOn = (mode: Mode): boolean => {
    const variable = offloadVariables[mode]
    const said = probe.reasons[mode]
    if (environment[variable] === '1') {
      reasons[mode] = `switched off by ${variable}=1`
      return false
    }
    // A mode that is on may have a reason too: that it could not be tested.
    if (said !== undefined || !probe[mode]) reasons[mode] = said ?? 'the self-test failed'
    return probe[mode]
  }
  const tunTso = isOn('tunTso')
  return {
    tunTso,
    tunUso: isOn('tunUso'),
    udpSegmentation: isOn('udpSegmentation'),
    udpGro: isOn('udpGro'),
    reasons,
  }
}

/**
 * Sets the offloads of a device, stepping down where the kernel refuses: without ECN, without USO,
 * checksums alone, none. Returns the modes in force.
 */
export function setTunOffloads(
  native: Pick<Native, 'setTunOffload'>,
  fd: number,
  wanted: OffloadStatus,
): OffloadStatus {
  const tso = wanted.tunTso ? TUN_F.TSO4 | TUN_F.TSO6 : 0
  const uso = wanted.tunUso ? TUN_F.USO4 | TUN_F.USO6 : 0
  const ecn = wanted.tunTso ? TUN_F.TSO_ECN : 0
  const steps = [TUN_F.CSUM | tso | uso | ecn, TUN_F.CSUM | tso | uso, TUN_F.CSUM | tso, TUN_F.CSUM]
  const reasons = { ...wanted.reasons }
  for (const mask of steps) {
    if (native.setTunOffload(fd, mask) < 0) continue
    const tunTso = (mask & TUN_F.TSO4) !== 0
    const tunUso = (mask & TUN_F.USO4) !== 0
    const refused = 'the kernel refused it (TUNSETOFFLOAD)'
    if (wanted.tunTso && !tunTso) reasons['tunTso'] = refused
    if (wanted.tunUso && !tunUso) reasons['tunUso'] = refused
    return { ...wanted, tunTso, tunUso, reasons }
  }
  throw new GatewayError('EINVAL', 'the kernel takes no checksum offload on a TUN device', {
    hint: 'Linux 5.10 or newer is needed: uname -r',
  })
}

/** Datagrams that one UDP_SEGMENT message may hold: UDP_MAX_SEGMENTS was 64 until Linux 6.9. */
export function segmentsPerTrain(kernelRelease: string): number {
  const [major, minor] = kernelRelease.split('.', 2).map(Number)
  return major > 6 || (major === 6 && minor >= 9) ? 128 : 64
}
