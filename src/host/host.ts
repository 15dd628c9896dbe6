// The network of this machine as a thing that is told how to be. Each call compares what is there with
// what is wanted and makes up for the difference; called again it does nothing. Only what is ours is
// touched: routes in our places, rules of our priority and table, devices of our names, a table of ours
// in nftables, settings that are remembered.
//
//   const host = new Host()
//   await host.applyRules([{ family: 4, priority: 100, table: 100 }])
//   await host.applyRoutes({ kind: 'table', table: 100 }, [
//     { kind: 'unicast', destination: parsePrefix('10.2.0.0/16'), device: 'submariner' },
//   ])
//   await host.removeAll({ tables: [100], rules: [{ priority: 100, table: 100 }], devices: [] })
//
// `applyRoutes` takes the whole of a place: what it is not told of goes. `applyRules` takes all rules of
// a priority and table, of both families. Failures are GatewayErrors with the program's own words.
// One change at a time: calls that overlap are the caller's mistake.

import { type RunCommand, runCommand } from './commands.ts'
import { type Interfaces, readInterfaces } from './interfaces.ts'
import { PacketFilter } from './packet-filter.ts'
import {
  applyRoutes,
  applyRules,
  type Route,
  type RoutePlace,
  type Rule,
  type RuleName,
} from './routes.ts'
import { applyVxlan, deleteDevice, type VxlanDevice } from './vxlan.ts'

/** All that an owner has ever made. */
export interface Owned {
  readonly tables: readonly number[]
  readonly rules: readonly RuleName[]
  readonly devices: readonly string[]
}

export class Host {
  readonly #run: RunCommand

  constructor(run: RunCommand = runCommand) {
    this.#run = run
  }

  interfaces(): Promise<Interfaces> {
    return readInterfaces(this.#run)
  }

  /** Says how many lines of `ip -batch` it took; 0: all was as it should be. */
  applyRoutes(place: RoutePlace, routes: readonly Route[]): Promise<number> {
    return applyRoutes(this.#run, place, routes)
  }

  applyRules(rules: readonly Rule[], none: readonly RuleName[] = []): Promise<number> {
    return applyRules(this.#run, rules, none)
  }

  applyVxlan(device: VxlanDevice, interfaces: Interfaces): Promise<number> {
    const existing = interfaces.list.find(({ name }) => name === device.name)
    return applyVxlan(this.#run, device, existing)
  }

  deleteDevice(name: string): Promise<void> {
    return deleteDevice(this.#run, name)
  }

  packetFilter(table: string): PacketFilter {
    return new PacketFilter(this.#run, table)
  }

  async removeAll({ tables, rules, devices }: Owned): Promise<void> {
    await this.applyRules([], rules)
    for (const table of tables) await this.applyRoutes({ kind: 'table', table }, [])
    for (const name of devices) await this.deleteDevice(name)
  }
}
