// The subnets of a cluster that joins: found or given, its global CIDR by the broker's book, and whether
// any of it meets what another member has. Nothing is written here but the book, and that last.

import type { KubeClient } from '../kube/client.ts'
import type { Broker } from '../kube/resources/broker.ts'
import { type CidrBookKind, cidrBooks, writeCidrBook } from '../kube/resources/cidr-book.ts'
import { configMapType } from '../kube/resources/config-map.ts'
import { formatPrefix, type Prefix } from '../net/address.ts'
import { GatewayError } from '../net/errors.ts'
import { overlaps } from '../net/prefix.ts'
import {
  type Allocation,
  allocateCidr,
  defaultClustersetIpSize,
  defaultGlobalnetSize,
} from './cidr-allocation.ts'
import { bookOf } from './deploy.ts'
import { type Found, findPodCidrs, findServiceCidrs, nodesSource } from './discovery.ts'
import { lookUp } from './ensure.ts'
import { otherOwners } from './membership.ts'
import { overlapsBetween } from './overlap.ts'
import type { Progress } from './progress.ts'

export interface JoinWishes {
  readonly clusterId: string
  /** Empty: to be found out. */
  readonly clusterCidrs: readonly Prefix[]
  readonly serviceCidrs: readonly Prefix[]
  /** Whether it takes part when the broker has Globalnet. */
  readonly wantsGlobalnet: boolean
  readonly globalCidr: Prefix | undefined
  readonly globalnetSize: number | undefined
  /** Undefined: what the broker says. */
  readonly wantsClustersetIp: boolean | undefined
  readonly clustersetIpCidr: Prefix | undefined
}

export interface MemberPlan {
  readonly clusterCidrs: readonly Prefix[]
  readonly serviceCidrs: readonly Prefix[]
  readonly globalCidrs: readonly Prefix[]
  readonly clustersetIpCidr: Prefix | undefined
  /** What the others route to it. */
  readonly subnets: readonly Prefix[]
}

export interface PlanInput {
  readonly local: KubeClient
  readonly broker: KubeClient
  /** On the broker. */
  readonly namespace: string
  readonly found: Broker
  readonly wishes: JoinWishes
  readonly progress: Progress
}

export async function planMember(input: PlanInput): Promise<MemberPlan> {
  const { local, wishes, progress } = input
  const services = await progress.step('Service CIDRs', async () =>
    known('Service', '--servicecidr', wishes.serviceCidrs, () => findServiceCidrs(local)),
  )
  const pods = await progress.step('pod CIDRs', async () =>
    known('pod', '--clustercidr', wishes.clusterCidrs, () => findPodCidrs(local)),
  )
  progress.note(`Services: ${line(services)}; pods: ${line(pods)}`)
  if (pods.source === nodesSource) {
    progress.warn(
      'pod CIDRs are those of the nodes of today: give --clustercidr if nodes will come',
    )
  }
  const own = [...services.cidrs, ...pods.cidrs]
  const within = overlapsBetween({ clusterId: `${wishes.clusterId} (pods)`, cidrs: pods.cidrs }, [
    { clusterId: `${wishes.clusterId} (Services)`, cidrs: services.cidrs },
  ])
  if (within.length > 0) throw overlapping(within, 'give --clustercidr and --servicecidr')
  const globalCidrs = await globalCidrOf(input, own)
  const subnets = globalCidrs.length > 0 ? globalCidrs : own
  await progress.step('no overlap with other members', () => checkOverlaps(input, subnets))
  const clustersetIpCidr = await clustersetIpOf(input)
  return {
    clusterCidrs: pods.cidrs,
    serviceCidrs: services.cidrs,
    globalCidrs,
    clustersetIpCidr,
    subnets,
  }
}

async function known(
  what: string,
  flag: string,
  given: readonly Prefix[],
  find: () => Promise<Found>,
): Promise<Found> {
  if (given.length > 0) return { cidrs: given, source: flag }
  const found = await find()
  if (found.cidrs.length > 0) return found
  throw new GatewayError('NO_CIDR', `the ${what} CIDRs of this cluster cannot be found out`, {
    hint: `${flag} CIDR[,CIDR]`,
  })
}

