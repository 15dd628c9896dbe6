// A worker on either side of the bench's network, with a pod of its own, and on all four nodes what the
// route agent makes there: its own plan, carried out by the same library, without an API server.
//
//   wpod-a ── worker-a ──lan── node-a ══ cable ══ node-b ──lan── worker-b ── wpod-b
//                              pod-a             pod-b
//   10.71.11.2     192.168.81.1   .2            .2   192.168.82.1      10.71.12.2
//
// The way back to a worker's pod is routed natively, as network plugins do: the overlay carries what goes
// to the gateway.

import { runCommand } from '../src/host/commands.ts'
import { Host } from '../src/host/host.ts'
import { emptyBackendConfig } from '../src/kube/resources/backend-config.ts'
import { type Endpoint, noAddresses } from '../src/kube/resources/endpoint.ts'
import type { Node } from '../src/kube/resources/node.ts'
import { newMeta } from '../src/kube/resources/resource.ts'
import { parseAddress, parsePrefix } from '../src/net/address.ts'
import { filterTable, filterText } from '../src/route-agent/filter.ts'
import { overlayDevice } from '../src/route-agent/overlay.ts'
import { cableRule, planNode } from '../src/route-agent/plan.ts'
import { run, succeeds } from './commands.ts'
import type { Ends } from './load.ts'
import { addNamespace, addresses, inPod, namespaceOfNode, type Side } from './network.ts'
import { parseDeviceCounters } from './proc.ts'

/** A way that is measured, by the hops from worker to gateway on it. */
export const ways = ['gateway to gateway', 'worker to gateway', 'worker to worker'] as const
export type Way = (typeof ways)[number]

interface WorkerAddresses {
  readonly worker: string
  readonly gateway: string
  readonly podGateway: string
  readonly pod: string
  readonly podNetwork: string
}

const workers: Readonly<Record<Side, WorkerAddresses>> = {
  a: workerOf(1),
  b: workerOf(2),
}

function workerOf(number: number): WorkerAddresses {
  return {
    worker: `192.168.8${number}.1`,
    gateway: `192.168.8${number}.2`,
    podGateway: `10.71.1${number}.1`,
    pod: `10.71.1${number}.2`,
    podNetwork: `10.71.1${number}.0/24`,
  }
}

/** All pods of a side. */
export function podNetworks(side: Side): string[] {
  return [addresses.podNetwork[side], workers[side].podNetwork]
}

/** Makes the workers beside the nodes that are there. */
export class WorkerNodes {
  readonly #worker: Readonly<Record<Side, string>>
  readonly #pod: Readonly<Record<Side, string>>

  constructor(podMtuBytes: number) {
    const each = (name: string) => ({
      a: addNamespace(`${name}-a`),
      b: addNamespace(`${name}-b`),
    })
    this.#worker = each('worker')
    this.#pod = each('wpod')
    for (const side of ['a', 'b'] as const) this.#link(side, podMtuBytes)
  }

