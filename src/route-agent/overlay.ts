// The addresses of the VXLAN between the nodes of a cluster, which nobody hands out: each is worked out
// from the node's own address, so that all agents, Submariner's among them, arrive at the same.
//
//   IPv4   vx-submariner     240.x.y.z/8 of a.x.y.z              240/8 is used by nobody
//   IPv6   vx-submariner-6   fd00:100:100::/96 and the last four bytes
//
// Both as route agents of Submariner 0.24.0 have it (pkg/vxlan/vxlan.go, GetVtepIPAddressFrom, and
// handlers/kubeproxy/constants.go). MACs are our own, see decision 25.

import { createHash } from 'node:crypto'
import type { Address, Family, Prefix } from '../net/address.ts'

export const overlayVni = 100
export const overlayPort = 4800

export const overlayDevice: Readonly<Record<Family, string>> = {
  4: 'vx-submariner',
  6: 'vx-submariner-6',
}

export const overlayPrefix: Readonly<Record<Family, Prefix>> = {
  4: { family: 4, bytes: Uint8Array.of(240, 0, 0, 0), bits: 8 },
  6: {
    family: 6,
    bytes: Uint8Array.of(0xfd, 0, 1, 0, 1, 0, ...new Uint8Array(10)),
    bits: 96,
  },
}

/** Outer headers: IP, UDP 8, VXLAN 8, Ethernet 14. Stock takes 50 for both, and IPv6 then fragments. */
export const overlayOverheadBytes: Readonly<Record<Family, number>> = { 4: 50, 6: 70 }

/** A node's address on the overlay. */
export function overlayAddress({ family, bytes }: Address): Address {
  const own = overlayPrefix[family].bytes.slice()
  const from = overlayPrefix[family].bits / 8
  own.set(bytes.subarray(from), from)
  return { family, bytes: own }
}

/**
 * Locally administered, unicast, another one for every address: the four bytes of an IPv4 address behind
 * 02:00, five bytes of a hash of an IPv6 address behind 02. Two devices of one MAC do not hear each
 * other (submariner#4024).
 */
export function overlayMac({ family, bytes }: Address): string {
  const tail = family === 4 ? [0, ...bytes] : [...hashOf(bytes).subarray(0, 5)]
  return [2, ...tail].map(byte => byte.toString(16).padStart(2, '0')).join(':')
}

function hashOf(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}
