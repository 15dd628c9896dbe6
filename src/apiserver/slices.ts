// EndpointSlices of the lab's Services, as the endpointslice controller of a cluster makes them: for each
// family of a Service with a selector one slice, with the Pods that match it. Ready is what the Pod says;
// a Pod without an address is left out. More than a hundred Pods of a Service are no matter of a lab.

import {
  type Body,
  isDeleting,
  listAt,
  nameOf,
  namespaceOf,
  recordAt,
  textAt,
  uidOf,
} from './body.ts'
import { hasCondition } from './columns.ts'

export const sliceManager = 'endpointslice-controller.k8s.io'

/** By name: the slices that the Service should have. */
export function slicesOf(service: Body, pods: readonly Body[]): Map<string, Body> {
  const spec = recordAt(service, 'spec')
  const selector = Object.entries(recordAt(spec, 'selector'))
  const slices = new Map<string, Body>()
  if (selector.length === 0 || isDeleting(service)) return slices
  const chosen = pods.filter(pod =>
    selector.every(([key, value]) => recordAt(pod, 'metadata', 'labels')[key] === value),
  )
  for (const family of listAt(spec, 'ipFamilies').map(String)) {
    const name = `${nameOf(service)}-${family.toLowerCase()}`
    const endpoints = chosen.flatMap(pod => endpointOf(service, pod, family))
    slices.set(name, sliceOf(service, name, family, endpoints, portsOf(service, chosen)))
  }
  return slices
}

function sliceOf(
  service: Body,
  name: string,
  family: string,
  endpoints: readonly Body[],
  ports: readonly Body[],
): Body {
  const isHeadless = textAt(service, 'spec', 'clusterIP') === 'None'
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name,
      namespace: namespaceOf(service),
      labels: {
        ...recordAt(service, 'metadata', 'labels'),
        'endpointslice.kubernetes.io/managed-by': sliceManager,
        'kubernetes.io/service-name': nameOf(service),
        ...(isHeadless ? { 'service.kubernetes.io/headless': '' } : {}),
      },
      ownerReferences: [
        {
          ...{ apiVersion: 'v1', kind: 'Service', name: nameOf(service), uid: uidOf(service) },
          ...{ controller: true, blockOwnerDeletion: true },
        },
      ],
    },
    addressType: family,
    endpoints,
    ports,
  }
}

function endpointOf(service: Body, pod: Body, family: string): Body[] {
  const isWanted = (ip: string) => ip !== '' && ip.includes(':') === (family === 'IPv6')
  const all = listAt(pod, 'status', 'podIPs').map(entry => textAt(entry, 'ip'))
  const ip = [...all, textAt(pod, 'status', 'podIP')].find(isWanted)
  const phase = textAt(pod, 'status', 'phase')
  if (ip === undefined || phase === 'Succeeded' || phase === 'Failed') return []
  const isReady = hasCondition(pod, 'Ready')
  const isPublished = recordAt(service, 'spec')['publishNotReadyAddresses'] === true
  const terminating = isDeleting(pod)
  const [nodeName, hostname] = [textAt(pod, 'spec', 'nodeName'), textAt(pod, 'spec', 'hostname')]
  const isNamed = textAt(pod, 'spec', 'subdomain') === nameOf(service) && hostname !== ''
  return [
    {
      addresses: [ip],
      conditions: {
        ready: isPublished || (isReady && !terminating),
        serving: isReady || isPublished,
        terminating,
      },
      ...(isNamed ? { hostname } : {}),
      ...(nodeName === '' ? {} : { nodeName }),
      targetRef: { kind: 'Pod', namespace: namespaceOf(pod), name: nameOf(pod), uid: uidOf(pod) },
    },
  ]
}

/** A port that is named is looked up in the Pods. */
function portsOf(service: Body, pods: readonly Body[]): Body[] {
  return listAt(service, 'spec', 'ports').flatMap(port => {
    const { name = '', protocol = 'TCP', port: number, targetPort = number } = recordAt(port)
    const target = typeof targetPort === 'string' ? numberOf(pods, targetPort) : targetPort
    const { appProtocol } = recordAt(port)
    return target === undefined
      ? []
      : [{ name, protocol, port: target, ...(appProtocol === undefined ? {} : { appProtocol }) }]
  })
}

function numberOf(pods: readonly Body[], name: string): unknown {
  const ports = pods
    .flatMap(pod => listAt(pod, 'spec', 'containers'))
    .flatMap(container => listAt(container, 'ports'))
  return recordAt(ports.find(port => textAt(port, 'name') === name))['containerPort']
}
