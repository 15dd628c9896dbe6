// The gateway's control loop. It looks at everything that it knows, as one World; makes a Plan of it
// (reconcile.ts, pure); has the plan carried out; and begins again when anything is different, or a
// second has passed. Level triggered: what happened does not matter, only how things are, so a turn
// may be late or left out.
//
//   watches, lease, Node, data path, pings, this machine ─► World ─► reconcile ─► Plan
//        ▲                                                                       │
//        └──── writes, tables, Gateway, Pod label, pings, routes, state ◄────────┘
//
// Nothing that a server, the data path or the disk does ends it. Until it is known who leads, nothing is
// done: after a restart the data path forwards by the tables that it has.

import type { KubeClient } from '../kube/client.ts'
import { isAway } from '../kube/errors.ts'
import { Election } from '../kube/lease.ts'
import type { LeaseTimes } from '../kube/lease-record.ts'
import { annotation, leaseIdentity, objectName } from '../kube/names.ts'
import type { Submariner } from '../kube/resources/submariner.ts'
import { Signal } from '../kube/signal.ts'
import type { Address } from '../net/address.ts'
import type { Clock } from '../net/clock.ts'
import type { DatapathStatus } from '../tables/status.ts'
import { CableNetwork } from './cable-routes.ts'
import { DatapathLink } from './datapath-link.ts'
import { Executor } from './executor.ts'
import { GatewayReport } from './gateway-report.ts'
import { publicKeyOf } from './keys.ts'
import { hasSuccessor, publishedHost, whoLeads } from './leading.ts'
import { CableLinks } from './links.ts'
import type { DatapathConnection, HostNetwork, Log } from './parts.ts'
import type { PingNative } from './ping-socket.ts'
import { Pings } from './pings.ts'
import { PodLabel } from './pod-label.ts'
import { ProblemLog } from './problem-log.ts'
import { reconcile } from './reconcile.ts'
import { isSameMemory } from './remember.ts'
import { type Looks, SelfWatcher } from './self.ts'
import type { StateDirectory } from './state-directory.ts'
import { Watches } from './watches.ts'
import type { CableKeys, ControlSettings, Plan, Problem, Remembered, World } from './world.ts'

export interface ControlParts {
  readonly settings: ControlSettings
  readonly local: KubeClient
  readonly broker: KubeClient
  readonly state: StateDirectory
  readonly presharedKey: Uint8Array
  readonly publicIps: readonly Address[]
  readonly nodeName: string | undefined
  readonly podName: string | undefined
  /** Where the Submariner resource is. */
  readonly submarinerNamespace: string
  readonly lease: LeaseTimes
  readonly healthCheckIntervalMs: number
  readonly connect: () => Promise<DatapathConnection>
  readonly native: PingNative
  readonly host: HostNetwork
  readonly clock: Clock
  readonly log: Log
  /** Of the settings. */
  readonly problems: readonly Problem[]
  /** The Submariner resource as it is seen; called when it is another one, or gone. */
  readonly noteSubmariner: (submariner: Submariner | undefined) => void
  readonly looks?: Looks
}

/** Between two turns, whatever happens. */
const turnLeastMs = 20
const turnMostMs = 1000
/** For the data path to take tables, at the end. */
const dropMostMs = 3000
const stateRetryMs = 5000

export class Control {
  readonly #parts: ControlParts
  readonly #changed = new Signal()
  readonly #watches: Watches
  readonly #election: Election
  readonly #link: DatapathLink
  readonly #executor: Executor
  readonly #report: GatewayReport
  readonly #podLabel: PodLabel | undefined
  readonly #self: SelfWatcher
  readonly #network: CableNetwork
  readonly #pings: Pings
  readonly #links = new CableLinks()
  readonly #problemLog: ProblemLog
  readonly #done: Promise<void>
  #keys: CableKeys
  #remembered: Remembered
  /** Undefined: it has not been read yet. */
  #submariner: Submariner | 'none' | undefined
  #plan: Plan | undefined
  /** Undefined: nobody knows yet who leads. */
  #isActive: boolean | undefined
  /** Whether our Endpoint on the broker has named us since we lead. */
  #wasNamed = false
  #problems: readonly Problem[] = []
  #isStopping = false
  #turns = 0
  #stateRetryMs = 0
  #lagMs = 0

