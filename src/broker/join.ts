// join: makes a cluster a member, by a join file, in steps that may be run again after a failure at any
// point. It looks at everything before it writes anything; then it writes to the broker (the claim to the
// id first), then here, the settings last: with them there, the cluster counts as joined.
//
//   versions ► broker ► id ► subnets ► global CIDR ► overlaps ║ account and token on the broker ►
//   definitions, namespace, rights, Secrets ► gateway node ► Submariner
//
// Spec: spec/submariner.md 3.3, with tokens and the PSK in Secrets alone.

import { randomBytes } from 'node:crypto'
import type { BrokerInfo } from '../kube/broker-info.ts'
import type { KubeClient } from '../kube/client.ts'
import { annotation, objectName } from '../kube/names.ts'
import { namespaceType } from '../kube/resources/bare.ts'
import { type Broker, brokerType } from '../kube/resources/broker.ts'
import { newMeta } from '../kube/resources/resource.ts'
import { type Secret, secretType } from '../kube/resources/secret.ts'
import { type Submariner, submarinerType } from '../kube/resources/submariner.ts'
import { equalBytes, formatPrefix, type Prefix } from '../net/address.ts'
import { GatewayError } from '../net/errors.ts'
import { crdManifests } from './crds.ts'
import { ensureNamespace } from './deploy.ts'
import { ensure, ensureCrds, lookUp, managedBy } from './ensure.ts'
import { ensureGatewayNode, type GatewayWish } from './gateway-node.ts'
import { type JoinWishes, type MemberPlan, planMember } from './join-plan.ts'
import { componentManifests } from './member-manifests.ts'
import { checkClaim, ensureMember, rolesOf } from './membership.ts'
import type { Progress } from './progress.ts'

export interface JoinSettings extends JoinWishes {
  /** Where the broker is, as it is written down; the join file's unless it was overridden. */
  readonly brokerUrl: string
  readonly operatorNamespace: string
  readonly cable: Submariner['cable']
  readonly healthCheck: Submariner['healthCheck']
  readonly customDomains: readonly string[]
  readonly isAirGapped: boolean
  readonly isDebugging: boolean
  readonly isBrokerInsecure: boolean
  readonly gateway: GatewayWish
  /** Goes on with a version of Kubernetes that we do not know. */
  readonly ignoresRequirements: boolean
}

export interface JoinClients {
  readonly local: KubeClient
  /** With the token of the join file. */
  readonly broker: KubeClient
}

export interface Joined {
  readonly plan: MemberPlan
  readonly gatewayNodes: readonly string[]
  readonly brokerTrust: 'enforced' | 'unenforced'
}

const oldestMinor = 30

export async function join(
  info: BrokerInfo,
  settings: JoinSettings,
  { local, broker }: JoinClients,
  progress: Progress,
): Promise<Joined> {
  const { clusterId, operatorNamespace } = settings
  const { namespace } = info.token
  await progress.step('Kubernetes here', () => checkVersion(local, settings))
  const found = await progress.step(`broker at ${broker.server}`, () =>
    findBroker(broker, namespace),
  )
  const brokerTrust = await trustOf(broker, found)
  if (brokerTrust === 'unenforced') {
    progress.warn(
      'brokerTrust: unenforced. Nothing keeps a member of this broker from writing what is of another',
    )
  }
  const before = await progress.step(`cluster id ${clusterId}`, async () => {
    const submariner = await ownSubmariner(local, settings)
    const { value } = await local.get(namespaceType, { name: 'kube-system' })
    const claim = { clusterId, memberUid: value.meta.uid, isJoined: submariner !== undefined }
    await checkClaim(broker, namespace, claim)
    return { claim, submariner }
  })
  const plan = await planMember({ local, broker, namespace, found, wishes: settings, progress })
  const token = await progress.step(`account and token on the broker`, () =>
    ensureMember(broker, namespace, before.claim, plan.subnets),
  )
  // An API with roles of its own has definitions of its own too.
  const hasRoles = (await rolesOf(local, operatorNamespace)) !== 'none'
  if (hasRoles) {
    await progress.step('custom resource definitions', () => ensureCrds(local, crdManifests()))
  }
  await progress.step(`namespace ${operatorNamespace}, accounts and roles`, async () => {
    await ensureNamespace(local, operatorNamespace)
    for (const manifest of componentManifests(operatorNamespace, hasRoles)) {
      await ensure(local, manifest)
    }
  })
  await progress.step('Secrets: broker, PSK, key of the cables', () =>
    ensureSecrets(local, info, settings, token),
  )
  const { nodes } = await progress.step('gateway node', () =>
    ensureGatewayNode(local, settings.gateway),
  )
  if (nodes.length === 0) progress.warn('no node has the label submariner.io/gateway=true')
  else progress.note(`gateway nodes: ${nodes.join(', ')}`)
  await progress.step(`Submariner ${operatorNamespace}/${objectName.submariner}`, () =>
    ensureSubmariner(local, info, settings, plan, brokerTrust),
  )
  return { plan, gatewayNodes: nodes, brokerTrust }
}