  /** What the agents of a side's two nodes do, with that device for the cables. */
  async applyPlans(side: Side, cableDevice: string): Promise<void> {
    const spaces = { gateway: namespaceOfNode(side), worker: this.#worker[side] }
    for (const [name, space] of Object.entries(spaces)) {
      const host = new Host((command, input) =>
        runCommand(['ip', 'netns', 'exec', space, ...command], input),
      )
      const interfaces = await host.interfaces()
      const plan = planNode({
        settings: settingsOf(side, name),
        endpoints: endpointsOf(side, cableDevice),
        nodes: nodesOf(side),
        interfaces,
      })
      if (plan.problems.length > 0) throw new Error(`${name}-${side}: ${plan.problems[0].message}`)
      for (const device of plan.devices) await host.applyVxlan(device, interfaces)
      for (const { place, routes } of plan.routes) await host.applyRoutes(place, routes)
      await host.applyRules(plan.rules, [cableRule])
      await host.packetFilter(filterTable).apply(filterText(plan.filter, new Map()))
    }
  }

  /** What the near worker has sent to its gateway over the overlay. */
  overlaySent(): { readonly bytes: number; readonly packets: number } {
    const text = run(['ip', 'netns', 'exec', this.#worker.a, 'cat', '/proc/net/dev'])
    const counters = parseDeviceCounters(text).get(overlayDevice[4])
    return { bytes: counters?.sentBytes ?? 0, packets: counters?.sentPackets ?? 0 }
  }

  ends(way: Way): Ends {
    const inSpace = (space: string) => (argv: readonly string[]) => [
      ...['ip', 'netns', 'exec', space],
      ...argv,
    ]
    return {
      client: way === 'gateway to gateway' ? argv => inPod('a', argv) : inSpace(this.#pod.a),
      server: way === 'worker to worker' ? inSpace(this.#pod.b) : argv => inPod('b', argv),
      address: way === 'worker to worker' ? workers.b.pod : addresses.pod.b,
    }
  }

  #link(side: Side, podMtuBytes: number): void {
    const { worker, gateway, podGateway, pod, podNetwork } = workers[side]
    const [node, space, podSpace] = [namespaceOfNode(side), this.#worker[side], this.#pod[side]]
    run(
      ['ip', '-batch', '-'],
      lines([
        `link add lan mtu 1500 netns ${node} type veth peer name lan mtu 1500 netns ${space}`,
        `link add pod mtu ${podMtuBytes} netns ${space} type veth ` +
          `peer name pod mtu ${podMtuBytes} netns ${podSpace}`,
      ]),
    )
    const inside = (netns: string, list: readonly string[]) =>
      run(['ip', '-n', netns, '-batch', '-'], lines(list))
    inside(node, [
      'link set lan up',
      `addr add ${gateway}/24 dev lan`,
      `route add ${podNetwork} via ${worker}`,
    ])
    inside(space, [
      'link set lo up',
      'link set lan up',
      `addr add ${worker}/24 dev lan`,
      'link set pod up',
      `addr add ${podGateway}/24 dev pod`,
      `route add default via ${gateway}`,
    ])
    inside(podSpace, [
      'link set lo up',
      'link set pod up',
      `addr add ${pod}/24 dev pod`,
      `route add default via ${podGateway}`,
    ])
  }
}

/** Whether a way is passable, tried for up to ten seconds. */
export function passes({ client, address }: Ends): boolean {
  for (let attempt = 0; attempt < 10; attempt++) {
    if (succeeds(client(['ping', '-q', '-c', '1', '-W', '1', address]))) return true
  }
  return false
}

function settingsOf(side: Side, nodeName: string) {
  return {
    clusterId: side,
    namespace: 'bench',
    nodeName,
    hostname: nodeName,
    clusterCidrs: podNetworks(side).map(parsePrefix),
    serviceCidrs: [],
    globalCidrs: [],
    networkPlugin: 'generic',
    isHealthCheckEnabled: false,
    version: 'bench',
  }
}

function nodesOf(side: Side): Node[] {
  const { worker, gateway } = workers[side]
  return Object.entries({ worker, gateway }).map(([name, address]) => ({
    meta: newMeta(name, ''),
    internalIps: [parseAddress(address)],
    podCidrs: [],
    isReady: true,
  }))
}

function endpointsOf(own: Side, interfaceName: string): Endpoint[] {
  return (['a', 'b'] as const).map(side => ({
    meta: newMeta(side, 'bench'),
    clusterId: side,
    cableName: side,
    hostname: side === own ? 'gateway' : 'elsewhere',
    subnets: podNetworks(side).map(parsePrefix),
    privateIps: { ipv4: parseAddress(workers[side].gateway), ipv6: undefined },
    publicIps: noAddresses,
    healthCheckIps: noAddresses,
    isNatEnabled: false,
    backend: 'wireguard',
    backendConfig: { ...emptyBackendConfig, interfaceName },
  }))
}

function lines(list: readonly string[]): string {
  return `${list.join('\n')}\n`
}
