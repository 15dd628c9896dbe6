// What a gateway changes in the network of its machine (src/host carries it out): its device is brought
// up, and VXLAN cables have a rule and a table. All other routes are the route agent's.
//
// A ping is bound to the device. Over IPv4 that is enough; over IPv6 a bound socket still needs a route
// by that device, so there is a table that only sockets bound to it look into.

import type { CableRoutes, HostNetwork } from '../control/parts.ts'
import type { CableDriverName } from '../control/world.ts'
import { type RunCommand, readJson, runCommand } from '../host/commands.ts'
import { Host } from '../host/host.ts'
import type { Interfaces } from '../host/interfaces.ts'
import type { Family } from '../net/address.ts'

/** As upstream's VXLAN driver has it. */
const cableTable = 100
const cableRule = { priority: 100, table: cableTable } as const
/** Of IPv6 pings. */
const pingTable = 101

/** What stands around an inner packet: IPv6, UDP and WireGuard; IPv4, UDP, VXLAN and Ethernet. */
const overheadBytes: Readonly<Record<CableDriverName, number>> = { wireguard: 80, vxlan: 50 }
const usualMtuBytes = 1500

export class GatewayHost implements HostNetwork {
  readonly #host: Host
  readonly #run: RunCommand
  readonly #overheadBytes: number

  constructor(drivers: readonly CableDriverName[], run: RunCommand = runCommand) {
    this.#run = run
    this.#host = new Host(run)
    this.#overheadBytes = Math.max(...drivers.map(driver => overheadBytes[driver]))
  }

  async bringUp(interfaceName: string): Promise<void> {
    const interfaces = await this.#host.interfaces()
    const mostBytes = outerMtuBytes(interfaces, interfaceName) - this.#overheadBytes
    const device = interfaces.list.find(({ name }) => name === interfaceName)
    const isTooLarge = device !== undefined && device.mtuBytes > mostBytes
    const mtu = isTooLarge ? [`link set dev ${interfaceName} mtu ${mostBytes}`] : []
    await this.#run(['ip', '-batch', '-'], lines(...mtu, `link set dev ${interfaceName} up`))
    await this.#letPingsOut(interfaceName)
  }

  async applyCableRoutes({ interfaceName, subnets, sources }: CableRoutes): Promise<void> {
    const routes = subnets.map(destination => {
      const source = sources.find(({ family }) => family === destination.family)
      return {
        kind: 'unicast' as const,
        destination,
        device: interfaceName,
        ...(source === undefined ? {} : { source }),
      }
    })
    const families: Family[] = [...new Set(subnets.map(({ family }) => family))]
    await this.#host.applyRoutes({ kind: 'table', table: cableTable }, routes)
    await this.#host.applyRules(
      families.map(family => ({ family, ...cableRule })),
      [cableRule],
    )
  }

  /** As before there was a gateway; the device goes with what was routed to it. */
  async cleanUp(interfaceName: string): Promise<void> {
    await this.#host.removeAll({
      rules: [cableRule],
      tables: [cableTable],
      devices: [interfaceName],
    })
    await this.#removePingRules()
  }

  async #letPingsOut(interfaceName: string): Promise<void> {
    const rules = await this.#pingRules()
    // Where there is no IPv6 there is nothing to ping over it.
    if (rules === undefined) return
    const rule = `rule add oif ${interfaceName} priority ${pingTable} table ${pingTable}`
    const isThere = rules.some(fields => fields['oif'] === interfaceName)
    await this.#run(
      ['ip', '-6', '-batch', '-'],
      lines(
        `route replace default dev ${interfaceName} table ${pingTable}`,
        ...(isThere ? [] : [rule]),
      ),
    ).catch(() => undefined)
  }

  async #removePingRules(): Promise<void> {
    for (const _ of (await this.#pingRules()) ?? []) {
      await this.#run(['ip', '-6', 'rule', 'del', 'priority', String(pingTable)]).catch(() => '')
    }
  }

  async #pingRules() {
    const shown = readJson(this.#run, ['ip', '-N', '-j', '-6', 'rule', 'show'])
    const rules = await shown.catch(() => undefined)
    return rules?.filter(fields => fields['priority'] === pingTable && 'oif' in fields)
  }
}

function lines(...all: readonly string[]): string {
  return `${all.join('\n')}\n`
}

/** Of the interface by which cables leave: that of the default route, else the narrowest. */
function outerMtuBytes({ list, defaults }: Interfaces, own: string): number {
  const name = defaults[4] ?? defaults[6]
  const leaving = list.filter(one => (name === undefined ? one.name !== own : one.name === name))
  const wide = leaving.filter(({ isUp, mtuBytes, addresses }) => {
    return isUp && addresses.length > 0 && mtuBytes >= 1280 && mtuBytes <= 65_535
  })
  return wide.length === 0 ? usualMtuBytes : Math.min(...wide.map(({ mtuBytes }) => mtuBytes))
}
