// The two clusters joined by a VXLAN cable: tables for our end, and the other end as the stock
// Submariner driver makes it out of a kernel vxlan device.

import { parseAddress, parsePrefix, parseRemote } from '../../../src/net/address.ts'
import type { DeviceTable, VxlanCable } from '../../../src/tables/tables.ts'
import type { Spaces } from '../namespaces.ts'
import type { Side } from './clusters.ts'

export const port = 4500
export const vni = 1000
export const mtuBytes = 1450

/** The stock driver's rule: 241 and the last three octets of the gateway's own address. */
export function tunnelAddress(side: Side): string {
  return side.address.replace(/^\d+/, '241')
}

export function macOf(side: Side): Uint8Array {
  return Uint8Array.of(2, 0x68, 0x61, 0x77, 0, Number(side.address.split('.')[3]))
}

export function deviceOf(side: Side): DeviceTable {
  const vxlan = { vni, address: parseAddress(tunnelAddress(side)), mac: macOf(side) }
  return { listenPort: port, fwmark: 0, vxlan }
}

/** The cable that leads to a cluster. */
export function cableTo(side: Side, changes: Partial<VxlanCable> = {}): VxlanCable {
  return {
    name: side.gateway,
    driver: 'vxlan',
    remote: parseRemote(`${side.address}:${port}`),
    remoteSerial: 1,
    allowedIps: side.prefixes.map(parsePrefix),
    tunnelAddress: parseAddress(tunnelAddress(side)),
    ...changes,
  }
}

export const kernelDevice = 'vxlan-tunnel'

/**
 * Makes a kernel gateway of one side, as pkg/cable/vxlan of Submariner does: device without learning,
 * flood entry, tunnel address, loose reverse-path filter, and a table of its own for the routes.
 */
export async function startKernelGateway(
  spaces: Spaces,
  own: Side,
  other: Side,
  { mac, outerIpv6 = false }: { mac?: string; outerIpv6?: boolean } = {},
): Promise<void> {
  // The device of the stock driver is IPv4 outside, by default.
  const script = `
    ip link add ${kernelDevice} ${mac === undefined ? '' : `address ${mac}`} \\
      type vxlan id ${vni} dstport ${port} nolearning ${outerIpv6 ? `local ${own.address6}` : ''}
    # The stock driver leaves IPv6 to itself: its own multicast would only blur what is counted.
    echo 1 >/proc/sys/net/ipv6/conf/${kernelDevice}/disable_ipv6
    ip link set ${kernelDevice} mtu ${outerIpv6 ? mtuBytes - 20 : mtuBytes} up
    ip address add ${tunnelAddress(own)}/8 dev ${kernelDevice}
    bridge fdb append 00:00:00:00:00:00 dev ${kernelDevice} \\
      dst ${outerIpv6 ? other.address6 : other.address}
    echo 2 >/proc/sys/net/ipv4/conf/${kernelDevice}/rp_filter
    ip rule add prio 100 table 100
    ip route add ${other.prefixes[0]} via ${tunnelAddress(other)} dev ${kernelDevice} \\
      src ${own.router} table 100 metric 100`
  await spaces.mustRun(own.gateway, ['sh', '-ec', script])
}

export async function stopKernelGateway(spaces: Spaces, own: Side): Promise<void> {
  const script = `ip link delete ${kernelDevice}; ip rule delete prio 100 table 100`
  await spaces.mustRun(own.gateway, ['sh', '-ec', script])
}

export async function kernelMac(spaces: Spaces, own: Side): Promise<string> {
  const file = `/sys/class/net/${kernelDevice}/address`
  return (await spaces.mustRun(own.gateway, ['cat', file])).trim()
}
