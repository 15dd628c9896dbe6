// What the API of a lab's cluster holds from its start: the usual namespaces, the service CIDRs as an object
// that discovery reads, and two accounts: the lab's own, and one for the programs of the cluster.

import { objectName } from '../kube/names.ts'
import { formatPrefix, type Prefix } from '../net/address.ts'
import { roleAnnotation } from './accounts.ts'
import type { Api } from './api.ts'
import { ensureAccount } from './running.ts'

export interface LabTokens {
  readonly admin: string
  /** Role `component`: what gateways and agents run with. */
  readonly component: string
}

export const labAccounts = {
  namespace: 'kube-system',
  admin: 'lab-admin',
  component: 'lab-component',
}

export function setUpLab(api: Api, serviceCidrs: readonly Prefix[]): LabTokens {
  const names = ['default', 'kube-system', 'kube-public', objectName.operatorNamespace]
  for (const name of names) {
    api.ensure('namespaces', '', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  }
  if (serviceCidrs.length > 0) {
    api.ensure('servicecidrs.networking.k8s.io', '', {
      ...{ apiVersion: 'networking.k8s.io/v1', kind: 'ServiceCIDR' },
      metadata: { name: 'kubernetes' },
      spec: { cidrs: serviceCidrs.map(formatPrefix) },
    })
  }
  const { namespace, admin, component } = labAccounts
  return {
    admin: ensureAccount(api, namespace, admin, { [roleAnnotation]: 'admin' }),
    component: ensureAccount(api, namespace, component, { [roleAnnotation]: 'component' }),
  }
}
