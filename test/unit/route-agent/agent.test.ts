// The loop: when it acts and when it keeps still, what it says, and that nothing ends it.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { endpointType } from '../../../src/kube/resources/endpoint.ts'
import { nodeType } from '../../../src/kube/resources/node.ts'
import type { RouteAgent } from '../../../src/kube/resources/route-agent.ts'
import { Signal } from '../../../src/kube/signal.ts'
import { Store } from '../../../src/kube/store.ts'
import type { WatchStatus } from '../../../src/kube/watch-state.ts'
import { systemClock } from '../../../src/net/clock.ts'
import { GatewayError } from '../../../src/net/errors.ts'
import { Agent } from '../../../src/route-agent/agent.ts'
import type { NodePlan } from '../../../src/route-agent/plan.ts'
import { c2, interfacesOf, localEndpoint, settings } from '../../support/agent-world.ts'
import { eventually } from '../../support/eventually.ts'

function start(context: TestContext) {
  const changed = new Signal()
  const faults = { apply: '', save: '', watch: '' }
  const status = (): WatchStatus =>
    faults.watch === ''
      ? { state: 'synced', sinceMs: 0 }
      : {
          ...{ state: 'retrying', sinceMs: 0, attempts: 1, nextTryMs: 0 },
          ...{ error: faults.watch, hint: undefined },
        }
  const endpoints = Object.assign(new Store(endpointType), { status })
  const nodes = Object.assign(new Store(nodeType), { status })
  const applied: NodePlan[] = []
  const lines: string[] = []
  const saved: RouteAgent[] = []
  const agent = new Agent({
    settings,
    network: {
      interfaces: async () => interfacesOf('w1'),
      apply: async plan => {
        if (faults.apply !== '') throw new GatewayError('EFAILED', faults.apply)
        applied.push(plan)
        return 0
      },
    },
    endpoints,
    nodes,
    changed,
    clock: systemClock,
    log: { info: line => lines.push(line), error: line => lines.push(line) },
    saveStatus: async resource => {
      if (faults.save !== '') throw new GatewayError('UNAVAILABLE', faults.save)
      saved.push(resource)
    },
    healthOf: () => undefined,
  })
  const running = agent.run()
  context.after(async () => {
    agent.stop()
    await running
  })
  const raw = [localEndpoint('gw1'), c2].map(endpoint => ({
    ...endpointType.serialize(endpoint),
    metadata: { name: endpoint.meta.name, namespace: 'submariner-operator' },
  }))
  return { changed, endpoints, nodes, applied, lines, saved, faults, raw }
}

test('before both lists were read nothing is touched', async context => {
  const { changed, endpoints, nodes, applied, saved, raw } = start(context)
  endpoints.replace(raw)
  for (let i = 0; i < 3; i++) {
    changed.raise()
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.deepEqual([applied, saved], [[], []])
  nodes.replace([])
  changed.raise()
  await eventually(() => saved.length > 0)
  assert.equal(applied.at(-1)?.role, 'worker')
  assert.deepEqual(
    saved.at(-1)?.remotes.map(({ endpoint }) => endpoint.clusterId),
    ['c2'],
  )
})

test('an API that is away is said once, before the first list and after it', async context => {
  const { changed, endpoints, nodes, lines, saved, faults, raw } = start(context)
  faults.watch = 'nobody answers'
  changed.raise()
  await eventually(() => lines.length > 0)
  assert.deepEqual(lines, ['nobody answers'])
  faults.watch = ''
  endpoints.replace(raw)
  nodes.replace([])
  changed.raise()
  await eventually(() => saved.length > 0)
  faults.watch = 'it has gone'
  changed.raise()
  await eventually(() => lines.at(-1) === 'it has gone')
  assert.equal(saved.at(-1)?.failure, '')
})

test('what fails is said once, tried again, and written into the status', async context => {
  const { changed, endpoints, nodes, applied, lines, saved, faults, raw } = start(context)
  faults.apply = 'the kernel says no'
  endpoints.replace(raw)
  nodes.replace([])
  changed.raise()
  await eventually(() => saved.some(({ failure }) => failure.includes('the kernel says no')))
  await eventually(() => {
    changed.raise()
    return lines.length > 0
  })
  assert.equal(lines.filter(line => line.includes('the kernel says no')).length, 1)
  faults.apply = ''
  // By itself: nobody raises the signal.
  await eventually(() => applied.length > 0)
  await eventually(() => saved.at(-1)?.failure === '')
})

test('a bad object and an API that does not take the status stop nothing', async context => {
  const { changed, endpoints, nodes, applied, lines, faults, raw } = start(context)
  faults.save = 'nobody is there'
  endpoints.replace([...raw, { metadata: { name: 'bad', namespace: 'x' }, spec: 'nonsense' }])
  nodes.replace([{ metadata: { name: 'n' }, status: { addresses: 7 } }])
  changed.raise()
  await eventually(() => lines.some(line => line.includes('nobody is there')))
  assert.equal(applied.at(-1)?.remotes.length, 1)
  assert.ok(lines.some(line => line.startsWith('Endpoint x/bad: ')))
  assert.ok(lines.some(line => line.startsWith('Node n: ')))
})
