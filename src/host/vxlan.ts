// A VXLAN device of the kernel and its forwarding entries, made as wanted. What cannot be changed in
// place (VNI, port, local, MAC, whether there is a remote) deletes the device and makes it anew, with a
// gap in its routes; another remote, the MTU, addresses and entries are changed in place.

import { type Address, equalBytes, formatAddress } from '../net/address.ts'
import { isLinkLocal } from '../net/prefix.ts'
import { isGone, type RunCommand, readJson, textOf } from './commands.ts'
import { addressOf, type InterfaceAddress, type NetworkInterface } from './interfaces.ts'

export interface VxlanDevice {
  readonly name: string
  readonly vni: number
  readonly port: number
  readonly mac: string
  readonly mtuBytes: number
  /** Where everything goes; absent: where `entries` say. */
  readonly remote?: Address
  /** The outer source address; absent: what the kernel chooses. */
  readonly local?: Address
  readonly address: InterfaceAddress
  readonly entries: readonly ForwardingEntry[]
}

/** Frames to this MAC go to that node. `floodMac` stands for broadcasts and for unknown ones. */
export interface ForwardingEntry {
  readonly mac: string
  readonly to: Address
}

export const floodMac = '00:00:00:00:00:00'

/** `existing`: the interface of that name, as it was just read. Says how many lines it took. */
export async function applyVxlan(
  run: RunCommand,
  device: VxlanDevice,
  existing: NetworkInterface | undefined,
): Promise<number> {
  const isSame = existing !== undefined && isSameDevice(existing, device)
  const lines = isSame ? changesInPlace(existing, device) : creation(existing, device)
  if (lines.length > 0) await run(['ip', '-batch', '-'], `${lines.join('\n')}\n`)
  return lines.length + (await applyEntries(run, device))
}

/** Nothing happens when there is no such device. */
export async function deleteDevice(run: RunCommand, name: string): Promise<void> {
  try {
    await run(['ip', 'link', 'delete', 'dev', name])
  } catch (error) {
    if (!isGone(error)) throw error
  }
}

function isSameDevice({ vxlan, mac }: NetworkInterface, device: VxlanDevice): boolean {
  return (
    vxlan !== undefined &&
    vxlan.vni === device.vni &&
    vxlan.port === device.port &&
    !vxlan.isLearning &&
    mac === device.mac &&
    (vxlan.remote === undefined) === (device.remote === undefined) &&
    isSameAddress(vxlan.local, device.local)
  )
}

function creation(existing: NetworkInterface | undefined, device: VxlanDevice): string[] {
  const { name, vni, port, mac, mtuBytes, remote, local, address } = device
  const options = [
    `address ${mac} mtu ${mtuBytes} type vxlan id ${vni} dstport ${port} nolearning`,
    remote === undefined ? '' : `remote ${formatAddress(remote)}`,
    local === undefined ? '' : `local ${formatAddress(local)}`,
  ]
  return [
    ...(existing === undefined ? [] : [`link delete dev ${name}`]),
    `link add ${name} ${options.filter(option => option !== '').join(' ')}`,
    addressLine('add', name, address),
    `link set dev ${name} up`,
  ]
}

function changesInPlace(existing: NetworkInterface, device: VxlanDevice): string[] {
  const { name, mtuBytes, address, remote, vni } = device
  const lines: string[] = []
  if (remote !== undefined && !isSameAddress(existing.vxlan?.remote, remote)) {
    lines.push(`link set dev ${name} type vxlan id ${vni} remote ${formatAddress(remote)}`)
  }
  if (existing.mtuBytes !== mtuBytes) lines.push(`link set dev ${name} mtu ${mtuBytes}`)
  let isThere = false
  for (const found of existing.addresses) {
    if (found.address.family !== address.address.family || isLinkLocal(found.address)) continue
    if (isSameAddress(found.address, address.address) && found.bits === address.bits) isThere = true
    else lines.push(addressLine('delete', name, found))
  }
  if (!isThere) lines.push(addressLine('add', name, address))
  if (!existing.isUp) lines.push(`link set dev ${name} up`)
  return lines
}

async function applyEntries(run: RunCommand, device: VxlanDevice): Promise<number> {
  const found = await readJson(run, ['bridge', '-j', 'fdb', 'show', 'dev', device.name])
  const there = found.flatMap(fields => {
    const to = addressOf(fields, 'dst')
    return to === undefined ? [] : [entryText({ mac: textOf(fields, 'mac'), to })]
  })
  // The device's own default entry is shown too, and belongs to its `remote`.
  const { remote } = device
  const own = remote === undefined ? [] : [{ mac: floodMac, to: remote }]
  const lines = entryChanges(there, [...own, ...device.entries].map(entryText), device.name)
  if (lines.length > 0) await run(['bridge', '-batch', '-'], `${lines.join('\n')}\n`)
  return lines.length
}

/** `append`: one MAC may stand for many nodes. */
export function entryChanges(
  found: readonly string[],
  wanted: readonly string[],
  device: string,
): string[] {
  const [there, own] = [new Set(found), new Set(wanted)]
  const line = (verb: string, entry: string) => {
    const [mac, to] = entry.split(' ')
    return `fdb ${verb} ${mac} dev ${device} dst ${to} self permanent`
  }
  return [
    ...[...there].filter(entry => !own.has(entry)).map(entry => line('del', entry)),
    ...[...own].filter(entry => !there.has(entry)).map(entry => line('append', entry)),
  ]
}

function entryText({ mac, to }: ForwardingEntry): string {
  return `${mac.toLowerCase()} ${formatAddress(to)}`
}

function addressLine(verb: string, device: string, { address, bits }: InterfaceAddress): string {
  const isFresh = verb === 'add' && address.family === 6
  // Nobody else has it, and until detection ended nothing could be sent.
  return `address ${verb} ${formatAddress(address)}/${bits} dev ${device}${isFresh ? ' nodad' : ''}`
}

function isSameAddress(a: Address | undefined, b: Address | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return equalBytes(a.bytes, b.bytes)
}
