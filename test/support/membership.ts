// deploy-broker, join, leave and evict with settings that tests need no thought for.

import { type BrokerSettings, deployBroker } from '../../src/broker/deploy.ts'
import { type JoinSettings, join } from '../../src/broker/join.ts'
import type { Progress } from '../../src/broker/progress.ts'
import type { BrokerInfo } from '../../src/kube/broker-info.ts'
import type { KubeClient } from '../../src/kube/client.ts'
import { parsePrefix } from '../../src/net/address.ts'

/** What was said, a line each, with the mark in front. */
export class SeenProgress implements Progress {
  readonly lines: string[] = []

  async step<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      const result = await work()
      this.lines.push(`ok ${what}`)
      return result
    } catch (error) {
      this.lines.push(`failed ${what}`)
      throw error
    }
  }

  warn(text: string): void {
    this.lines.push(`warning ${text}`)
  }

  note(text: string): void {
    this.lines.push(`note ${text}`)
  }

  /** The lines with this mark. */
  of(mark: string): readonly string[] {
    return this.lines
      .filter(line => line.startsWith(`${mark} `))
      .map(line => line.slice(mark.length + 1))
  }
}

export function brokerSettings(url: string, more: Partial<BrokerSettings> = {}): BrokerSettings {
  return {
    namespace: 'submariner-k8s-broker',
    url,
    components: ['service-discovery', 'connectivity'],
    customDomains: [],
    globalnet: { isEnabled: false, range: parsePrefix('242.0.0.0/8'), clusterSize: 65_536 },
    clustersetIp: { isEnabled: false, range: parsePrefix('243.0.0.0/8'), clusterSize: 4096 },
    psk: undefined,
    stockMembers: [],
    ...more,
  }
}

export function joinSettings(
  info: BrokerInfo,
  clusterId: string,
  more: Partial<JoinSettings> = {},
): JoinSettings {
  return {
    clusterId,
    operatorNamespace: 'submariner-operator',
    brokerUrl: info.brokerUrl,
    clusterCidrs: [],
    serviceCidrs: [],
    wantsGlobalnet: true,
    globalCidr: undefined,
    globalnetSize: undefined,
    wantsClustersetIp: undefined,
    clustersetIpCidr: undefined,
    cable: {
      driver: 'wireguard',
      driverOptions: {},
      isNatEnabled: true,
      psk: undefined,
      pskSecretName: '',
      ikePort: undefined,
      nattPort: 4500,
      isPreferredServer: false,
      wantsUdpEncapsulation: false,
      isDebugging: false,
      hasLoadBalancer: false,
    },
    healthCheck: { isEnabled: true, intervalSeconds: 1, packetLossMost: 5 },
    customDomains: [],
    isAirGapped: true,
    isDebugging: false,
    isBrokerInsecure: false,
    gateway: { kind: 'choose' },
    ignoresRequirements: false,
    ...more,
  }
}

export async function deployed(
  client: KubeClient,
  more: Partial<BrokerSettings> = {},
): Promise<BrokerInfo> {
  return deployBroker(client, brokerSettings(client.server, more), new SeenProgress())
}

export async function joined(
  info: BrokerInfo,
  clusterId: string,
  clients: { readonly local: KubeClient; readonly broker: KubeClient },
  more: Partial<JoinSettings> = {},
  progress: Progress = new SeenProgress(),
) {
  return join(info, joinSettings(info, clusterId, more), clients, progress)
}
