// One gateway with all the peers, of which `streams` speak at once: each is a wireguard-go (Debian's)
// of its own in the far node, with its own key, port, device and address of pod-b behind it. TCP goes
// from pod-a to each of those addresses, an iperf3 pair for each. The figure is the gateway's CPU
// time for each Gbit; the rate is that of 64 programs on the cores that all of them share.

import { writeFileSync } from 'node:fs'
import { parsePrefix } from '../src/net/address.ts'
import { benchFolder } from './clean-up.ts'
import { lastLine, type Running, run, start, stop } from './commands.ts'
import { serving } from './daemons.ts'
import { newKeyPair, type Peer, remoteAt, tablesOf, wgText } from './fleet.ts'
import { deviceName, type Gateway, routeThrough, startGateway } from './gateway.ts'
import { parseTcp } from './load.ts'
import { addresses, inNode, inPod, ipInNode } from './network.ts'
import { readScheduledSeconds } from './proc.ts'

export interface ManyFigures {
  readonly streams: number
  readonly gbitPerSecond: number
  readonly cpuSecondsPerGbit: number
}

interface FarEnd {
  readonly device: string
  readonly address: string
  readonly peer: Peer
  readonly daemon: Running
}

const gatewayPort = 51_823
const firstFarPort = 52_000
const firstServerPort = 5300
const firstTable = 1000
const program = '/usr/bin/wireguard-go'

/** CPU per Gbit with one and with `streams` of the peers speaking. */
export async function measureMany(
  silent: readonly Peer[],
  streams: number,
  seconds: number,
): Promise<readonly ManyFigures[]> {
  const keys = newKeyPair()
  const ends: FarEnd[] = []
  const gateway = await startGateway('a', 'm')
  try {
    for (let i = 0; i < streams; i++) ends.push(startFarEnd(i, keys.publicKey))
    await Promise.all(ends.map(({ daemon, device }) => serving(daemon, socketOf(device))))
    ends.forEach(joinFarEnd)
    const peers = [...ends.map(({ peer }) => peer), ...silent.slice(streams)]
    await gateway.client.apply(tablesOf(1, keys, gatewayPort, peers))
    routeThrough(gateway, [addresses.podNetwork.b])
    const one = await load(gateway, ends.slice(0, 1), seconds)
    return [one, await load(gateway, ends, seconds)]
  } finally {
    await gateway.stop()
    await Promise.all(ends.map(({ daemon }) => stop(daemon)))
  }
}

function startFarEnd(i: number, gatewayKey: Uint8Array): FarEnd {
  const device = deviceName(`w${i}`)
  const keys = newKeyPair()
  const address = `10.71.2.${10 + i}`
  const file = `${benchFolder()}/${device}.conf`
  const allowedIps = [parsePrefix(addresses.podNetwork.a)]
  const remote = remoteAt(addresses.wire.a, gatewayPort)
  const gateway = { name: 'gateway', publicKey: gatewayKey, remote, allowedIps }
  writeFileSync(file, wgText(keys, firstFarPort + i, [gateway]), { mode: 0o600 })
  const environment = { WG_PROCESS_FOREGROUND: '1', LOG_LEVEL: 'error' }
  return {
    device,
    address,
    peer: {
      name: `far-${i}`,
      publicKey: keys.publicKey,
      remote: remoteAt(addresses.wire.b, firstFarPort + i),
      allowedIps: [parsePrefix(`${address}/32`)],
    },
    daemon: start(inNode('b', [program, '-f', device]), environment),
  }
}

/** The way back goes by the source address: each has a routing table of its own. */
function joinFarEnd({ device, address }: FarEnd, i: number): void {
  run(['wg', 'setconf', device, `${benchFolder()}/${device}.conf`])
  ipInNode('b', [
    `link set ${device} mtu 1420 up`,
    `route add ${addresses.podNetwork.a} dev ${device} table ${firstTable + i}`,
    `rule add from ${address} lookup ${firstTable + i}`,
  ])
  run(inPod('b', ['ip', 'addr', 'add', `${address}/32`, 'dev', 'pod']))
}

async function load(
  gateway: Gateway,
  ends: readonly FarEnd[],
  seconds: number,
): Promise<ManyFigures> {
  const servers = ends.map((_, i) => start(inPod('b', ['iperf3', '-s', '-1', ...portOf(i)])))
  const clients: Running[] = []
  try {
    for (const { address } of ends) {
      const ping = ['ping', '-q', '-c', '3', '-i', '0.2', '-W', '2', address]
      run(inPod('a', ping))
    }
    const cpuBefore = readScheduledSeconds(gateway.pid)
    ends.forEach(({ address }, i) => {
      const options = ['-c', address, ...portOf(i), '-t', String(seconds), '-J', '-C', 'cubic']
      clients.push(start(inPod('a', ['iperf3', ...options])))
    })
    await Promise.all(clients.map(({ ended }) => ended))
    const cpuSeconds = readScheduledSeconds(gateway.pid) - cpuBefore
    return { streams: ends.length, ...sumOf(clients, cpuSeconds) }
  } finally {
    await Promise.all([...servers, ...clients].map(program => stop(program, 500)))
  }
}

function sumOf(clients: readonly Running[], cpuSeconds: number): Omit<ManyFigures, 'streams'> {
  let gbit = 0
  let gbitPerSecond = 0
  for (const client of clients) {
    if (client.output() === '') throw new Error(`iperf3: ${lastLine(client.errors())}`)
    const { receivedBytes, seconds } = parseTcp(client.output())
    gbit += (receivedBytes * 8) / 1e9
    gbitPerSecond += (receivedBytes * 8) / 1e9 / seconds
  }
  return { gbitPerSecond, cpuSecondsPerGbit: cpuSeconds / gbit }
}

function portOf(i: number): string[] {
  return ['-p', String(firstServerPort + i)]
}

function socketOf(device: string): string {
  return `/var/run/wireguard/${device}.sock`
}
