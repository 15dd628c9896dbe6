// The NAT rules of a node as text, and that nft takes them.

import assert from 'node:assert/strict'
import { Host } from '../../../src/host/host.ts'
import { filterTable, filterText } from '../../../src/route-agent/filter.ts'
import { planNode } from '../../../src/route-agent/plan.ts'
import { worldOf } from '../../support/agent-world.ts'
import { namespaceTest } from '../../support/namespace-test.ts'

namespaceTest('both families, with and without remotes and memories', async () => {
  const plan = planNode(worldOf('w1'))
  const remembered = new Map([['eth0', '4/rp_filter=1,4/forwarding=0']])
  const filter = new Host().packetFilter(filterTable)
  const text = filterText(plan.filter, remembered)
  const alone = planNode(worldOf('w1', { endpoints: worldOf('w1').endpoints.slice(0, 1) }))
  for (const body of [
    text,
    filterText(plan.filter, new Map()),
    filterText(alone.filter, remembered),
    filterText(undefined, new Map()),
    filterText(undefined, remembered),
  ]) {
    assert.equal(await filter.apply(body), true)
    assert.equal(await filter.apply(body), false)
  }
  assert.deepEqual([...(await filter.elementComments('remembered'))], [...remembered])
  const lines = text.split('\n').map(line => line.trim())
  for (const line of [
    'type nat hook postrouting priority srcnat - 10; policy accept;',
    'oifname "vx-submariner" ip saddr 240.0.0.0/8 snat ip to 10.1.2.1',
    'oifname "vx-submariner-6" ip6 saddr fd00:100:100::/96 snat ip6 to fd00:1:0:2::1',
    'ip saddr @local4 ip daddr @remote4 snat ip to ip saddr',
    'ip6 saddr @remote6 ip6 daddr @local6 snat ip6 to ip6 saddr',
  ]) {
    assert.ok(lines.includes(line), `${line}\n${text}`)
  }
})