function line({ cidrs, source }: Found): string {
  return `${cidrs.map(formatPrefix).join(', ')} (${source})`
}

async function globalCidrOf(
  { broker, namespace, found, wishes, progress }: PlanInput,
  own: readonly Prefix[],
): Promise<readonly Prefix[]> {
  const { globalCidr } = wishes
  if (!found.isGlobalnetEnabled) {
    if (globalCidr === undefined) return []
    throw new GatewayError('NO_GLOBALNET', 'this broker has no Globalnet', {
      hint: 'leave out --globalnet-cidr, or hawser deploy-broker --globalnet',
    })
  }
  if (!wishes.wantsGlobalnet) return []
  const cidrs = await progress.step('global CIDR', () =>
    allocate(broker, namespace, 'globalnet', book =>
      allocateCidr(
        book,
        { clusterId: wishes.clusterId, size: wishes.globalnetSize, cidr: globalCidr },
        defaultGlobalnetSize,
      ),
    ),
  )
  const clash = cidrs.find(cidr => own.some(each => overlaps(each, cidr)))
  if (clash !== undefined) {
    throw new GatewayError(
      'CIDR_OVERLAP',
      `the global CIDR ${formatPrefix(clash)} meets a pod or Service CIDR of this cluster`,
      { hint: 'another one by --globalnet-cidr' },
    )
  }
  progress.note(`global CIDR: ${cidrs.map(formatPrefix).join(', ')}`)
  return cidrs
}

async function clustersetIpOf(input: PlanInput): Promise<Prefix | undefined> {
  const { broker, namespace, found, wishes, progress } = input
  const wants = wishes.wantsClustersetIp ?? found.isClustersetIpEnabled
  if (!wants && wishes.clustersetIpCidr === undefined) return undefined
  const wish = { clusterId: wishes.clusterId, size: undefined, cidr: wishes.clustersetIpCidr }
  const [cidr] = await progress.step('CIDR of clusterset IPs', () =>
    allocate(broker, namespace, 'clustersetIp', book =>
      allocateCidr(book, wish, defaultClustersetIpSize),
    ),
  )
  return cidr
}

/** Writes the book when the cluster was not in it; again when another cluster was faster. */
async function allocate(
  broker: KubeClient,
  namespace: string,
  kind: CidrBookKind,
  decide: (book: Allocation['book']) => Allocation,
): Promise<readonly Prefix[]> {
  const where = { name: cidrBooks[kind].name, namespace }
  if ((await lookUp(broker, configMapType, where)) === undefined) {
    throw new GatewayError('NO_BROKER', `the broker has no ConfigMap ${namespace}/${where.name}`, {
      hint: 'hawser deploy-broker again, which makes it',
    })
  }
  let cidrs: readonly Prefix[] = []
  await broker.change(configMapType, where, configMap => {
    const before = bookOf(kind, configMap)
    const { cidrs: given, book } = decide(before)
    cidrs = given
    return book === before ? undefined : writeCidrBook(kind, book, configMap)
  })
  return cidrs
}

async function checkOverlaps(
  { broker, namespace, wishes }: PlanInput,
  subnets: readonly Prefix[],
): Promise<void> {
  const others = await otherOwners(broker, namespace, wishes.clusterId)
  const found = overlapsBetween({ clusterId: wishes.clusterId, cidrs: subnets }, others)
  if (found.length === 0) return
  throw overlapping(
    found,
    'a broker with --globalnet, which gives each cluster a CIDR of its own; or other CIDRs',
  )
}

function overlapping(found: readonly string[], hint: string): GatewayError {
  const shown = found.slice(0, 3).join('; ')
  const more = found.length > 3 ? `; and ${found.length - 3} more` : ''
  return new GatewayError('CIDR_OVERLAP', `${shown}${more}`, { hint })
}