async function checkVersion(local: KubeClient, settings: JoinSettings): Promise<void> {
  const { major, minor } = await local.version()
  if (major > 1 || minor >= oldestMinor || settings.ignoresRequirements) return
  throw new GatewayError(
    'OLD_KUBERNETES',
    `${local.server} is Kubernetes ${major}.${minor}; 1.${oldestMinor} is the oldest that is supported`,
    { hint: 'upgrade it, or --ignore-requirements' },
  )
}

async function findBroker(broker: KubeClient, namespace: string) {
  const where = { name: objectName.broker, namespace }
  const found = await lookUp(broker, brokerType, where)
  if (found !== undefined) return found.value
  throw new GatewayError(
    'NO_BROKER',
    `there is no Broker ${namespace}/${where.name} at ${broker.server}`,
    { hint: 'hawser deploy-broker on that cluster, and join with the file that it writes' },
  )
}

/** An API with fixed roles has the rule built in; elsewhere deploy-broker says whether it installed it. */
async function trustOf(broker: KubeClient, { meta }: Broker): Promise<Joined['brokerTrust']> {
  if (meta.annotations[annotation.brokerTrust] === 'enforced') return 'enforced'
  return (await rolesOf(broker, meta.namespace)) === 'none' ? 'enforced' : 'unenforced'
}

/** The settings of a former run. Throws OTHER_ID when the cluster is a member under another name. */
async function ownSubmariner(
  local: KubeClient,
  { clusterId, operatorNamespace }: JoinSettings,
): Promise<Submariner | undefined> {
  const where = { name: objectName.submariner, namespace: operatorNamespace }
  const found = await lookUp(local, submarinerType, where).catch((error: unknown) => {
    // Before the definitions are there, there is no such kind.
    if (error instanceof GatewayError && error.code === 'NO_SUCH_KIND') return undefined
    throw error
  })
  if (found === undefined || found.value.clusterId === clusterId) return found?.value
  throw new GatewayError(
    'OTHER_ID',
    `this cluster has joined as ${found.value.clusterId} (Submariner ${where.namespace}/${where.name})`,
    { hint: `--clusterid ${found.value.clusterId}, or hawser leave first` },
  )
}

