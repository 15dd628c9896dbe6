// Carries out a plan, in an order in which no packet takes a wrong way: devices before the routes over
// them, a table before the rule that leads to it, and the rule gone before its table is emptied.
//
// An old setting of a foreign interface is written down (in our nftables table) before it is changed, so
// an agent that is killed in between can still give it back.

import type { Host } from '../host/host.ts'
import type { Interfaces } from '../host/interfaces.ts'
import type { PacketFilter } from '../host/packet-filter.ts'
import { readSysctl, type Sysctl, writeSysctl } from '../host/sysctls.ts'
import { filterTable, filterText, rememberedSet } from './filter.ts'
import { overlayDevice } from './overlay.ts'
import { cableRule, cableTable, type NodePlan } from './plan.ts'
import type { Role } from './scene.ts'

/** RP_FILTER of Documentation/networking/ip-sysctl.rst. */
const strictMode = 1

/** Of the VXLAN cables: rule and table of the gateway, and the device that stock makes for them. */
const cableLeftovers = {
  tables: [100],
  rules: [{ priority: 100, table: 100 }],
  devices: ['vxlan-tunnel'],
}

export class NodeNetwork {
  readonly #host: Host
  readonly #filter: PacketFilter
  /** `FAMILY/NAME=VALUE`, with commas between them, by interface; undefined: not read yet. */
  #remembered: Map<string, string> | undefined
  #role: Role = 'none'

  constructor(host: Host) {
    this.#host = host
    this.#filter = host.packetFilter(filterTable)
  }

  interfaces(): Promise<Interfaces> {
    return this.#host.interfaces()
  }

  /** Says how much had to be changed; 0: all was as it should be. */
  async apply(plan: NodePlan, interfaces: Interfaces): Promise<number> {
    // A gateway that lost its role by dying has not tidied up.
    if (this.#role === 'gateway' && plan.role === 'worker') {
      await this.#host.removeAll(cableLeftovers)
    }
    this.#role = plan.role
    let changes = 0
    if (plan.rules.length === 0) changes += await this.#host.applyRules([], [cableRule])
    for (const name of Object.values(overlayDevice)) {
      const isThere = interfaces.list.some(each => each.name === name)
      if (!isThere || plan.devices.some(device => device.name === name)) continue
      await this.#host.deleteDevice(name)
      changes++
    }
    for (const device of plan.devices) changes += await this.#host.applyVxlan(device, interfaces)
    const due = plan.sysctls.filter(isDue)
    const own = plan.devices.map(({ name }) => name)
    const [ours, foreign] = [true, false].map(isOurs =>
      due.filter(({ interfaceName }) => own.includes(interfaceName) === isOurs),
    )
    for (const sysctl of ours) writeSysctl(sysctl)
    for (const { place, routes } of plan.routes) {
      changes += await this.#host.applyRoutes(place, routes)
    }
    if (plan.rules.length > 0) changes += await this.#host.applyRules(plan.rules, [cableRule])
    // Last, since they take nft: a node without it has its routes at least.
    const remembered = await this.#rememberedSettings()
    for (const sysctl of foreign) remember(remembered, sysctl)
    if (await this.#filter.apply(filterText(plan.filter, remembered))) changes++
    for (const sysctl of foreign) writeSysctl(sysctl)
    return changes + due.length
  }

  /** The node as it was before any agent came, of ours or of Submariner. */
  async removeAll(): Promise<void> {
    const remembered = await this.#rememberedSettings()
    await this.#host.removeAll({
      tables: [cableTable.table],
      rules: [cableRule],
      devices: Object.values(overlayDevice),
    })
    for (const [interfaceName, text] of remembered) {
      for (const sysctl of parseRemembered(interfaceName, text)) writeSysctl(sysctl)
    }
    await this.#filter.remove()
    this.#remembered = new Map()
    this.#role = 'none'
  }

  async #rememberedSettings(): Promise<Map<string, string>> {
    this.#remembered ??= new Map(await this.#filter.elementComments(rememberedSet))
    return this.#remembered
  }
}

/** A filter that is off stays off: the kernel takes the stricter of `all` and the interface's. */
function isDue(sysctl: Sysctl): boolean {
  const before = readSysctl(sysctl)
  if (before === undefined || before === sysctl.value) return false
  if (sysctl.name !== 'rp_filter') return true
  const everywhere = readSysctl({ ...sysctl, interfaceName: 'all' }) ?? 0
  return Math.max(everywhere, before) === strictMode
}

/** The first value counts: what comes later was ours. */
function remember(remembered: Map<string, string>, sysctl: Sysctl): void {
  const { family, interfaceName, name } = sysctl
  const before = readSysctl(sysctl)
  const text = remembered.get(interfaceName) ?? ''
  const key = `${family}/${name}=`
  if (before === undefined || text.split(',').some(part => part.startsWith(key))) return
  remembered.set(interfaceName, text === '' ? `${key}${before}` : `${text},${key}${before}`)
}

function parseRemembered(interfaceName: string, text: string): Sysctl[] {
  return [...text.matchAll(/([46])\/(\w+)=(\d+)/g)].map(([, family, name, value]) => ({
    family: family === '4' ? 4 : 6,
    interfaceName,
    name,
    value: Number(value),
  }))
}
