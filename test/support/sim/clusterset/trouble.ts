// What goes wrong, by chance and for a while: ways, servers, processes, disks, data paths, clocks and
// members. All of it ends with `calm`, except that a node which has died stays dead.

import type { SimCluster } from './cluster.ts'
import { type Clusterset, pathKey } from './clusterset.ts'
import { lieAsMember } from './liar.ts'
import type { Link } from './link.ts'
import type { SimNode } from './node.ts'
import type { SimServer } from './server.ts'

const deathsMost = 3
const leavesMost = 2
const hourMs = 3_600_000

export class Trouble {
  readonly #set: Clusterset
  /** What happened, for the report of a failure. */
  readonly story: string[] = []
  #isOver = false
  #deaths = 0
  #leaves = 0
  #hasLied = false

  constructor(set: Clusterset) {
    this.#set = set
  }

  /** Begins; there is something every few seconds. */
  begin(): void {
    const set = this.#set
    set.timeline.after(set.between(100, 1500), () => {
      if (this.#isOver) return
      this.#strike()
      this.begin()
    })
  }

  calm(): void {
    const set = this.#set
    this.#isOver = true
    set.cutPaths.clear()
    for (const server of [set.broker, ...set.clusters.map(cluster => cluster.server)]) heal(server)
    for (const node of set.nodes) {
      node.clockOffsetMs = 0
      node.localLink.become('up')
      node.brokerLink.become('up')
    }
    for (const cluster of set.clusters) {
      if (cluster.hasLeft) cluster.join()
      for (const node of cluster.aliveNodes) this.#revive(node)
    }
    if (!this.#hasLied) this.#lie()
    this.#tell('calm')
  }

  #strike(): void {
    const set = this.#set
    const node = set.pick(set.nodes.filter(({ isDead }) => !isDead))
    const { cluster } = node
    const troubles: readonly (readonly [number, () => void])[] = [
      [4, () => this.#cutPath(node)],
      [4, () => this.#breakLink(node, 'brokerLink')],
      [3, () => this.#breakLink(node, 'localLink')],
      [2, () => this.#forget(node)],
      [2, () => this.#stopServer(cluster.server, cluster.id)],
      [2, () => this.#stopServer(set.broker, 'broker')],
      [1, () => this.#slow(set.pick([set.broker, cluster.server]))],
      [2, () => this.#loseAnswers(set.pick([set.broker, cluster.server]))],
      [4, () => this.#killProcess(node)],
      [1, () => this.#replaceNode(node)],
      [2, () => this.#restartDatapath(node)],
      [1, () => this.#kill(node)],
      [2, () => this.#setClock(node)],
      [1, () => this.#leave(cluster)],
      [1, () => this.#lieAsMember(cluster)],
      [1, () => this.#lie()],
    ]
    let rest = set.random() * troubles.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, strike] of troubles) {
      rest -= weight
      if (rest < 0) {
        strike()
        return
      }
    }
  }

  /** For a second or half a minute. */
  #forAWhile(end: () => void): void {
    const set = this.#set
    set.timeline.after(500 * 60 ** set.random(), () => {
      if (!this.#isOver) end()
    })
  }

  #tell(what: string): void {
    this.story.push(`${(this.#set.timeline.nowMs / 1000).toFixed(1)} s: ${what}`)
  }

  #cutPath(node: SimNode): void {
    const set = this.#set
    const others = set.oneIn(3) ? set.nodes : [set.pick(set.nodes)]
    const keys = others.filter(other => other !== node).map(other => pathKey(node, other))
    this.#tell(`${node.hostname}: ${keys.length} paths cut`)
    for (const key of keys) set.cutPaths.add(key)
    this.#forAWhile(() => {
      for (const key of keys) set.cutPaths.delete(key)
    })
  }

  #breakLink(node: SimNode, which: 'localLink' | 'brokerLink'): void {
    const state = this.#set.oneIn(2) ? 'cut' : 'hole'
    const link: Link = node[which]
    this.#tell(`${node.hostname}: ${which} ${state}`)
    link.become(state)
    this.#forAWhile(() => link.become('up'))
  }

  #forget(node: SimNode): void {
    const { broker } = this.#set
    this.#tell(`${node.hostname}: watches forgotten`)
    if (this.#set.oneIn(2)) broker.forget(node.brokerLink)
    else node.cluster.server.forget(node.localLink)
  }

  #stopServer(server: SimServer, name: string): void {
    if (!server.isUp) return
    this.#tell(`API server of ${name} stops`)
    server.stop()
    this.#forAWhile(() => {
      if (!server.isUp) server.start()
    })
  }

  #slow(server: SimServer): void {
    this.#tell('a server is slow')
    server.slownessMs = this.#set.between(100, 6000)
    this.#forAWhile(() => {
      server.slownessMs = 0
    })
  }

  #loseAnswers(server: SimServer): void {
    this.#tell('a server loses answers')
    server.lostAnswers = 0.3
    this.#forAWhile(() => {
      server.lostAnswers = 0
    })
  }

  #killProcess(node: SimNode): void {
    this.#tell(`${node.hostname}: control process killed`)
    node.kill()
    this.#forAWhile(() => this.#start(node))
  }

