// What is compared: a literal list. A contestant says what it needs before anything is measured
// (`prepare`) and joins the pod networks of a fresh pair of nodes (`join`), as often as there are
// rounds. What cannot be had is reported with its reason and stays in the table as a row without
// figures.

import { existsSync } from 'node:fs'
import { run } from './commands.ts'
import { boringtun, buildCrate, type Crate, gotatun } from './crates.ts'
import { startDaemons } from './daemons.ts'
import { aesCable, startDatapaths, vxlanCable } from './datapath-daemons.ts'
import { startCaptured, startWithoutVerdict } from './datapath-variants.ts'
import { kernelLink, type Link } from './link.ts'
import { addresses, ipInNode, wireDevice } from './network.ts'
import { buildPeer, type GoPeer } from './peers.ts'
import type { ContestantName } from './run-record.ts'

export interface Prepared {
  readonly version: string
  join(): Promise<Link>
}

export interface Contestant {
  readonly name: ContestantName
  readonly title: string
  readonly podMtuBytes: number
  /** Throws with the reason when it cannot be had here. */
  prepare(say: (text: string) => void): Prepared
}

/** The MTU of a pod behind a WireGuard tunnel over a wire of 1 500, as wg-quick chooses it. */
const wireguardMtuBytes = 1420
const root = new URL('..', import.meta.url).pathname
const debianVersion = '0.0.20220316'
const newest: GoPeer = { folder: 'wireguard-newest', module: 'golang.zx2c4.com/wireguard' }
const tailscale: GoPeer = {
  folder: 'wireguard-tailscale',
  module: 'github.com/tailscale/wireguard-go',
}

export const contestants: readonly Contestant[] = [
  {
    name: 'plain',
    title: 'plain routing, clear',
    podMtuBytes: 1500,
    prepare: () => ({ version: kernelVersion(), join: joinByRoutes }),
  },
  {
    name: 'vxlan',
    title: 'kernel VXLAN, clear',
    podMtuBytes: 1450,
    prepare: () => ({ version: kernelVersion(), join: joinByKernelVxlan }),
  },
  {
    name: 'wg-debian',
    title: "wireguard-go, Debian's",
    podMtuBytes: wireguardMtuBytes,
    prepare: prepareDebian,
  },
  {
    name: 'wg-newest',
    title: 'wireguard-go, newest',
    podMtuBytes: wireguardMtuBytes,
    prepare: say => prepareGoPeer(newest, say),
  },
  {
    name: 'wg-tailscale',
    title: "wireguard-go, Tailscale's",
    podMtuBytes: wireguardMtuBytes,
    prepare: say => prepareGoPeer(tailscale, say),
  },
  {
    name: 'boringtun',
    title: 'boringtun',
    podMtuBytes: wireguardMtuBytes,
    prepare: say => prepareCrate(boringtun, say),
  },
  {
    name: 'gotatun',
    title: 'gotatun',
    podMtuBytes: wireguardMtuBytes,
    prepare: say => prepareCrate(gotatun, say),
  },
  {
    name: 'hawser',
    title: 'Hawser, WireGuard',
    podMtuBytes: wireguardMtuBytes,
    prepare: () => prepareHawser(program => startDaemons([program, 'wg'])),
  },
  {
    name: 'hawser-aes',
    title: 'Hawser, AES-256-GCM',
    podMtuBytes: aesCable.mtuBytes,
    prepare: () => prepareHawser(program => startDatapaths(program, aesCable)),
  },
  {
    name: 'hawser-noop',
    title: 'Hawser, AES, no-op verdict',
    podMtuBytes: aesCable.mtuBytes,
    prepare: () => prepareHawser(startWithoutVerdict),
  },
  {
    name: 'hawser-capture',
    title: 'Hawser, AES, capturing',
    podMtuBytes: aesCable.mtuBytes,
    prepare: () => prepareHawser(startCaptured),
  },
  {
    name: 'hawser-vxlan',
    title: 'Hawser, VXLAN, clear',
    podMtuBytes: vxlanCable.mtuBytes,
    prepare: () => prepareHawser(program => startDatapaths(program, vxlanCable)),
  },
]

function prepareDebian(): Prepared {
  const program = '/usr/bin/wireguard-go'
  if (!existsSync(program)) throw new Error(`no ${program}: apt-get install wireguard-go`)
  const version = run([program, '--version'])
  if (!version.includes(debianVersion)) {
    throw new Error(`${program} is not ${debianVersion}: ${version.split('\n')[0]}`)
  }
  return { version: debianVersion, join: () => startDaemons([program]) }
}

function prepareGoPeer(peer: GoPeer, say: (text: string) => void): Prepared {
  const built = buildPeer(peer, say)
  return {
    version: `${built.version} (${built.goVersion})`,
    join: () => startDaemons([built.file]),
  }
}

/** Both give up root when they are not told to keep it: to the login name, which need not be there. */
function prepareCrate(crate: Crate, say: (text: string) => void): Prepared {
  const { file, version } = buildCrate(crate, say)
  return { version, join: () => startDaemons([file, '--disable-drop-privileges']) }
}

function prepareHawser(join: (program: string) => Promise<Link>): Prepared {
  const program = `${root}bin/hawser`
  if (!existsSync(program)) throw new Error(`no ${program}`)
  return { version: 'this tree', join: () => join(program) }
}

async function joinByRoutes(): Promise<Link> {
  ipInNode('a', [`route add ${addresses.podNetwork.b} via ${addresses.wire.b}`])
  ipInNode('b', [`route add ${addresses.podNetwork.a} via ${addresses.wire.a}`])
  return kernelLink(null)
}

/** As the stock gateway's vxlan driver sets it up: VNI 1000, UDP port 4500, no learning. */
async function joinByKernelVxlan(): Promise<Link> {
  const device = 'vxlan'
  for (const side of ['a', 'b'] as const) {
    const far = side === 'a' ? 'b' : 'a'
    ipInNode(side, [
      `link add ${device} type vxlan id 1000 dstport 4500 nolearning dev ${wireDevice} ` +
        `local ${addresses.wire[side]} remote ${addresses.wire[far]}`,
      `addr add ${addresses.tunnel[side]}/24 dev ${device}`,
      `link set ${device} mtu 1450 up`,
      `route add ${addresses.podNetwork[far]} via ${addresses.tunnel[far]} dev ${device}`,
    ])
  }
  return kernelLink(device)
}

function kernelVersion(): string {
  return `Linux ${run(['uname', '-r']).trim()}`
}