  constructor(parts: ControlParts) {
    const { settings, local, broker, state, nodeName, podName, clock, log } = parts
    const changed = this.#changed
    const { namespace, brokerNamespace, interfaceName } = settings
    this.#parts = parts
    this.#problemLog = new ProblemLog(log)
    this.#keys = keysOf(state.privateKey(), parts.presharedKey)
    this.#remembered = state.remembered()
    this.#watches = new Watches({
      ...{ local, broker, namespace, brokerNamespace, nodeName, clock, changed },
      submarinerNamespace: parts.submarinerNamespace,
    })
    const heldEpoch = state.heldEpoch()
    this.#election = new Election({
      ...{ client: local, name: objectName.gatewayLease, namespace, changed, clock },
      identity: leaseIdentity(settings.hostname),
      times: parts.lease,
      ...(heldEpoch === undefined ? {} : { heldEpoch }),
    })
    this.#link = new DatapathLink({ connect: parts.connect, clock, log, changed })
    this.#executor = new Executor({ local, broker, clock, log, changed })
    this.#report = new GatewayReport({ client: local, clock, log })
    this.#podLabel =
      podName === undefined
        ? undefined
        : new PodLabel({ client: local, namespace, podName, nodeName: nodeName ?? '', log })
    this.#self = new SelfWatcher({
      ...{ clock, changed, clusterCidrs: settings.clusterCidrs, publicIps: parts.publicIps },
      ...(parts.looks === undefined ? {} : { looks: parts.looks }),
    })
    this.#network = new CableNetwork(parts.host, clock)
    this.#pings = new Pings({
      ...{ native: parts.native, interfaceName, clock, changed },
      intervalMs: parts.healthCheckIntervalMs,
      packetLossMost: settings.healthCheck.packetLossMost,
    })
    this.#done = this.#run()
  }

  get isActive(): boolean {
    return this.#isActive === true
  }

  /** As of the latest turn. */
  get plan(): Plan | undefined {
    return this.#plan
  }

  get datapath(): DatapathStatus | undefined {
    return this.#link.status
  }

  get problems(): readonly Problem[] {
    return this.#problems
  }

  get figures(): {
    readonly turns: number
    readonly lagMs: number
    readonly gatewayWrites: number
  } {
    return { turns: this.#turns, lagMs: this.#lagMs, gatewayWrites: this.#report.writes }
  }

  /** Why it is not ready, in words; undefined when it is. */
  get unready(): string | undefined {
    if (this.#isActive === undefined) return 'it is not known yet who leads'
    if (!this.#link.isInForce) return 'the data path does not forward by the tables yet'
    const isPublic = !this.#isActive || this.#watches.isAway || this.#isPublished()
    return isPublic ? undefined : 'the Endpoint is not published yet'
  }

  /** Rejects for a bug of ours; resolves when it has been stopped. */
  get done(): Promise<void> {
    return this.#done
  }

  /**
   * Ends and leaves the data path forwarding by its tables, and the lease as it is; or, when the cluster
   * has left, without cables. Our Gateway goes and our Pod is passive: nobody is sent here any more.
   */
  async stop({ leaves } = { leaves: false }): Promise<void> {
    this.#isStopping = true
    this.#changed.raise()
    // First: what we have written others may be taking away already.
    const isQuiet = this.#executor.stop()
    // What it ended with, if that was a bug, is said by whoever waits for `done`.
    await this.#done.catch(() => undefined)
    this.#pings.stop()
    if (leaves) await this.#dropCables()
    await Promise.all([
      this.#election.stop(),
      isQuiet,
      this.#link.stop(),
      this.#report.stop({ removes: true }),
      this.#podLabel?.stop('passive'),
      this.#watches.stop(),
    ])
  }

  /** As far as the data path is there. */
  async #dropCables(): Promise<void> {
    const { clock } = this.#parts
    const untilMs = clock.monotonicMs() + dropMostMs
    this.#link.want({ device: { listenPort: 0, fwmark: 0 }, cables: [] })
    while (!this.#link.isInForce && clock.monotonicMs() < untilMs) {
      await this.#changed.wait(untilMs - clock.monotonicMs())
    }
  }

  async #run(): Promise<void> {
    const { clock } = this.#parts
    while (!this.#isStopping) {
      this.#turn()
      this.#turns++
      const beganMs = clock.monotonicMs()
      const wantedMs = Math.min(turnMostMs, Math.max(turnLeastMs, this.#self.nextMs - beganMs))
      await new Promise(resolve => setTimeout(resolve, turnLeastMs))
      const isRaised = await this.#changed.wait(wantedMs - turnLeastMs)
      if (!isRaised) this.#lagMs = Math.max(0, clock.monotonicMs() - beganMs - wantedMs)
    }
  }

  #turn(): void {
    const { clock } = this.#parts
    if (clock.monotonicMs() >= this.#self.nextMs) void this.#self.look()
    this.#retryState(clock.monotonicMs())
    this.#noteSubmariner()
    this.#decide()
    // Without an address of ours there would be no cables, for a moment.
    if (this.#isActive !== undefined && this.#self.hasLooked) {
      this.#plan = reconcile(this.#world(this.#isActive))
      this.#carryOut(this.#plan)
    }
    this.#problems = this.#collectProblems()
    this.#problemLog.look(this.#problems)
  }

  /** A full disk is not asked at every turn. */
  #retryState(nowMs: number): void {
    if (nowMs < this.#stateRetryMs) return
    this.#stateRetryMs = nowMs + stateRetryMs
    this.#parts.state.retry()
  }

  /** Who leads is known once somebody has the lease, or once we may lead without it. */
  #decide(): void {
    const { state, settings, log } = this.#parts
    const before = this.#isActive
    this.#lookForSuccessor()
    const identity = leaseIdentity(settings.hostname)
    const { isActive, keeps } = whoLeads(before, this.#election.leadership(), identity)
    if (keeps.what === 'epoch') state.keepHeldEpoch(keeps.epoch)
    else if (keeps.what === 'nothing') state.keepHeldEpoch(undefined)
    this.#isActive = isActive
    if (before !== this.#isActive)
      log.info(`this gateway is ${this.#isActive ? 'active' : 'passive'}`)
  }

  #lookForSuccessor(): void {
    const { settings, state } = this.#parts
    const { clusterId, hostname } = settings
    const leadership = this.#election.leadership()
    const named = publishedHost(this.#watches.broker.endpoints, clusterId, hostname)
    if (hasSuccessor(leadership, named, hostname, this.#wasNamed)) {
      this.#election.hearSuccessor()
      state.keepHeldEpoch(undefined)
    }
    this.#wasNamed = leadership.state !== 'standby' && (this.#wasNamed || named === hostname)
  }

  #world(isActive: boolean): World {
    const { settings, clock } = this.#parts
    const { node } = this.#watches
    return {
      nowMs: clock.wallMs(),
      settings,
      self: withNode(this.#self.facts, node),
      keys: this.#keys,
      isActive,
      node,
      local: this.#watches.local,
      broker: this.#watches.broker,
      remembered: this.#remembered,
      datapath: this.#link.status,
      posted: this.#link.posted,
      handCiphers: this.#link.handCiphers,
      links: this.#links.look(this.#link.status, clock.wallMs()),
      pings: this.#pings.reports(),
    }
  }

  #carryOut(plan: Plan): void {
    const { settings, state } = this.#parts
    if (plan.wantsNewKey) {
      this.#keys = keysOf(state.newPrivateKey(), this.#keys.presharedKey)
      this.#changed.raise()
    } else if (this.#link.status !== undefined) {
      // Not before it is known what is in force: remotes are told apart by comparing with that.
      this.#link.want(plan.tables)
    }
    this.#executor.want(plan.writes)
    this.#report.show(plan.gateway)
    this.#podLabel?.want(plan.podStatus)
    this.#pings.want(plan.pings)
    const { healthCheckIps } = this.#self.facts
    this.#network.look(
      {
        interfaceName: settings.interfaceName,
        subnets: plan.vxlanSubnets,
        sources: [healthCheckIps.ipv4, healthCheckIps.ipv6].flatMap(address => address ?? []),
      },
      this.#link.status?.up,
    )
    if (!isSameMemory(plan.remember, this.#remembered)) state.keepRemembered(plan.remember)
    this.#remembered = plan.remember
  }

  #noteSubmariner(): void {
    const { submariner, hasNoSubmariner } = this.#watches
    const now = submariner ?? (hasNoSubmariner ? 'none' : undefined)
    // One that cannot be read is a problem, and as it was before.
    if (now === undefined || now === this.#submariner) return
    this.#submariner = now
    if (submariner !== undefined) this.#parts.state.keepSubmariner(submariner)
    this.#parts.noteSubmariner(submariner)
  }

  #collectProblems(): readonly Problem[] {
    return [
      ...this.#parts.problems,
      ...this.#parts.state.problems(),
      ...this.#watches.problems(),
      ...this.#trustProblem(),
      ...this.#leaseProblem(),
      ...this.#link.problems(),
      ...this.#network.problems(),
      ...this.#executor.problems(),
      ...this.#report.problems(),
      ...(this.#podLabel?.problems() ?? []),
      ...this.#pings.problems(),
      ...(this.#plan?.problems ?? []),
    ]
  }

  /** What join found out about the broker. */
  #trustProblem(): readonly Problem[] {
    const submariner = this.#submariner === 'none' ? undefined : this.#submariner
    if (submariner?.meta.annotations[annotation.brokerTrust] !== 'unenforced') return []
    const message =
      'nothing keeps a member of this broker from writing what is of another; ' +
      'try: hawser deploy-broker on Kubernetes 1.30 or later, and join again'
    return [{ code: 'broker-trust-unenforced', clusterId: '', object: 'submariners', message }]
  }

  /** That the API is away the watches say. */
  #leaseProblem(): readonly Problem[] {
    const leadership = this.#election.leadership()
    const error = leadership.state === 'leader' ? undefined : leadership.error
    if (error === undefined || isAway(error.code)) return []
    const hint = error.hint === undefined ? '' : `; try: ${error.hint}`
    const object = `leases/${objectName.gatewayLease}`
    return [{ code: 'lease-refused', clusterId: '', object, message: `${error.message}${hint}` }]
  }

  #isPublished(): boolean {
    const { clusterId, hostname } = this.#parts.settings
    const { local, broker } = this.#watches
    return [local.endpoints, broker.endpoints].every(({ items }) =>
      items.some(endpoint => endpoint.clusterId === clusterId && endpoint.hostname === hostname),
    )
  }
}

function keysOf(privateKey: Uint8Array, presharedKey: Uint8Array): CableKeys {
  return { privateKey, publicKey: publicKeyOf(privateKey), presharedKey }
}

/** Without a way out of the network the sockets know no address; the Node does. */
function withNode(facts: World['self'], node: World['node']): World['self'] {
  const find = (family: 4 | 6) => node?.internalIps.find(address => address.family === family)
  const { ipv4, ipv6 } = facts.privateIps
  return { ...facts, privateIps: { ipv4: ipv4 ?? find(4), ipv6: ipv6 ?? find(6) } }
}
