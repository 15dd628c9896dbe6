// The VXLAN device of a node for one family: on a worker it leads to the gateway, on the gateway to every
// node. Pure.

import { type ForwardingEntry, floodMac, type VxlanDevice } from '../host/vxlan.ts'
import { type Address, equalBytes, formatAddress } from '../net/address.ts'
import {
  overlayAddress,
  overlayDevice,
  overlayMac,
  overlayOverheadBytes,
  overlayPort,
  overlayPrefix,
  overlayVni,
} from './overlay.ts'
import type { OwnAddress, Scene } from './scene.ts'

/** Undefined, with a problem, when there is no way to make one. */
export function overlayOf(
  scene: Scene,
  { address, on }: OwnAddress,
  gatewayIp: Address | undefined,
): VxlanDevice | undefined {
  const { role, local, problems } = scene
  const { family } = address
  if (role === 'worker') {
    if (gatewayIp === undefined) {
      problems.push({
        code: 'no-gateway-address',
        message: `Endpoint ${local.meta.name} has no private IPv${family} address to route to`,
      })
      return undefined
    }
    if (equalBytes(gatewayIp.bytes, address.bytes)) {
      problems.push({
        code: 'hostname-mismatch',
        message:
          `the gateway ${local.hostname} has this node's address ${formatAddress(address)}: ` +
          'set NODE_NAME to the name that its Endpoint has',
      })
      return undefined
    }
  }
  return {
    name: overlayDevice[family],
    vni: overlayVni,
    port: overlayPort,
    mac: overlayMac(address),
    mtuBytes: on.mtuBytes - overlayOverheadBytes[family],
    ...(role === 'worker' && gatewayIp !== undefined ? { remote: gatewayIp } : {}),
    local: address,
    address: { address: overlayAddress(address), bits: overlayPrefix[family].bits },
    entries: role === 'gateway' ? entriesOf(scene, address) : [],
  }
}

/** To all other nodes: broadcasts, unknown MACs (stock's agents have some of their own), and ours. */
function entriesOf({ world, problems }: Scene, own: Address): ForwardingEntry[] {
  const names = new Map([[formatAddress(overlayAddress(own)), world.settings.nodeName]])
  const entries: ForwardingEntry[] = []
  for (const { meta, internalIps } of world.nodes) {
    const to = internalIps.find(ip => ip.family === own.family)
    if (to === undefined || meta.name === world.settings.nodeName) continue
    if (equalBytes(to.bytes, own.bytes)) continue
    entries.push({ mac: floodMac, to }, { mac: overlayMac(to), to })
    const inside = formatAddress(overlayAddress(to))
    const other = names.get(inside)
    if (other !== undefined) {
      problems.push({
        code: 'same-overlay-address',
        message: `the nodes ${other} and ${meta.name} both become ${inside} between nodes: one of them needs another address`,
      })
    }
    names.set(inside, meta.name)
  }
  return entries
}
