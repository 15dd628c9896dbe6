// A new snapshot in each half of the path, between two breaths: first in the inbound half, which
// publishes, then in the outbound half. The mail is the half's own copy, and its keys are wiped.

import type { BuiltInbound } from './build.ts'
import type { Mail } from './mail.ts'
import type { Outbound } from './outbound.ts'

export type ApplyMail = Extract<Mail, { kind: 'apply' }>

/** Returns the name of a cable for which a table had no room; the snapshot is in force but for it. */
export function applyInbound(
  { inbound, wireguard, vxlan, outbox }: BuiltInbound,
  mail: ApplyMail,
  nowMs: number,
): string | undefined {
  outbox.useSockets(mail.sockets.ipv4, mail.sockets.ipv6)
  for (const change of mail.changes) {
    if (change.kind === 'remove') inbound.removeCable(change.cable, nowMs)
  }
  if (mail.privateKey) {
    wireguard.setPrivateKey(mail.privateKey.bytes, nowMs)
    mail.privateKey.bytes?.fill(0)
  }
  vxlan.setOwn(mail.vxlan)
  let full: string | undefined
  for (const change of mail.changes) {
    if (change.kind !== 'set') continue
    const { cable, table, mtuBytes } = change
    if (!inbound.setCable(cable, table, mtuBytes, nowMs)) full = table.name
  }
  inbound.apply(mail.routes, [mail.sockets.ipv4, mail.sockets.ipv6])
  wipePresharedKeys(mail)
  return full
}

export function applyOutbound(outbound: Outbound, mail: ApplyMail): void {
  for (const change of mail.changes) {
    if (change.kind === 'remove' || change.isNew) outbound.forget(change.cable)
  }
  outbound.apply(mail.routes, mail.sockets)
  wipePresharedKeys(mail)
}

/** The protocol has taken from them what it needs. */
function wipePresharedKeys(mail: ApplyMail): void {
  for (const change of mail.changes) {
    if (change.kind !== 'set' || change.table.driver !== 'wireguard') continue
    change.table.presharedKey?.fill(0)
  }
}
