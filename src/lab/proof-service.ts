// Proof that a Service of another cluster is reached by its ClusterIP, in both families: routes between
// clusters cover Services, and the cluster that the Service is in sends the request to one of its pods,
// which sees the address of the pod that asked.

import { clusterIpsOf } from './api.ts'
import type { Lab } from './lab.ts'
import { pageNamespace, pageService } from './objects.ts'
import type { Outcome, Proof } from './proof.ts'
import { fetchPages, type Place, placeName, unreached, urlsOf } from './proof-reach.ts'
import { podsOf } from './topology.ts'

export function proveService(lab: Lab): Proof {
  const [east, west] = lab.plan.clusterPlans
  const from: Place = { cluster: east, pod: east.podB }
  const service = `${west.name}/${pageNamespace}/${pageService}`
  return {
    title: `page ${placeName(from)} → service ${service}`,
    prove: () => servicePage(lab, from),
  }
}

async function servicePage(lab: Lab, from: Place): Promise<Outcome> {
  const [, west] = lab.plan.clusterPlans
  const addresses = await clusterIpsOf(lab, west, pageNamespace, pageService)
  if (addresses.length !== 2)
    return unreached(lab, from, `the Service has the addresses "${addresses.join(' ')}", not two`)
  const answerers = podsOf(west).map(pod => ({ cluster: west, pod }))
  const answered = await fetchPages(lab, from, urlsOf(addresses), answerers)
  if ('holds' in answered) return answered
  const figures = addresses.map((address, i) => `${address} is ${placeName(answered[i])}`)
  return { holds: true, figures: figures.join(', ') }
}
