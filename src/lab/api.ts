// Asks the APIs of a lab as kubectl would, from where they can be reached: the space of the gateway that
// one runs on, or that of the broker. curl does it, because a network namespace is entered by a program
// and not by a part of one; the token goes to it by standard input and is never seen in `ps`.

import { isRecord, parseJson } from '../kube/errors.ts'
import { objectName } from '../kube/names.ts'
import { parseObject } from '../kube/objects.ts'
import type { Resource, ResourceType } from '../kube/resource-type.ts'
import { type Endpoint, endpointType } from '../kube/resources/endpoint.ts'
import { GatewayError } from '../net/errors.ts'
import { accessFiles, readAccess } from './access.ts'
import type { Lab } from './lab.ts'
import { lastWords } from './process.ts'
import { isAlive, runIn } from './sandbox.ts'
import { mustFindLab } from './state.ts'
import { brokerSpace, type ClusterPlan } from './topology.ts'

/** Columns and rows, as `kubectl get` prints them. */
export interface ApiTable {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

const operatorObjects = `/apis/submariner.io/v1/namespaces/${objectName.operatorNamespace}`

/** Hawser's objects of a kind that parse. Throws GatewayError when the API does not answer. */
export async function objectsOf<T extends Resource>(
  lab: Lab,
  cluster: ClusterPlan,
  type: ResourceType<T>,
): Promise<readonly T[]> {
  const path = `${operatorObjects}/${type.plural}`
  return parsedItems(type, await askApi(lab, cluster, path, 'application/json'))
}

function parsedItems<T extends Resource>(type: ResourceType<T>, list: unknown): readonly T[] {
  const items = isRecord(list) && Array.isArray(list['items']) ? (list['items'] as unknown[]) : []
  return items.flatMap(item => {
    const parsed = parseObject(type, item)
    return parsed.ok ? [parsed.value] : []
  })
}

/** Hawser's objects of a kind, as `kubectl get PLURAL -n submariner-operator` shows them. */
export async function tableOf(lab: Lab, cluster: ClusterPlan, plural: string): Promise<ApiTable> {
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io'
  const table = await askApi(lab, cluster, `${operatorObjects}/${plural}`, accept)
  if (!isRecord(table) || table['kind'] !== 'Table') throw notAsked(cluster, plural, 'no Table')
  const columns = recordsOf(table['columnDefinitions'])
  // kubectl shows those of a higher priority with `-o wide` alone.
  const shown = columns.flatMap((column, index) => (column['priority'] === 0 ? [index] : []))
  return {
    columns: shown.map(index => String(columns[index]['name']).toUpperCase()),
    rows: recordsOf(table['rows']).map(({ cells }) => {
      const values = Array.isArray(cells) ? (cells as unknown[]) : []
      return shown.map(index => String(values[index] ?? ''))
    }),
  }
}

/** The addresses that the cluster gave to a Service, IPv4 first. */
export async function clusterIpsOf(
  lab: Lab,
  cluster: ClusterPlan,
  namespace: string,
  service: string,
): Promise<readonly string[]> {
  const path = `/api/v1/namespaces/${namespace}/services/${service}`
  const object = await askApi(lab, cluster, path, 'application/json')
  const spec = isRecord(object) && isRecord(object['spec']) ? object['spec'] : {}
  const ips = Array.isArray(spec['clusterIPs']) ? (spec['clusterIPs'] as unknown[]) : []
  return ips.filter(ip => typeof ip === 'string').sort((a, b) => a.length - b.length)
}

/** The Endpoints that the broker has. Throws GatewayError when it does not answer. */
export async function endpointsOfBroker(lab: Lab): Promise<readonly Endpoint[]> {
  const path = `/apis/submariner.io/v1/namespaces/${objectName.brokerNamespace}/endpoints`
  const server = { name: 'the broker', space: brokerSpace }
  return parsedItems(endpointType, await ask(lab, server, path, 'application/json'))
}

function askApi(lab: Lab, cluster: ClusterPlan, path: string, accept: string): Promise<unknown> {
  return ask(lab, { name: cluster.name, space: cluster.gateway.space }, path, accept)
}

/** An API server by a name for messages, and the space where it and access to it are. */
interface Server {
  readonly name: string
  readonly space: string
}

async function ask(lab: Lab, server: Server, path: string, accept: string): Promise<unknown> {
  const { space } = server
  if (!isAlive(lab.sandbox)) mustFindLab(lab.plan.name)
  const { server: url, token } = readAccess(lab.sandbox, space)
  const settings = [
    ['url', `${url}${path}`],
    ['header', `Authorization: Bearer ${token}`],
    ['header', `Accept: ${accept}`],
    ['cacert', accessFiles.ca],
  ]
  const input = settings.map(([name, value]) => `${name} = "${value}"\n`).join('')
  const curl = ['curl', '-sS', '--fail-with-body', '-m', '10', '-K', '-']
  const result = await runIn(lab.sandbox, space, curl, { input })
  if (result.code !== 0) throw notAsked(server, path, lastWords(result))
  return parseJson(result.stdout)
}

function notAsked({ name }: { name: string }, what: string, why: string): GatewayError {
  return new GatewayError('EFAILED', `the API of ${name} does not give ${what}: ${why}`)
}

function recordsOf(value: unknown): readonly Record<string, unknown>[] {
  return Array.isArray(value) ? (value as unknown[]).filter(isRecord) : []
}
