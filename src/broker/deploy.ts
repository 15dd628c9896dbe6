// deploy-broker: makes a namespace of an API server a broker, in steps that may be run again. What is in
// use stays as it is: the PSK, the ranges that CIDRs were given out from. The result is the content of
// the join file, with the token of the account that joins.

import { randomBytes } from 'node:crypto'
import type { BrokerInfo } from '../kube/broker-info.ts'
import type { KubeClient } from '../kube/client.ts'
import { annotation, objectName } from '../kube/names.ts'
import {
  type CidrBook,
  type CidrBookKind,
  cidrBooks,
  readCidrBook,
  writeCidrBook,
} from '../kube/resources/cidr-book.ts'
import { type ConfigMap, configMapType } from '../kube/resources/config-map.ts'
import { rawOfManifest, typeOfManifest } from '../kube/resources/raw.ts'
import { newMeta } from '../kube/resources/resource.ts'
import { type Secret, secretType } from '../kube/resources/secret.ts'
import { equalBytes, formatPrefix, type Prefix } from '../net/address.ts'
import { GatewayError } from '../net/errors.ts'
import { crdManifests } from './crds.ts'
import { ensure, ensureCrds, lookUp, managedBy, waitFor } from './ensure.ts'
import {
  adminManifests,
  adminTokenName,
  namespaceManifest,
  stockMemberManifests,
  trustManifests,
} from './manifests.ts'
import type { Progress } from './progress.ts'
import { stockMembersOpen } from './roles.ts'
import { policyMinor } from './trust-policy.ts'

export interface RangeSettings {
  readonly isEnabled: boolean
  readonly range: Prefix
  /** Of one cluster, in addresses. */
  readonly clusterSize: number
}

export interface BrokerSettings {
  readonly namespace: string
  /** As members reach it. */
  readonly url: string
  readonly components: readonly string[]
  readonly customDomains: readonly string[]
  readonly globalnet: RangeSettings
  readonly clustersetIp: RangeSettings
  /** Undefined: that of the broker, or a new one. */
  readonly psk: Uint8Array | undefined
  /** Clusters whose accounts get upstream's role. */
  readonly stockMembers: readonly string[]
}

const pskBytes = 48

export async function deployBroker(
  client: KubeClient,
  settings: BrokerSettings,
  progress: Progress,
): Promise<BrokerInfo> {
  const { namespace, stockMembers } = settings
  const hasPolicies = await hasAdmissionPolicies(client)
  await progress.step('custom resource definitions', () =>
    ensureCrds(client, crdManifests('broker')),
  )
  await progress.step(`namespace ${namespace}`, () => ensureNamespace(client, namespace))
  await progress.step(`account, role and token of ${objectName.brokerAdminAccount}`, async () => {
    for (const manifest of adminManifests(namespace)) await ensure(client, manifest)
  })
  await trust(client, settings, hasPolicies, progress)
  if (stockMembers.length > 0) {
    await progress.step(`stock members: ${stockMembers.join(', ')}`, async () => {
      for (const manifest of stockMemberManifests(namespace, stockMembers)) {
        await ensure(client, manifest)
      }
    })
    for (const what of stockMembersOpen) progress.warn(`stock members: ${what}`)
  }
  const psk = await progress.step('PSK of the clusterset', () => ensurePsk(client, settings))
  await progress.step('ranges for Globalnet and clusterset IPs', async () => {
    await ensureBook(client, namespace, 'globalnet', settings.globalnet)
    await ensureBook(client, namespace, 'clustersetIp', settings.clustersetIp)
  })
  await progress.step(`Broker ${objectName.broker}`, () =>
    ensureBroker(client, settings, hasPolicies ? 'enforced' : 'unenforced'),
  )
  const token = await progress.step('token of the admin', () =>
    waitForToken(client, namespace, adminTokenName),
  )
  return brokerInfoOf(settings, token, psk)
}

/** Kubernetes has them from 1.30 on. */
export async function hasAdmissionPolicies(client: KubeClient): Promise<boolean> {
  const { major, minor } = await client.version()
  return major > 1 || minor >= policyMinor
}

async function trust(
  client: KubeClient,
  { namespace }: BrokerSettings,
  hasPolicies: boolean,
  progress: Progress,
): Promise<void> {
  if (!hasPolicies) {
    progress.warn(
      `brokerTrust: unenforced. Kubernetes before 1.${policyMinor} has no admission policies: ` +
        'a member may write the Endpoints and services of another',
    )
    return
  }
  await progress.step('admission policies: a member writes its own objects alone', async () => {
    for (const manifest of trustManifests(namespace)) await ensure(client, manifest)
  })
}

