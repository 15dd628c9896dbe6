// Two pods, two nodes and a wire, in four network namespaces of their own:
//
//   pod-a ──veth── node-a ──veth "wire", MTU 1500── node-b ──veth── pod-b
//   10.71.1.2      10.71.1.1  192.168.71.1     192.168.71.2  10.71.2.1      10.71.2.2
//
// What joins the two nodes' pod networks (routes, a VXLAN device, two daemons) is the contestant's.
// The namespaces are called hb-PID-…: two benches do not meet, and what a killed one left behind is
// recognised by its dead pid and removed by the next. IPv6 is off inside, so that no router
// solicitation lands among the frames that are counted.

import { existsSync } from 'node:fs'
import { run, succeeds } from './commands.ts'
import { type DeviceCounters, parseDeviceCounters } from './proc.ts'

export type Side = 'a' | 'b'

export const addresses = {
  pod: { a: '10.71.1.2', b: '10.71.2.2' },
  podGateway: { a: '10.71.1.1', b: '10.71.2.1' },
  podNetwork: { a: '10.71.1.0/24', b: '10.71.2.0/24' },
  tunnel: { a: '10.71.0.1', b: '10.71.0.2' },
  wire: { a: '192.168.71.1', b: '192.168.71.2' },
} as const

/** The names of the devices inside the namespaces. */
const podDevice = 'pod'
export const wireDevice = 'wire'

const prefix = `hb-${process.pid}-`
const sides: readonly Side[] = ['a', 'b']

/** argv that runs a program in a node's or a pod's namespace. `ip` execs it: the pid stays. */
export function inNode(side: Side, argv: readonly string[]): string[] {
  return ['ip', 'netns', 'exec', nodeNamespace(side), ...argv]
}

export function inPod(side: Side, argv: readonly string[]): string[] {
  return ['ip', 'netns', 'exec', podNamespace(side), ...argv]
}

/** Runs lines of `ip -batch` in a node's namespace. */
export function ipInNode(side: Side, lines: readonly string[]): void {
  run(['ip', '-n', nodeNamespace(side), '-batch', '-'], `${lines.join('\n')}\n`)
}

/** Makes the namespaces and all but the way from node to node. */
export function createNetwork(podMtuBytes: number): void {
  removeNetwork()
  for (const side of sides) {
    run(['ip', 'netns', 'add', podNamespace(side)])
    run(['ip', 'netns', 'add', nodeNamespace(side)])
    setKernelSwitches(podNamespace(side))
    setKernelSwitches(nodeNamespace(side))
  }
  const wire = `link add ${wireDevice} mtu 1500 netns ${nodeNamespace('a')} type veth`
  const pods = sides.map(
    side =>
      `link add ${podDevice} mtu ${podMtuBytes} netns ${podNamespace(side)} type veth ` +
      `peer name ${podDevice} mtu ${podMtuBytes} netns ${nodeNamespace(side)}`,
  )
  const wirePeer = `peer name ${wireDevice} mtu 1500 netns ${nodeNamespace('b')}`
  run(['ip', '-batch', '-'], `${[`${wire} ${wirePeer}`, ...pods].join('\n')}\n`)
  for (const side of sides) {
    ipInNode(side, [
      'link set lo up',
      `addr add ${addresses.podGateway[side]}/24 dev ${podDevice}`,
      `addr add ${addresses.wire[side]}/24 dev ${wireDevice}`,
      `link set ${podDevice} up`,
      `link set ${wireDevice} up`,
    ])
    const pod = [
      'link set lo up',
      `addr add ${addresses.pod[side]}/24 dev ${podDevice}`,
      `link set ${podDevice} up`,
      `route add default via ${addresses.podGateway[side]}`,
    ]
    run(['ip', '-n', podNamespace(side), '-batch', '-'], `${pod.join('\n')}\n`)
  }
}

/** A further namespace, with the same switches; it goes with the others. */
export function addNamespace(name: string): string {
  const namespace = `${prefix}${name}`
  run(['ip', 'netns', 'add', namespace])
  further.push(namespace)
  setKernelSwitches(namespace)
  return namespace
}

/** The namespace of a node, for what is to be linked with it. */
export function namespaceOfNode(side: Side): string {
  return nodeNamespace(side)
}

const further: string[] = []

/** Removes this process's namespaces; the devices inside go with them. Never throws. */
export function removeNetwork(): void {
  for (const namespace of further.splice(0)) succeeds(['ip', 'netns', 'del', namespace])
  for (const side of sides) {
    for (const namespace of [podNamespace(side), nodeNamespace(side)]) {
      if (existsSync(`/run/netns/${namespace}`)) succeeds(['ip', 'netns', 'del', namespace])
    }
  }
}

/** Removes what benches left that were killed: their namespaces, and the daemons still in them. */
export function removeOrphans(): void {
  for (const line of run(['ip', 'netns', 'list']).split('\n')) {
    const match = /^(hb-(\d+)-\S+)/.exec(line)
    if (match === null || existsSync(`/proc/${match[2]}`)) continue
    for (const pid of run(['ip', 'netns', 'pids', match[1]]).split('\n').filter(Boolean)) {
      try {
        process.kill(Number(pid), 'SIGKILL')
      } catch {
        // It ended by itself in the meantime.
      }
    }
    run(['ip', 'netns', 'del', match[1]])
  }
}

/** Counters of a device of a node. */
export function deviceCounters(side: Side, device: string): DeviceCounters {
  const text = run(inNode(side, ['cat', '/proc/net/dev']))
  const counters = parseDeviceCounters(text).get(device)
  if (counters === undefined) throw new Error(`node-${side} has no device ${device}`)
  return counters
}

function podNamespace(side: Side): string {
  return `${prefix}pod-${side}`
}

function nodeNamespace(side: Side): string {
  return `${prefix}node-${side}`
}

function setKernelSwitches(namespace: string): void {
  const switches = {
    'ipv4/ip_forward': 1,
    'ipv4/conf/all/rp_filter': 0,
    'ipv4/conf/default/rp_filter': 0,
    'ipv6/conf/all/disable_ipv6': 1,
    'ipv6/conf/default/disable_ipv6': 1,
  }
  const script = Object.entries(switches)
    .map(([name, value]) => `echo ${value} > /proc/sys/net/${name}`)
    .join(' && ')
  run(['ip', 'netns', 'exec', namespace, 'sh', '-c', script])
}
