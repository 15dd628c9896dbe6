import assert from 'node:assert/strict'
import { RequestParser } from '../../../src/uapi/request.ts'
import { ip, namespaceTest } from '../../support/namespace-test.ts'
import { until } from '../../support/temporary.ts'

namespaceTest('a link-local endpoint is bound to the interface that wg names', async () => {
  ip('link add hw0 type veth peer name hw1')
  ip('link set hw0 up')
  ip('link set hw1 up')
  await until('hw0 has its address', () => ip('-6 addr show dev hw0').includes('fe80'))
  const index = Number(ip('-o link show dev hw0').split(':')[0])
  const parser = new RequestParser({ readOnly: false })
  const [request] = parser.feed(Buffer.from('set=1\nendpoint=[fe80::1%hw0]:51820\n\n'))
  assert.equal(request.problem, '')
  const [operation] = request.operations
  assert.equal(operation.kind, 'endpoint')
  assert.equal(operation.remote.scope, index)
})