  #replaceNode(node: SimNode): void {
    this.#tell(`${node.hostname}: another machine in its place`)
    node.kill()
    node.datapath.stop()
    node.loseDisk()
    this.#forAWhile(() => this.#revive(node))
  }

  #restartDatapath(node: SimNode): void {
    this.#tell(`${node.hostname}: data path restarts`)
    node.datapath.stop()
    this.#forAWhile(() => this.#revive(node, { process: false }))
  }

  #kill(node: SimNode): void {
    if (this.#deaths === deathsMost || node.cluster.aliveNodes.length < 2) return
    this.#deaths++
    this.#tell(`${node.hostname}: dies for good`)
    node.die()
  }

  #setClock(node: SimNode): void {
    const { oneIn, between } = bound(this.#set)
    node.clockOffsetMs = (oneIn(2) ? 1 : -1) * (oneIn(2) ? hourMs : between(1000, 40_000))
    this.#tell(`${node.hostname}: clock off by ${Math.round(node.clockOffsetMs / 1000)} s`)
    this.#forAWhile(() => {
      node.clockOffsetMs = 0
    })
  }

  #leave(cluster: SimCluster): void {
    const { broker, liar, adminToken } = this.#set
    const isPossible = broker.isUp && !cluster.hasLeft && cluster !== liar.victim
    if (!isPossible || this.#leaves === leavesMost) return
    this.#leaves++
    this.#tell(`${cluster.id} leaves`)
    cluster.leave(adminToken)
    this.#forAWhile(() => {
      if (cluster.hasLeft && broker.isUp) cluster.join()
    })
  }

  #lieAsMember(cluster: SimCluster): void {
    const { clusters } = this.#set
    const older = clusters.filter(({ id, hasLeft }) => !hasLeft && isOlder(id, cluster))
    if (older.length === 0 || cluster.hasLeft) return
    this.#tell(`${cluster.id} lies`)
    cluster.trustedFromMs = Number.POSITIVE_INFINITY
    lieAsMember(cluster, this.#set.pick(older))
  }

  #lie(): void {
    const { liar, broker } = this.#set
    if (this.#hasLied || !liar.speak()) return
    this.#hasLied = true
    this.#tell(`the liar speaks: ${liar.lie} of ${liar.victim.id}`)
    const statuses = liar.overreach()
    if (broker.isUp && statuses.some(status => status !== 403)) {
      this.#set.violated(`the broker let a member write for another: ${statuses.join()}`)
    }
  }

  #start(node: SimNode): void {
    if (!node.cluster.hasLeft) node.start()
  }

  #revive(node: SimNode, { process = true } = {}): void {
    if (node.isDead || node.cluster.hasLeft) return
    if (!node.datapath.isRunning) node.datapath.restart()
    if (process) node.start()
  }
}

function bound(set: Clusterset) {
  return {
    oneIn: (count: number) => set.oneIn(count),
    between: (least: number, most: number) => set.between(least, most),
  }
}

/** All join in one second, and then the name decides. */
function isOlder(id: string, cluster: SimCluster): boolean {
  return id < cluster.id
}

function heal(server: SimServer): void {
  server.slownessMs = 0
  server.lostAnswers = 0
  if (!server.isUp) server.start()
}
