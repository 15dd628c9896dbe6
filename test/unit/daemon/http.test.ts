import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type HttpView, startHttp } from '../../../src/daemon/http.ts'
import { testLog } from '../../support/test-log.ts'

const view: HttpView = {
  ...{ isActive: false, gateway: undefined, datapath: undefined, syncIterations: 0 },
  ...{ loopLagSeconds: 0, loopTurns: 0, unready: undefined },
  problems: [{ code: 'api-away', clusterId: '', object: '', message: 'refused' }],
}

async function start(context: TestContext, now: () => HttpView, port = 0) {
  const log = testLog()
  const server = await startHttp(port, now, log)
  context.after(() => server.close())
  return { log, port: server.port }
}

test('metrics, health, readiness and problems, over IPv4 and IPv6', async context => {
  let unready: string | undefined
  const { port } = await start(context, () => ({ ...view, unready }))
  for (const host of ['127.0.0.1', '[::1]']) {
    const get = (path: string, method = 'GET') => fetch(`http://${host}:${port}${path}`, { method })
    assert.match(await (await get('/metrics')).text(), /^hawser_active 0$/m)
    assert.equal(await (await get('/healthz')).text(), 'ok\n')
    unready = undefined
    assert.equal((await get('/readyz')).status, 200)
    unready = 'it is not known yet who leads'
    const answer = await get('/readyz?verbose')
    assert.deepEqual([answer.status, await answer.text()], [503, `${unready}\n`])
    const problems = (await (await get('/problems')).json()) as { kind: string; items: unknown }
    assert.deepEqual([problems.kind, problems.items], ['ProblemList', view.problems])
    assert.equal((await get('/nothing')).status, 404)
    assert.equal((await get('/metrics', 'POST')).status, 405)
    const head = await get('/healthz', 'HEAD')
    assert.deepEqual([head.status, await head.text()], [200, ''])
  }
})

test('a port in use is a line in the log', async context => {
  const first = await start(context, () => view)
  const second = await start(context, () => view, first.port)
  assert.equal(second.port, 0)
  assert.match(second.log.lines.join(), /^error metrics are not served: .*EADDRINUSE/)
})

test('a bug in what is shown is an answer of 500, and the next one is served', async context => {
  let isBroken = true
  const { port } = await start(context, () => {
    if (isBroken) throw new Error('broken')
    return view
  })
  assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 500)
  isBroken = false
  assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 200)
})