async function ensureSecrets(
  local: KubeClient,
  info: BrokerInfo,
  { operatorNamespace, clusterId, brokerUrl }: JoinSettings,
  token: Secret,
): Promise<void> {
  const named = (name: string, data: Secret['data']): Secret => ({
    meta: newMeta(name, operatorNamespace, managedBy),
    type: 'Opaque',
    data,
  })
  const { namespace, ca } = info.token
  const broker = named(objectName.brokerSecret, {
    token: token.data['token'],
    // Of the join file: the token's own may be that of another door to the same server.
    'ca.crt': ca.length > 0 ? ca : (token.data['ca.crt'] ?? ca),
    namespace: new TextEncoder().encode(namespace),
  })
  const annotations = { [annotation.joinedAs]: clusterId, [annotation.joinedAt]: brokerUrl }
  await ensureSecret(local, { ...broker, meta: { ...broker.meta, annotations } })
  if (info.psk !== undefined) {
    await ensureSecret(local, named(objectName.pskSecret, { psk: info.psk }))
  }
  const where = { name: objectName.wireguardSecret, namespace: operatorNamespace }
  // Made once: the remotes know the cluster by it.
  if ((await lookUp(local, secretType, where)) === undefined) {
    await local.create(secretType, named(where.name, { 'private-key': newPrivateKey() }))
  }
}

async function ensureSecret(local: KubeClient, secret: Secret): Promise<void> {
  const found = await lookUp(local, secretType, secret.meta)
  if (found === undefined) {
    await local.create(secretType, secret)
    return
  }
  const { data, meta } = found.value
  const isSame =
    Object.entries(secret.data).every(([key, bytes]) => equalBytes(data[key] ?? empty, bytes)) &&
    Object.entries(secret.meta.annotations).every(([key, text]) => meta.annotations[key] === text)
  if (!isSame) await local.update(secretType, found, secret)
}

const empty = new Uint8Array(0)

/** As `wg genkey` makes one (RFC 7748, 5). */
function newPrivateKey(): Uint8Array {
  const key = new Uint8Array(randomBytes(32))
  key[0] &= 248
  key[31] = (key[31] & 127) | 64
  return key
}

async function ensureSubmariner(
  local: KubeClient,
  info: BrokerInfo,
  settings: JoinSettings,
  plan: MemberPlan,
  brokerTrust: string,
): Promise<void> {
  const wanted = submarinerOf(info, settings, plan)
  const annotations = { [annotation.brokerTrust]: brokerTrust }
  const found = await lookUp(local, submarinerType, wanted.meta)
  const meta = { ...(found?.value.meta ?? wanted.meta), annotations }
  if (found === undefined) {
    await local.create(submarinerType, { ...wanted, meta: { ...wanted.meta, annotations } })
  } else {
    await local.update(submarinerType, found, { ...wanted, meta, status: found.value.status })
  }
}

function submarinerOf(info: BrokerInfo, settings: JoinSettings, plan: MemberPlan): Submariner {
  const { operatorNamespace } = settings
  return {
    meta: newMeta(objectName.submariner, operatorNamespace, managedBy),
    clusterId: settings.clusterId,
    componentNamespace: operatorNamespace,
    broker: {
      apiServer: settings.brokerUrl.replace(/^https?:\/\//, ''),
      namespace: info.token.namespace,
      secretName: objectName.brokerSecret,
      token: '',
      ca: '',
      isInsecure: settings.isBrokerInsecure,
    },
    clusterCidrs: plan.clusterCidrs,
    serviceCidrs: plan.serviceCidrs,
    globalCidrs: plan.globalCidrs,
    cable: {
      ...settings.cable,
      psk: undefined,
      pskSecretName: info.psk === undefined ? '' : objectName.pskSecret,
    },
    discovery: {
      isEnabled: info.components.includes('service-discovery'),
      isClustersetIpEnabled: plan.clustersetIpCidr !== undefined,
      clustersetIpCidr: plan.clustersetIpCidr,
      customDomains: settings.customDomains,
    },
    healthCheck: settings.healthCheck,
    isAirGapped: settings.isAirGapped,
    isDebugging: settings.isDebugging,
    wantsHaltOnCertificateError: false,
    colorCodes: [],
    repository: '',
    version: '',
    status: undefined,
  }
}

export function cidrLine(cidrs: readonly Prefix[]): string {
  return cidrs.map(formatPrefix).join(', ')
}
