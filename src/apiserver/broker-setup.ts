// What a broker holds from its first start on: its namespace, the PSK of the clusterset, the account that
// joins members, the Broker, and the books of the ranges, switched off. What is there stays as it is, but for
// the Broker, which says what the flags of this start say.

import { randomBytes } from 'node:crypto'
import type { BrokerInfo } from '../kube/broker-info.ts'
import { objectName } from '../kube/names.ts'
import type { Api } from './api.ts'
import { type Body, textAt } from './body.ts'
import { ensureAccount } from './running.ts'

export interface BrokerSetup {
  readonly namespace: string
  /** As members reach it. */
  readonly url: string
  readonly components: readonly string[]
  readonly customDomains: readonly string[]
  readonly ca: string
}

const pskBytes = 48

/** The join file of this broker. Throws Refusal, or LogError when the disk is full. */
export function setUpBroker(api: Api, setup: BrokerSetup): BrokerInfo {
  const { namespace, url, components, customDomains, ca } = setup
  const own = (kind: string, name: string, more: Body = {}): Body => ({
    ...{ apiVersion: 'v1', kind, metadata: { name, namespace, ...more } },
  })
  api.ensure('namespaces', '', {
    ...{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
  })
  const psk = api.ensure('secrets', namespace, {
    ...own('Secret', objectName.pskSecret),
    ...{ type: 'Opaque', data: { psk: randomBytes(pskBytes).toString('base64') } },
  })
  const token = ensureAccount(api, namespace, objectName.brokerAdminAccount)
  ensureBook(api, own('ConfigMap', objectName.globalnetInfo, bookLabels), 'globalnetEnabled')
  ensureBook(api, own('ConfigMap', objectName.clustersetIpInfo, bookLabels), 'clustersetIPEnabled')
  api.ensure('brokers.submariner.io', namespace, {
    ...own('Broker', objectName.broker),
    apiVersion: 'submariner.io/v1alpha1',
    spec: { components, defaultCustomDomains: customDomains },
  })
  return {
    brokerUrl: url,
    token: {
      secretName: `${objectName.brokerAdminAccount}-token`,
      namespace,
      token: new TextEncoder().encode(token),
      ca: new TextEncoder().encode(ca),
    },
    psk: Uint8Array.from(Buffer.from(textAt(psk, 'data', 'psk'), 'base64')),
    components,
    customDomains,
  }
}

const bookLabels = { labels: { component: 'submariner-globalnet' } }

function ensureBook(api: Api, body: Body, key: string): void {
  const { namespace } = body['metadata'] as { readonly namespace: string }
  api.ensure('configmaps', namespace, { ...body, data: { [key]: 'false' } })
}
