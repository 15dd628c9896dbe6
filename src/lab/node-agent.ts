// The kubelets and the kube-proxies of one lab cluster, in one process: it registers the Nodes, Pods and
// the Service at the cluster's API, and then keeps the rules by which each node balances Services.
//
// Run by the lab in the gateway's space as `node node-agent.ts NUMBER-OF-THE-CLUSTER`, with the network
// namespace of the worker on descriptor 4. Says on descriptor 3 when the objects are there and the
// lab's Service has somewhere to go.

import { spawn } from 'node:child_process'
import { closeSync, writeSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { KubeClient } from '../kube/client.ts'
import { kubeCodeOf } from '../kube/errors.ts'
import { Signal } from '../kube/signal.ts'
import { Watch } from '../kube/watch.ts'
import { systemClock } from '../net/clock.ts'
import { nodeCredentials } from './access.ts'
import {
  clusterObjects,
  type LabObject,
  labObjectType,
  pageNamespace,
  pageService,
} from './objects.ts'
import { serviceType, sliceType } from './service-kinds.ts'
import { isBalanced, serviceRules } from './service-rules.ts'
import { planCluster } from './topology.ts'

const readyDescriptor = 3
const workerDescriptor = 4

// It is killed in the end, and Node writes its cache of compiled code at an orderly end alone.
setTimeout(flushCompileCache, 5000).unref()

const client = new KubeClient(await nodeCredentials(systemClock), 'hawser-lab')
for (const object of clusterObjects(planCluster(Number(process.argv[2])))) await register(object)
await balance()

/** Makes an object as it should be; one that is there from an earlier start stays. */
async function register(object: LabObject): Promise<void> {
  const { place, meta, status } = object
  try {
    await client.create(labObjectType(place), object)
  } catch (error) {
    if (kubeCodeOf(error) !== 'ALREADY_EXISTS') throw error
  }
  if (status !== undefined) await client.patch(place, meta, { status }, { status: true })
}

/** Never ends. */
async function balance(): Promise<void> {
  const changed = new Signal()
  const common = { client, scope: {}, changed, clock: systemClock }
  const services = new Watch({ ...common, type: serviceType })
  const slices = new Watch({ ...common, type: sliceType })
  let applied = ''
  let isReady = false
  for (;;) {
    await changed.wait()
    if (!services.synced || !slices.synced) continue
    const rules = serviceRules(services.list(), slices.list())
    if (rules !== applied) {
      await Promise.all([apply(rules, undefined), apply(rules, workerDescriptor)])
      applied = rules
    }
    const page = services.get(pageNamespace, pageService)
    if (isReady || page === undefined || !isBalanced(page, slices.list())) continue
    isReady = true
    writeSync(readyDescriptor, 'ready\n')
    closeSync(readyDescriptor)
  }
}

/** Gives the rules to nft, here or in the network namespace of a descriptor. */
async function apply(rules: string, namespace: number | undefined): Promise<void> {
  const nft = ['nft', '-f', '-']
  const inherited = namespace === undefined ? 'ignore' : namespace
  const [program, ...words] =
    namespace === undefined ? nft : ['nsenter', '--net=/proc/self/fd/3', ...nft]
  const child = spawn(program, words, { stdio: ['pipe', 'inherit', 'inherit', inherited] })
  child.stdin?.on('error', () => {})
  child.stdin?.end(rules)
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => {
      if (code === 0) resolve()
      else reject(new Error(`${program} ended with ${code}; it did not take:\n${rules}`))
    })
  })
}
