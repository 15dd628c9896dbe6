// Proofs by the objects: the tables of connections and endpoints as `hawser show` prints them, and what
// `kubectl get` would show of Hawser's objects, asked of the API as kubectl asks.

import { accessFiles } from './access.ts'
import { type ApiTable, tableOf } from './api.ts'
import { brokenConnections } from './connections.ts'
import { hawser } from './daemons.ts'
import { labCommandLine } from './hints.ts'
import type { Lab } from './lab.ts'
import { errorIn } from './process.ts'
import type { Outcome, Proof } from './proof.ts'
import { runIn } from './sandbox.ts'
import type { ClusterPlan } from './topology.ts'

export function proveObjects(lab: Lab): readonly Proof[] {
  const [east] = lab.plan.clusterPlans
  return [
    { title: `connections of ${east.name}`, prove: () => connections(lab) },
    { title: `endpoints of ${east.name}`, prove: () => endpoints(lab) },
    { title: `kubectl get on ${east.name}`, prove: () => kubectlGet(lab) },
  ]
}

async function connections(lab: Lab): Promise<Outcome> {
  const [east] = lab.plan.clusterPlans
  const [broken] = await brokenConnections(lab)
  if (broken !== undefined) return { holds: false, reason: broken, hint: showHint(lab, east) }
  const others = lab.plan.clusterPlans.slice(1).map(({ name }) => name)
  return shown(lab, east, 'connections', others)
}

async function endpoints(lab: Lab): Promise<Outcome> {
  const [east] = lab.plan.clusterPlans
  const all = lab.plan.clusterPlans.map(({ name }) => name)
  return shown(lab, east, 'endpoints', all)
}

/** What `hawser show` prints; it must have a line for each of these clusters. */
async function shown(
  lab: Lab,
  cluster: ClusterPlan,
  what: 'connections' | 'endpoints',
  clusters: readonly string[],
): Promise<Outcome> {
  const command = [hawser, 'show', what, '--kubeconfig', accessFiles.kubeconfig]
  const { stdout, ...result } = await runIn(lab.sandbox, cluster.gateway.space, command)
  const lines = stdout.trimEnd().split('\n')
  const missing = clusters.filter(name => !lines.some(line => line.split(/\s+/).includes(name)))
  const reason =
    result.code !== 0
      ? errorIn(result.stderr).error
      : missing.length > 0
        ? `hawser show ${what} does not name ${missing.join(', ')}`
        : undefined
  if (reason !== undefined) return { holds: false, reason, hint: showHint(lab, cluster) }
  return {
    holds: true,
    figures: `${clusters.length} as \`hawser show ${what}\` has them`,
    view: stdout,
  }
}

async function kubectlGet(lab: Lab): Promise<Outcome> {
  const [east] = lab.plan.clusterPlans
  const wanted = {
    endpoints: lab.plan.clusterPlans.length,
    gateways: 1,
    clusters: lab.plan.clusterPlans.length,
  }
  const views: string[] = []
  const figures: string[] = []
  for (const [plural, count] of Object.entries(wanted)) {
    const table = await tableOf(lab, east, plural)
    if (table.rows.length !== count)
      return {
        holds: false,
        reason: `${plural}.submariner.io: ${table.rows.length} objects, not ${count}`,
        hint: labCommandLine(lab.plan, 'exec', `${east.name}/gateway -- bin/hawser show gateways`),
      }
    figures.push(`${count} ${plural}`)
    views.push(formatted(table))
  }
  return { holds: true, figures: figures.join(', '), view: views.join('\n') }
}

/** As kubectl prints it. */
function formatted({ columns, rows }: ApiTable): string {
  const lines = [columns, ...rows]
  const widths = columns.map((_, i) => Math.max(...lines.map(line => line[i].length)))
  return lines
    .map(
      line =>
        `${line
          .map((cell, i) => cell.padEnd(widths[i]))
          .join('   ')
          .trimEnd()}\n`,
    )
    .join('')
}

function showHint(lab: Lab, cluster: ClusterPlan): string {
  return labCommandLine(lab.plan, 'exec', `${cluster.name}/gateway -- bin/hawser show connections`)
}
