// A gateway's control process: the pure parts of src/control and src/kube, held together as
// src/control/control.ts does it, on virtual time. A turn comes soon after something was different, and
// every few seconds. It ends by being killed: what is left of it is the disk and the data path.

import { isDeepStrictEqual } from 'node:util'
import { hasSuccessor, publishedHost, whoLeads } from '../../../../src/control/leading.ts'
import { CableLinks } from '../../../../src/control/links.ts'
import { Pinger } from '../../../../src/control/pinger.ts'
import { reconcile } from '../../../../src/control/reconcile.ts'
import { isSameMemory } from '../../../../src/control/remember.ts'
import type {
  LinkReport,
  PingTarget,
  Plan,
  PlannedTables,
  World,
} from '../../../../src/control/world.ts'
import { leaseIdentity, objectName } from '../../../../src/kube/names.ts'
import type { Resource, ResourceType } from '../../../../src/kube/resource-type.ts'
import { clusterType } from '../../../../src/kube/resources/cluster.ts'
import { endpointType, noAddresses } from '../../../../src/kube/resources/endpoint.ts'
import { gatewayType } from '../../../../src/kube/resources/gateway.ts'
import { nodeType } from '../../../../src/kube/resources/node.ts'
import { equalBytes } from '../../../../src/net/address.ts'
import type { DatapathStatus } from '../../../../src/tables/status.ts'
import { SimClient } from './client.ts'
import { SimElection } from './election.ts'
import type { SimNode } from './node.ts'
import { Alarm } from './timeline.ts'
import { SimWatch } from './watch.ts'
import { SimReport, SimWriter } from './writer.ts'

/** As the real loop has them; the real one looks every second, this one when a state is different. */
const turnLeastMs = 20
const turnMostMs = 8000
const pollMs = 1000
const gatewaysMs = 2000

interface Check {
  readonly target: PingTarget
  readonly pinger: Pinger
}

export class SimProcess {
  isAlive = true
  isActive: boolean | undefined
  plan: Plan | undefined
  readonly startedAtMs: number
  readonly writer: SimWriter
  readonly election: SimElection
  readonly #node: SimNode
  readonly #alarm: Alarm
  readonly #report: SimReport
  readonly #watches: ReturnType<SimProcess['makeWatches']>
  readonly #links = new CableLinks()
  #linkReports: ReadonlyMap<string, LinkReport> = new Map()
  #checks = new Map<string, Check>()
  #status: DatapathStatus | undefined
  #attachedTo = 0
  #applied: { readonly tables: PlannedTables; readonly generation: number } | undefined
  #wanted: PlannedTables | undefined
  #states = ''
  #wasNamed = false

  constructor(node: SimNode) {
    this.#node = node
    const { timeline, random } = node
    this.startedAtMs = timeline.nowMs
    const changed = () => this.#changed()
    this.#alarm = new Alarm(timeline, () => this.#turn())
    const local = this.#client('local')
    const broker = this.#client('broker')
    this.#watches = this.makeWatches(local, broker)
    this.election = new SimElection({
      ...{ timeline, random, client: local, changed },
      identity: leaseIdentity(node.hostname),
      heldEpoch: node.disk.heldEpoch,
      wallMs: () => node.wallMs,
    })
    this.writer = new SimWriter({ timeline, local, broker, changed })
    this.#report = new SimReport(timeline, local, () => node.wallMs)
    this.#poll()
    this.#changed()
  }

