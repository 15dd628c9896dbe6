// The kinds that the control plane knows, one after the other; each has a file of its own.

import type { Resource, ResourceType } from '../../src/kube/resource-type.ts'
import { namespaceType, serviceAccountType } from '../../src/kube/resources/bare.ts'
import { brokerType } from '../../src/kube/resources/broker.ts'
import { clusterType } from '../../src/kube/resources/cluster.ts'
import { configMapType } from '../../src/kube/resources/config-map.ts'
import { endpointType } from '../../src/kube/resources/endpoint.ts'
import { gatewayType } from '../../src/kube/resources/gateway.ts'
import { nodeType } from '../../src/kube/resources/node.ts'
import { podType } from '../../src/kube/resources/pod.ts'
import { routeAgentType } from '../../src/kube/resources/route-agent.ts'
import { secretType } from '../../src/kube/resources/secret.ts'
import { serviceCidrType } from '../../src/kube/resources/service-cidr.ts'
import { submarinerType } from '../../src/kube/resources/submariner.ts'

export const resourceTypes: readonly ResourceType<Resource>[] = [
  clusterType,
  endpointType,
  gatewayType,
  routeAgentType,
  brokerType,
  submarinerType,
  namespaceType,
  nodeType,
  podType,
  configMapType,
  secretType,
  serviceAccountType,
  serviceCidrType,
]
