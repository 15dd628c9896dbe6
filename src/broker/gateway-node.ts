// Which nodes become gateways: those with the label; when there is none, join gives it to one, and leave
// takes it from that one again. An annotation beside the label says who set it: a person's label is
// never touched.

import type { KubeClient } from '../kube/client.ts'
import { annotation, label } from '../kube/names.ts'
import { isGatewayCandidate, type Node, nodeType } from '../kube/resources/node.ts'
import { GatewayError } from '../net/errors.ts'

export type GatewayWish =
  | { readonly kind: 'none' }
  | { readonly kind: 'node'; readonly name: string }
  /** Asks when there is a choice and somebody to ask. */
  | { readonly kind: 'choose'; readonly ask?: (names: readonly string[]) => Promise<string> }

/** Returns the gateway nodes as they are then, and which of them got the label now. */
export async function ensureGatewayNode(
  client: KubeClient,
  wish: GatewayWish,
): Promise<{ readonly nodes: readonly string[]; readonly labelled: string | undefined }> {
  const { items } = await client.list(nodeType)
  const nodes = items.filter(isGatewayCandidate).map(nameOf)
  if (wish.kind === 'none' || (wish.kind === 'choose' && nodes.length > 0)) {
    return { nodes, labelled: undefined }
  }
  const name = wish.kind === 'node' ? wish.name : await choose(items, wish.ask)
  if (name === undefined || nodes.includes(name)) return { nodes, labelled: undefined }
  if (!items.some(node => nameOf(node) === name)) throw noSuchNode(name, items)
  await client.patch(
    nodeType,
    { name },
    {
      metadata: {
        labels: { [label.gatewayNode]: 'true' },
        annotations: { [annotation.labelledByJoin]: 'true' },
      },
    },
  )
  return { nodes: [...nodes, name], labelled: name }
}

/** Takes the label from the nodes that got it from us. Returns their names. */
export async function unlabelGatewayNodes(client: KubeClient): Promise<readonly string[]> {
  const { items } = await client.list(nodeType)
  const ours = items.filter(({ meta }) => annotation.labelledByJoin in meta.annotations)
  for (const node of ours) {
    await client.patch(
      nodeType,
      { name: nameOf(node) },
      {
        metadata: {
          labels: { [label.gatewayNode]: null },
          annotations: { [annotation.labelledByJoin]: null },
        },
      },
    )
  }
  return ours.map(nameOf)
}

/** Ready ones first, and those without a control plane. */
async function choose(
  nodes: readonly Node[],
  ask: ((names: readonly string[]) => Promise<string>) | undefined,
): Promise<string | undefined> {
  const rank = (node: Node) => Number(isControlPlane(node)) + 2 * Number(!node.isReady)
  const names = [...nodes]
    .sort((a, b) => rank(a) - rank(b) || (nameOf(a) < nameOf(b) ? -1 : 1))
    .map(nameOf)
  return ask === undefined || names.length < 2 ? names[0] : ask(names)
}

function isControlPlane({ meta }: Node): boolean {
  return ['control-plane', 'master'].some(role => `node-role.kubernetes.io/${role}` in meta.labels)
}

function nameOf({ meta }: Node): string {
  return meta.name
}

function noSuchNode(name: string, nodes: readonly Node[]): GatewayError {
  const names = nodes.slice(0, 20).map(nameOf)
  return new GatewayError('ENOENT', `there is no node ${JSON.stringify(name)}`, {
    hint: names.length === 0 ? 'kubectl get nodes' : `one of ${names.join(', ')}`,
  })
}