  kill(): void {
    this.isAlive = false
    this.#alarm.off()
    this.writer.stop()
    this.#report.stop()
    this.election.stop()
    for (const watch of Object.values(this.#watches)) watch.stop()
  }

  /** What a person sees when it is asked how things are. */
  describe(): string {
    const { isActive, plan } = this
    const problems = plan?.problems.map(({ code, message }) => `${code}: ${message}`).join('; ')
    const failures = [...this.writer.failures].map(([id, { message }]) => `${id}: ${message}`)
    const retrying = Object.entries(this.#watches).filter(([, watch]) => watch.isRetrying)
    return [
      `active ${isActive}, ${this.election.leadership().state}`,
      `writes ${plan?.writes.map(({ verb, server, key }) => `${verb} ${server} ${key}`).join()}`,
      `failures ${failures.join()}`,
      `retrying ${retrying.map(([name]) => name).join()}`,
      `problems ${problems}`,
    ].join('; ')
  }

  #client(which: 'local' | 'broker'): SimClient {
    const node = this.#node
    const { timeline, random } = node
    const ends = {
      local: { server: node.cluster.server, link: node.localLink },
      broker: { server: node.cluster.broker, link: node.brokerLink },
    }
    return new SimClient({
      ...{ timeline, random, owner: this, ...ends[which] },
      authorization: () => (which === 'local' ? node.cluster.localToken : node.cluster.brokerToken),
      onRequest: (method, resource) => node.noteRequest(which, method, resource),
    })
  }

  private makeWatches(local: SimClient, broker: SimClient) {
    const { timeline, random, hostname } = this.#node
    const watch = <T extends Resource>(
      client: SimClient,
      type: ResourceType<T>,
      scope: { readonly namespace?: string; readonly fieldSelector?: string },
      withinMs = turnLeastMs,
    ) => {
      const changed = () => this.#changed(withinMs)
      return new SimWatch({ timeline, random, client, type, scope, changed })
    }
    const ours = { namespace: objectName.operatorNamespace }
    const brokers = { namespace: objectName.brokerNamespace }
    return {
      clusters: watch(local, clusterType, ours),
      endpoints: watch(local, endpointType, ours),
      // They change all the time, and little hangs on them.
      gateways: watch(local, gatewayType, ours, gatewaysMs),
      node: watch(local, nodeType, { fieldSelector: `metadata.name=${hostname}` }),
      brokerClusters: watch(broker, clusterType, brokers),
      brokerEndpoints: watch(broker, endpointType, brokers),
    }
  }

  #changed(withinMs = turnLeastMs): void {
    if (this.isAlive) this.#alarm.setBy(this.#node.timeline.nowMs + withinMs)
  }

  #turn(): void {
    const node = this.#node
    this.#decide()
    if (this.isActive !== undefined) {
      this.plan = reconcile(this.#world(this.isActive))
      this.#carryOut(this.plan)
    }
    this.#alarm.setBy(node.timeline.nowMs + turnMostMs)
  }

  #decide(): void {
    const { disk, hostname } = this.#node
    const { clusterId } = this.#node.settings
    const leadership = this.election.leadership()
    const named = publishedHost(this.#watches.brokerEndpoints.known, clusterId, hostname)
    if (hasSuccessor(leadership, named, hostname, this.#wasNamed)) {
      this.election.hearSuccessor()
      disk.heldEpoch = undefined
    }
    this.#wasNamed = leadership.state !== 'standby' && (this.#wasNamed || named === hostname)
    const identity = leaseIdentity(hostname)
    const { isActive, keeps } = whoLeads(this.isActive, this.election.leadership(), identity)
    if (keeps.what === 'epoch') disk.heldEpoch = keeps.epoch
    else if (keeps.what === 'nothing') disk.heldEpoch = undefined
    this.isActive = isActive
  }

  #world(isActive: boolean): World {
    const node = this.#node
    const { clusters, endpoints, gateways, brokerClusters, brokerEndpoints } = this.#watches
    return {
      nowMs: node.wallMs,
      settings: node.settings,
      self: {
        privateIps: { ...noAddresses, ipv4: node.privateIp },
        publicIps: noAddresses,
        healthCheckIps: { ...noAddresses, ipv4: node.healthCheckIp },
      },
      keys: node.disk.keys,
      isActive,
      node: this.#watches.node.known.items[0],
      local: {
        clusters: clusters.known,
        endpoints: endpoints.known,
        gateways: gateways.known,
        submariner: undefined,
      },
      broker: { clusters: brokerClusters.known, endpoints: brokerEndpoints.known },
      remembered: node.disk.remembered,
      datapath: this.#status,
      posted: this.#status === undefined ? undefined : this.#applied?.tables,
      links: this.#linkReports,
      pings: new Map([...this.#checks].map(([key, { pinger }]) => [key, pinger.report()])),
    }
  }

  #carryOut(plan: Plan): void {
    const { disk } = this.#node
    if (this.#status !== undefined && !isDeepStrictEqual(plan.tables, this.#wanted)) {
      this.#wanted = plan.tables
      this.#post()
    }
    this.writer.want(plan.writes)
    this.#report.show(plan.gateway)
    const before = this.#checks
    this.#checks = new Map(plan.pings.map(target => [target.key, this.#checkOf(target, before)]))
    if (!isSameMemory(plan.remember, disk.remembered)) disk.remembered = plan.remember
  }

  #checkOf(target: PingTarget, before: ReadonlyMap<string, Check>): Check {
    const check = before.get(target.key)
    const isSame =
      check !== undefined &&
      equalBytes(check.target.to.bytes, target.to.bytes) &&
      equalBytes(check.target.from.bytes, target.from.bytes)
    if (isSame) return check
    const packetLossMost = this.#node.settings.healthCheck.packetLossMost
    const options = { to: target.to, packetLossMost, intervalMs: pollMs, firstSequence: 1 }
    return { target, pinger: new Pinger(options) }
  }

  /** The data path and the pings, once a second. */
  #poll(): void {
    const { timeline } = this.#node
    if (!this.isAlive) return
    timeline.after(pollMs, () => this.#poll())
    this.#attach()
    if (this.#status !== undefined && this.#applied?.tables !== this.#wanted) this.#post()
    this.#linkReports = this.#links.look(this.#status, this.#node.wallMs)
    this.#ping()
    const states = this.#statesText()
    if (states !== this.#states) this.#changed()
    this.#states = states
  }

  #attach(): void {
    const { datapath } = this.#node
    if (!datapath.isRunning || datapath.start !== this.#attachedTo) {
      this.#wanted = undefined
      this.#applied = undefined
      this.#status = undefined
    }
    if (!datapath.isRunning) return
    this.#attachedTo = datapath.start
    this.#status = datapath.status()
    const { generation } = this.#status
    if (this.#applied?.generation === generation) return
    const { tables } = datapath
    this.#applied = tables === undefined ? undefined : { tables, generation }
  }

  #post(): void {
    const { datapath } = this.#node
    const tables = this.#wanted
    if (tables === undefined || !datapath.isRunning || datapath.start !== this.#attachedTo) return
    if (this.#applied !== undefined && isDeepStrictEqual(this.#applied.tables, tables)) return
    const generation = datapath.generation + 1
    datapath.apply(tables, generation)
    this.#applied = { tables, generation }
    this.#status = datapath.status()
  }

  #ping(): void {
    const { timeline, datapath } = this.#node
    for (const { target, pinger } of this.#checks.values()) {
      const next = pinger.tick(timeline.nowMs)
      if (next === undefined) continue
      const isPassing = datapath.cables.get(target.clusterId)?.isPassing
      if (isPassing) pinger.onReply(next.sequence, 1_000_000)
    }
  }

  #statesText(): string {
    const links = [...this.#linkReports].map(([name, { state }]) => `${name} ${state}`)
    const pings = [...this.#checks.values()].map(({ pinger }) => pinger.report().state)
    return [this.#status?.generation, ...links, ...pings].join()
  }
}
