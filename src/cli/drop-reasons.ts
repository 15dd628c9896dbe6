// What each drop reason means and what to do about it, for `hawser drops`. The compiler sees to it
// that every reason of tables/counters.ts is here.

import { drop, dropNames } from '../tables/counters.ts'

export interface DropExplanation {
  readonly meaning: string
  readonly action: string
}

type Reason = Exclude<keyof typeof drop, 'none'>

const harmless = 'nothing, while the count stays small'
const forged = 'nothing, unless it grows: then somebody probes or floods the port'
const sameKeys = 'compare the keys of both ends: wg show'

const explanations: Readonly<Record<Reason, readonly [meaning: string, action: string]>> = {
  malformedFrame: [
    'a frame of the TUN device whose virtio header does not fit its packet',
    'report it, with the kernel version',
  ],
  malformedPacket: ['no well-formed IPv4 or IPv6 packet came from the TUN device', harmless],
  linkLocal: [
    'router solicitations and multicast reports that the kernel sends on every device',
    'nothing, they belong to no cable',
  ],
  noRoute: [
    'no cable has a prefix for the destination',
    'compare the routes into the device with the allowed IPs: ip route, wg show NAME allowed-ips',
  ],
  noRemote: [
    'the cable has no address to send to yet',
    'set the remote, or wait until the other side calls',
  ],
  tooBig: [
    'larger than the MTU of the cable; the sender was told by ICMP',
    'nothing, or lower the MTU of the senders where ICMP is filtered on the way',
  ],
  routingLoop: [
    'a packet to the very address that the cable itself is sent to',
    'take that address out of the allowed IPs or the routes',
  ],
  queueFull: [
    'too many packets wait for a handshake',
    'see why the handshake does not end: hawser status',
  ],
  handshakeTimeout: [
    'waited for a handshake that never ended',
    'check that the remote is reachable by UDP and has our key',
  ],
  keyExhausted: ['the key sealed as many packets as it may before a new one came', harmless],
  fragmentFailed: ['could not be cut into fragments for a cable of smaller MTU', harmless],
  sendFailed: [
    'the kernel did not take the datagram',
    'check the route to the remote: ip route get ADDRESS',
  ],
  malformedDatagram: ['a datagram too short or of no shape that we know', forged],
  unknownIndex: [
    'for a session that this side does not have, often from before a restart',
    'nothing, the peer makes a new handshake by itself',
  ],
  keyExpired: ['sealed with a key that is older than it may be', harmless],
  authenticationFailed: ['forged or damaged on the way: it does not open under its key', forged],
  replayed: ['received before, or too late for the replay window', harmless],
  counterExhausted: ['a message counter beyond what may be accepted', forged],
  malformedInner: ['what was sealed is no well-formed IP packet', 'report it to the peer'],
  sourceNotAllowed: [
    'the inner source address is not among the allowed IPs of the peer that sent it',
    'compare the allowed IPs of both ends: wg show NAME allowed-ips',
  ],
  ecnNotCapable: [
    'congestion was marked outside on a packet that cannot carry the mark (RFC 6040)',
    'nothing, the drop is the signal to its sender',
  ],
  truncatedDatagram: ['larger than any datagram of ours', forged],
  badMac1: ['a handshake message that was not made for our public key', sameKeys],
  rateLimited: ['more handshakes from one address than are answered', forged],
  handshakeQueueFull: ['more handshakes than can be answered at once', forged],
  handshakeDecryptFailed: ['a handshake message that does not open', sameKeys],
  unknownPeer: ['a handshake from a key that no cable has', 'add the peer, or ignore it'],
  replayedTimestamp: [
    'a handshake that was seen before, or from a clock that went back',
    'set the clock of the peer',
  ],
  initiationFlood: ['handshakes of one peer that follow each other too closely', harmless],
  responseMismatch: ['an answer to no handshake that is under way', harmless],
  presharedKeyMismatch: [
    'the answer to a handshake does not open',
    'compare the preshared keys of both ends: wg show NAME preshared-keys',
  ],
  badCookieReply: ['a cookie that does not open, or that nobody asked for', harmless],
  ownKey: ['a handshake with our own public key', 'give each gateway a key of its own'],
  vxlanHeader: [
    'another VNI, or a VXLAN header with unknown flags',
    'compare the VNI of both ends',
  ],
  vxlanWrongRemote: ['a VXLAN datagram from an address that is no remote of ours', forged],
  vxlanWrongMac: [
    'a frame that is not addressed to us',
    'nothing, the sender floods until it has our address',
  ],
  arpTimeout: [
    'nobody answers ARP for the tunnel address of the remote',
    'check that the remote is up and has this tunnel address',
  ],
  tunWriteFailed: [
    'the TUN device did not take the packet',
    'bring it up: ip link set NAME up; a bad checksum or header may be the reason too',
  ],
  foreignUnread: ['no cable packet, and nobody is attached to read it', harmless],
  foreignRateLimited: ['no cable packets, more than are handed on', forged],
  icmpRateLimited: ['errors by ICMP that were not sent, because one source got enough', harmless],
  noSlot: ['no key slot was free', 'use fewer cables on this gateway'],
  cipherNotEnabled: [
    'a handshake with a cipher that this cable does not enable; the peer falls back by itself',
    'enable the same ciphers at both ends: hawser cable set NAME --cipher',
  ],
  deviceDown: [
    'a handshake while the TUN device was down: none is answered then',
    'bring it up: ip link set NAME up',
  ],
}

const byName = new Map<string, DropExplanation>(
  Object.entries(explanations).map(([reason, [meaning, action]]) => [
    dropNames[drop[reason as Reason]],
    { meaning, action },
  ]),
)

/** The explanation of a reason by its name in kebab-case; a newer data path may know more. */
export function explainDrop(name: string): DropExplanation {
  return byName.get(name) ?? { meaning: 'not known to this hawser', action: 'use a newer hawser' }
}
