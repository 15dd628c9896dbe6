// The kinds that the control plane knows, one after the other; each has a file of its own.

import type { Resource, ResourceType } from '../resource-type.ts'
import { namespaceType, serviceAccountType } from './bare.ts'
import { brokerType } from './broker.ts'
import { clusterType } from './cluster.ts'
import { configMapType } from './config-map.ts'
import { endpointType } from './endpoint.ts'
import { gatewayType } from './gateway.ts'
import { nodeType } from './node.ts'
import { podType } from './pod.ts'
import { routeAgentType } from './route-agent.ts'
import { secretType } from './secret.ts'
import { serviceCidrType } from './service-cidr.ts'
import { submarinerType } from './submariner.ts'

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