/** One that was there before is not ours, and stays so. */
export async function ensureNamespace(client: KubeClient, name: string): Promise<void> {
  const manifest = namespaceManifest(name)
  const type = typeOfManifest(manifest)
  await waitFor(`the namespace ${name} of before is gone`, async () => {
    const found = await lookUp(client, type, { name })
    if (found !== undefined) return found.value.meta.isDeleting ? undefined : true
    await client.create(type, rawOfManifest(manifest))
    return true
  })
}

async function ensurePsk(client: KubeClient, settings: BrokerSettings): Promise<Uint8Array> {
  const { namespace, psk } = settings
  const where = { name: objectName.pskSecret, namespace }
  const found = (await lookUp(client, secretType, where))?.value.data['psk']
  if (found !== undefined && found.length > 0) {
    if (psk === undefined || equalBytes(psk, found)) return found
    throw new GatewayError(
      'PSK_DIFFERS',
      `the broker has a PSK, and that of the file is another one (Secret ${namespace}/${where.name})`,
      {
        hint: 'leave out --ipsec-psk-from, or delete that Secret: then every member has to join again',
      },
    )
  }
  const secret: Secret = {
    meta: newMeta(where.name, namespace, managedBy),
    type: 'Opaque',
    data: { psk: psk ?? new Uint8Array(randomBytes(pskBytes)) },
  }
  return (await client.create(secretType, secret)).value.data['psk']
}

async function ensureBook(
  client: KubeClient,
  namespace: string,
  kind: CidrBookKind,
  settings: RangeSettings,
): Promise<void> {
  const { name } = cidrBooks[kind]
  const found = await lookUp(client, configMapType, { name, namespace })
  const book: CidrBook = { ...settings, entries: [] }
  if (found === undefined) {
    const meta = newMeta(name, namespace, { ...managedBy, component: 'submariner-globalnet' })
    await client.create(configMapType, writeCidrBook(kind, book, { meta, data: {} }))
    return
  }
  const before = bookOf(kind, found.value)
  const isSame =
    before.isEnabled === settings.isEnabled &&
    before.clusterSize === settings.clusterSize &&
    shown(before.range) === shown(settings.range)
  if (isSame) return
  const owners = before.entries.map(({ clusterId }) => clusterId)
  if (owners.length > 0 && before.isEnabled) {
    throw new GatewayError(
      'RANGE_IN_USE',
      `${namespace}/${name} gives out CIDRs of ${shown(before.range)}, and ${owners.join(', ')} have some`,
      {
        hint: 'the same flags as at the first time; or take these clusters off the broker and their entries out of it',
      },
    )
  }
  const entries = before.entries
  await client.update(configMapType, found, writeCidrBook(kind, { ...book, entries }, found.value))
}

export function bookOf(kind: CidrBookKind, configMap: ConfigMap): CidrBook {
  const parsed = readCidrBook(kind, configMap)
  if (parsed.ok) return parsed.value
  const { namespace, name } = configMap.meta
  throw new GatewayError('BAD_OBJECT', parsed.problem, {
    hint: `kubectl edit configmap ${name} -n ${namespace}`,
  })
}

function shown(range: Prefix | undefined): string {
  return range === undefined ? '' : formatPrefix(range)
}

async function ensureBroker(
  client: KubeClient,
  settings: BrokerSettings,
  trust: 'enforced' | 'unenforced',
): Promise<void> {
  const { namespace, globalnet, clustersetIp } = settings
  await ensure(client, {
    apiVersion: 'submariner.io/v1alpha1',
    kind: 'Broker',
    metadata: {
      name: objectName.broker,
      namespace,
      labels: managedBy,
      annotations: { [annotation.brokerTrust]: trust },
    },
    // All of it, false too: what a former run has switched on is to be off.
    spec: {
      components: settings.components,
      defaultCustomDomains: settings.customDomains,
      globalnetEnabled: globalnet.isEnabled,
      globalnetCIDRRange: formatPrefix(globalnet.range),
      defaultGlobalnetClusterSize: globalnet.clusterSize,
      clustersetIPEnabled: clustersetIp.isEnabled,
      clustersetIPCIDRRange: formatPrefix(clustersetIp.range),
    },
  })
}

/** The Secret of an account's token, once the server has filled it. */
export async function waitForToken(
  client: KubeClient,
  namespace: string,
  name: string,
): Promise<Secret> {
  return waitFor(`the token Secret ${namespace}/${name} is filled`, async () => {
    const found = await lookUp(client, secretType, { name, namespace })
    return (found?.value.data['token']?.length ?? 0) > 0 ? found?.value : undefined
  })
}

function brokerInfoOf(settings: BrokerSettings, token: Secret, psk: Uint8Array): BrokerInfo {
  const { url, namespace, components, customDomains } = settings
  return {
    brokerUrl: url,
    token: {
      secretName: token.meta.name,
      namespace,
      token: token.data['token'],
      ca: token.data['ca.crt'] ?? new Uint8Array(0),
    },
    psk,
    components,
    customDomains,
  }
}
