// Kinds of which we need no more than that they are there: v1 Namespace and ServiceAccount.

import type { Resource, ResourcePlace, ResourceType } from '../resource-type.ts'
import { parseResource, writeResource } from './resource.ts'

export const namespaceType = bareType({
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
})

export const serviceAccountType = bareType({
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
})

function bareType(place: ResourcePlace): ResourceType<Resource> {
  return {
    ...place,
    parse: raw => parseResource(place, raw, (_, meta) => ({ meta })),
    serialize: ({ meta }, base) => writeResource(place, meta, {}, base),
  }
}
