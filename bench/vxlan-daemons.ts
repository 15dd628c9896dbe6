// A pair of Hawser data paths with a VXLAN cable between them, one in each node.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { start, stop } from './commands.ts'
import { type DaemonPair, deathOf, serving } from './daemons.ts'
import { addresses, inNode, ipInNode, type Side } from './network.ts'

const mtuBytes = 1450
const listenPort = 4500
const tunnel = { a: '241.168.71.1', b: '241.168.71.2' } as const
const mac = { a: '02:00:5e:00:00:01', b: '02:00:5e:00:00:02' } as const

/** Starts `program datapath` in both nodes and joins their pod networks. */
export async function startVxlanDaemons(program: string): Promise<DaemonPair> {
  const device = { a: `hb${process.pid}a`, b: `hb${process.pid}b` }
  const folder = mkdtempSync(`${tmpdir()}/hawser-bench-`)
  const launch = (side: Side) => {
    const tables = `${folder}/${side}.json`
    writeFileSync(tables, JSON.stringify(tablesOf(side)))
    const socket = `${folder}/${side}.sock`
    return start(
      inNode(side, [
        ...[program, 'datapath', '--interface', device[side], '--socket', socket],
        ...['--mtu', String(mtuBytes), '--tables', tables, '--ephemeral', '--log-level', 'error'],
      ]),
      {},
    )
  }
  const daemon = { a: launch('a'), b: launch('b') }
  const pair: DaemonPair = {
    device,
    pids: [daemon.a.pid, daemon.b.pid],
    failure: () => deathOf(daemon.a, 'a') ?? deathOf(daemon.b, 'b'),
    stop: async () => {
      await Promise.all([stop(daemon.a), stop(daemon.b)])
      rmSync(folder, { recursive: true, force: true })
    },
  }
  try {
    for (const side of ['a', 'b'] as const) {
      await serving(daemon[side], `${folder}/${side}.sock`)
      const far = side === 'a' ? 'b' : 'a'
      ipInNode(side, [
        `addr add ${addresses.tunnel[side]}/32 dev ${device[side]}`,
        `link set ${device[side]} up`,
        `route add ${addresses.podNetwork[far]} dev ${device[side]}`,
      ])
    }
    return pair
  } catch (cause) {
    await pair.stop()
    throw cause
  }
}

function tablesOf(side: Side): object {
  const far = side === 'a' ? 'b' : 'a'
  return {
    device: { listenPort, vxlan: { vni: 1000, address: tunnel[side], mac: mac[side] } },
    cables: [
      {
        name: `node-${far}`,
        driver: 'vxlan',
        remote: `${addresses.wire[far]}:${listenPort}`,
        allowedIps: [addresses.podNetwork[far], `${addresses.tunnel[far]}/32`],
        tunnelAddress: tunnel[far],
      },
    ],
  }
}
