// `hawser lab` as people use it: its proofs with both cables, what its commands print and return,
// and that nothing stays behind whatever ends it.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { collect, ended, run } from '../../src/lab/process.ts'
import { isAlive } from '../../src/lab/sandbox.ts'
import { findLab } from '../../src/lab/state.ts'
import { eventually } from '../support/eventually.ts'

const hawser = fileURLToPath(new URL('../../bin/hawser', import.meta.url))
const long = { timeoutMs: 180_000 }
let serial = 0

for (const cable of ['wireguard', 'vxlan'])
  test(`lab run proves a lab with a ${cable} cable and leaves nothing`, async () => {
    const name = uniqueName()
    const { code, stdout, stderr } = await lab(['run', '--name', name, '--cable', cable])
    assert.equal(code, 0, stdout + stderr)
    assert.equal(stdout.match(/^✓ ping .*→.*: 10\..* ms, fd00:.* ms$/gm)?.length, 4, stdout)
    assert.equal(stdout.match(/^✓ page .*: it saw 10\..* and fd00:/gm)?.length, 2, stdout)
    assert.match(stdout, /^✓ page .* → service west\/default\/page: 10\.21\..* fd00:11:2:/m)
    assert.match(stdout, /^✓ connections of east: .*\n(.*\n)* +.*\bwest\b.*\bconnected\b/m)
    assert.match(stdout, /^✓ endpoints of east: .*\n(.*\n)* +.*\bwest\b/m)
    assert.match(stdout, /^✓ kubectl get on east: 2 endpoints, 1 gateways, 2 clusters$/m)
    assert.match(stdout, /^✓ nothing happens while the broker is away: .* 2 gateways .* follow/m)
    assert.match(stdout, /^✓ iperf3 .*: \d+\.\d\d Gbit\/s/m)
    const seen = /marker sent (\d+) times, seen (\d+) times/.exec(stdout)
    assert.ok(seen !== null, stdout)
    assert.equal(Number(seen[2]) > 0, cable === 'vxlan', stdout)
    if (cable === 'wireguard') assert.match(stdout, /latest handshake: .*\n +transfer: /)
    assert.match(stdout, /^✓ every proof held in \d+\.\d s\n$/m)
    assert.equal(findLab(name), undefined)
    assert.deepEqual(traces(), [])
  })

test('a lab of three clusters with a plain user’s means', async context => {
  // Root without CAP_SYS_ADMIN gets what a plain user gets: a user namespace.
  const name = uniqueName()
  const plain = ['setpriv', '--bounding-set', '-sys_admin', '--inh-caps', '-all']
  const command = [...plain, hawser, 'lab', 'up', '--name', name, '--clusters', '3']
  context.after(() => lab(['down', '--name', name]))
  const up = await run(command, long)
  assert.equal(up.code, 0, up.stderr)
  assert.equal(findLab(name)?.rootless, true)
  const page = await run([...plain, ...exec(name, 'north/pod-b', 'curl', '-s', '10.20.1.10')])
  assert.equal(page.stdout, 'this is west/pod-a, you are 10.30.2.10\n')
  const proofs = await run([...plain, hawser, 'lab', 'prove', '--name', name], long)
  assert.equal(proofs.code, 0, proofs.stdout + proofs.stderr)
})

test('five clusters are a full mesh, with the cipher that was asked for', async context => {
  const name = uniqueName()
  context.after(() => lab(['down', '--name', name]))
  const cipher = 'chacha20-poly1305'
  await mustUp(name, '--clusters', '5', '--cipher', cipher)
  const { code, stdout } = await lab(['status', '--name', name, '-o', 'json'])
  assert.equal(code, 0, stdout)
  const { cables } = JSON.parse(stdout)
  const ends = new Set(cables.map((c: { cluster: string; remote: string }) => c.cluster + c.remote))
  assert.equal(ends.size, 5 * 4)
  assert.ok(
    cables.every((cable: { cipher: string }) => cable.cipher === cipher),
    stdout,
  )
  for (const [from, to] of [
    ['c5', 3],
    ['south', 5],
  ]) {
    const page = await run(exec(name, `${from}/pod-b`, 'curl', '-sS', `10.${to}0.2.10`))
    assert.match(page.stdout, /^this is .*\/pod-b, you are 10\./, page.stderr)
  }
})

test('objects are there for kubectl, and nobody else may read what reaches them', async context => {
  const name = uniqueName()
  context.after(() => lab(['down', '--name', name]))
  await mustUp(name)
  for (const where of ['east/gateway', 'east/worker', 'broker']) {
    const look = 'stat -c %a "$KUBECONFIG" /run/hawser/access /run/hawser/access/*'
    const modes = await run(exec(name, where, 'sh', '-c', look))
    assert.equal(modes.stdout, '600\n700\n600\n600\n600\n', modes.stderr)
  }
  const pod = await run(exec(name, 'east/pod-a', 'sh', '-c', 'ls /run/hawser; echo "$KUBECONFIG"'))
  assert.doesNotMatch(pod.stdout, /kubeconfig/)
  // What kubectl asks: discovery, then the objects of a namespace as a table.
  const ask = `curl -sS --cacert /run/hawser/access/ca.crt -H @- -H "$1" "$(cat /run/hawser/access/server)$2"`
  const script = `printf 'Authorization: Bearer %s\\n' "$(cat /run/hawser/access/token)" | ${ask}`
  const get = async (accept: string, path: string) => {
    const command = ['sh', '-c', script, 'sh', `Accept: ${accept}`, path]
    const { stdout, stderr } = await run(exec(name, 'west/worker', ...command))
    assert.doesNotThrow(() => JSON.parse(stdout), `${path}: ${stdout}${stderr}`)
    return JSON.parse(stdout)
  }
  const { resources } = await get('application/json', '/apis/submariner.io/v1')
  const kinds = resources.map(({ kind }: { kind: string }) => kind)
  for (const kind of ['Cluster', 'Endpoint', 'Gateway']) assert.ok(kinds.includes(kind), kind)
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'
  for (const [path, rows] of [
    ['/api/v1/nodes', 2],
    ['/api/v1/namespaces/default/pods', 2],
    ['/apis/submariner.io/v1/namespaces/submariner-operator/endpoints', 2],
    ['/apis/submariner.io/v1/namespaces/submariner-operator/gateways', 1],
  ] as const) {
    const answer = await get(table, path)
    assert.equal(answer.kind, 'Table')
    assert.equal(answer.rows.length, rows, JSON.stringify(answer))
  }
  // No token of anybody stands where `ps` shows it.
  const token = await run(exec(name, 'east/gateway', 'cat', '/run/hawser/access/token'))
  const seen = await run(exec(name, 'east/gateway', 'ps', '-eo', 'args'))
  assert.equal(seen.stdout.includes(token.stdout.trim()), false)
})

test('gateways with two pairs of workers reach peers of both', async context => {
  const name = uniqueName()
  context.after(() => lab(['down', '--name', name]))
  const up = await run(
    ['env', 'HAWSER_PAIRS=2', hawser, 'lab', 'up', '--name', name, '--clusters', '4'],
    long,
  )
  assert.equal(up.code, 0, up.stderr)
  const status = await run(exec(name, 'south/gateway', hawser, 'status', '-o', 'json'))
  assert.equal(JSON.parse(status.stdout).pairs, 2, status.stdout)
  // Whoever is asked first, each pair of gateways has one that initiated and one that answered.
  for (const from of ['east', 'west', 'north', 'south']) {
    for (const cluster of [1, 2, 3, 4]) {
      const page = await run(exec(name, `${from}/pod-b`, 'curl', '-sS', `10.${cluster}0.2.10`))
      assert.match(page.stdout, /^this is .*\/pod-b, you are 10\./, page.stderr)
    }
  }
  const rekey = await run(
    exec(name, 'east/gateway', hawser, 'cable', 'set', 'north', '--cipher', 'aes-256-gcm'),
  )
  assert.equal(rekey.code, 0, rekey.stderr)
  const page = await run(exec(name, 'east/pod-a', 'curl', '-sS', '10.30.1.10'))
  assert.match(page.stdout, /^this is north\/pod-a/, page.stderr)
})

test('two labs live side by side; commands answer as they should', async context => {
  const names = [uniqueName(), uniqueName()]
  context.after(() => Promise.all(names.map(name => lab(['down', '--name', name]))))
  const [first, second] = await Promise.all([
    lab(['up', '--name', names[0]]),
    lab(['up', '--name', names[1], '--cable', 'vxlan']),
  ])
  assert.deepEqual([first.code, second.code], [0, 0], first.stderr + second.stderr)

  const status = await lab(['status', '--name', names[0], '-o', 'json'])
  assert.equal(status.code, 0, status.stderr)
  const { clusters, cables, ...rest } = JSON.parse(status.stdout)
  assert.deepEqual(rest, {})
  assert.deepEqual(
    clusters.map(({ name }: { name: string }) => name),
    ['east', 'west'],
  )
  const [east] = clusters
  assert.deepEqual(Object.keys(east), ['name', 'nodes', 'pods'])
  assert.deepEqual(
    east.nodes.map(({ name }: { name: string }) => name),
    ['gateway', 'worker'],
  )
  assert.ok(east.nodes[0].addresses.includes('192.0.2.1'))
  assert.deepEqual(east.pods, [
    { name: 'pod-a', node: 'gateway', address: '10.10.1.10' },
    { name: 'pod-b', node: 'worker', address: '10.10.2.10' },
  ])
  assert.equal(cables.length, 2)
  assert.equal(cables[0].state, 'connected')

  for (const name of names) {
    const page = await run(exec(name, 'east/pod-a', 'curl', '-s', '10.20.2.10'))
    assert.equal(page.stdout, 'this is west/pod-b, you are 10.10.1.10\n')
  }
  const wg = await run(exec(names[0], 'east/gateway', 'wg', 'show', 'all', 'endpoints'))
  assert.match(wg.stdout, /^hawser0\t\S+\t192\.0\.2\.2:4500\n$/)
  assert.equal((await run(exec(names[0], 'west/worker', 'sh', '-c', 'exit 7'))).code, 7)

  const again = await lab(['up', '--name', names[0]])
  assert.equal(again.code, 1)
  assert.match(again.stderr, /already up\ntry: .* lab down --name/)
  for (const name of names) assert.equal((await lab(['down', '--name', name])).code, 0)
  assert.equal((await lab(['status', '--name', names[0]])).code, 3)
  assert.equal((await lab(['down', '--name', names[0]])).code, 0)
  assert.deepEqual(traces(), [])
})

test('at a terminal the lab stays until Ctrl-C and names three things to try', async () => {
  const name = uniqueName()
  // script(1) gives the command a terminal and types what it is sent.
  // `exec`: dash, between script and the command, would die of the Ctrl-C itself.
  const line = `exec ${hawser} lab run --name ${name}`
  const child = spawn('script', ['-qec', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'pipe'] })
  const both = collect(child)
  const finished = ended(child)
  await untilSaid(
    () => String(both().stdout),
    /stays until Ctrl-C.*(\r?\n {2}bin\/hawser lab .*){3}/,
  )
  assert.ok(findLab(name) !== undefined)
  child.stdin?.write('\x03')
  assert.equal(await finished, 0, String(both().stdout))
  assert.equal(findLab(name), undefined)
  assert.deepEqual(traces(), [])
})

test('proofs that do not hold are named with a reason and something to try', async context => {
  const name = uniqueName()
  context.after(() => lab(['down', '--name', name]))
  await mustUp(name)
  const reject = `nft -f - <<END
    add table inet t
    add chain inet t c { type filter hook input priority 0; }
    add rule inet t c tcp dport 80 reject
END`
  const kill = (daemon: string) => `kill -9 "$(cat /run/hawser/${daemon}.pid)"`
  for (const [where, command] of [
    ['west/pod-b', reject],
    ['west/gateway', 'nft delete table inet hawser-lab-services'],
    ['west/gateway', 'ip route add prohibit 10.21.0.0/16 && ip route add prohibit fd00:11:2::/112'],
    ['east/gateway', kill('api')],
    ['broker', kill('broker')],
  ]) {
    const done = await run(exec(name, where, 'sh', '-c', command))
    assert.equal(done.code, 0, done.stderr)
  }
  const { code, stdout } = await lab(['prove', '--name', name])
  assert.equal(code, 1, stdout)
  const failed = [...stdout.matchAll(/^✗ (?!did not hold)(.*)\n {2}reason: .+\n {2}try: .+$/gm)]
  const titles = failed.map(([, title]) => title)
  assert.deepEqual(
    titles,
    [
      'connections of east',
      'endpoints of east',
      'kubectl get on east',
      'page east/pod-b → west/pod-b',
      'page east/pod-b → service west/default/page',
      'nothing readable on the wire',
      'nothing happens while the broker is away',
    ],
    stdout,
  )
  // Cables need neither APIs nor the broker.
  assert.match(stdout, /^✓ page west\/pod-a → east\/pod-b/m)
  assert.match(stdout, /^✓ iperf3 /m)
  assert.match(stdout, /reason: there was no broker to stop/)
  assert.ok(stdout.endsWith(`\n✗ did not hold: ${titles.join('; ')}\n`), stdout)
})

test('a gateway that died shows in the status', async context => {
  const name = uniqueName()
  context.after(() => lab(['down', '--name', name]))
  await mustUp(name)
  const kill = 'kill -9 "$(cat /run/hawser/datapath.pid)"'
  await run(exec(name, 'west/gateway', 'sh', '-c', kill))
  const { code, stdout } = await lab(['status', '--name', name])
  assert.equal(code, 1, stdout)
  assert.match(stdout, /^west → east +wireguard +\S+ +down /m)
})

test('an interrupt at any time takes everything down', async () => {
  const building = [/making/, /API servers/, /joining/, /gateways/, /page server/]
  for (const stage of [...building, /waiting/, /ping/, /iperf3/]) {
    const name = uniqueName()
    const { child, output } = begin(['run', '--name', name])
    const finished = ended(child)
    await untilSaid(output, stage)
    child.kill('SIGINT')
    assert.equal(await finished, 130, `at ${stage}: ${output()}`)
    assert.equal(findLab(name), undefined)
  }
  assert.deepEqual(traces(), [])
})

test('nothing is left after SIGKILL and the next up or down', async context => {
  for (const next of ['up', 'down']) {
    const name = uniqueName()
    context.after(() => lab(['down', '--name', name]))
    const { child, output } = begin(['up', '--name', name])
    const killed = ended(child)
    await untilSaid(output, /page server/)
    const half = findLab(name)
    assert.ok(half !== undefined)
    child.kill('SIGKILL')
    await killed
    // The half-built lab ends by itself.
    await eventually(() => !isAlive(half))
    assert.equal((await lab([next, '--name', name])).code, 0)
    await lab(['down', '--name', name])
    assert.equal(findLab(name), undefined)
  }
  assert.deepEqual(traces(), [])
})

test('a lab whose holder was killed is gone and can be made again', async context => {
  const name = uniqueName()
  context.after(() => lab(['down', '--name', name]))
  await mustUp(name)
  const state = findLab(name)
  assert.ok(state !== undefined)
  process.kill(state.pid, 'SIGKILL')
  await eventually(() => !isAlive(state))
  assert.equal((await lab(['status', '--name', name])).code, 3)
  await mustUp(name)
  assert.equal((await lab(['down', '--name', name])).code, 0)
  assert.deepEqual(traces(), [])
})

test('wrong flags are usage errors of one line and what to try', async () => {
  const rows = [
    ['up', '--clusters', '1'],
    ['up', '--clusters', '21'],
    ['up', '--cable', 'string'],
    ['up', '--name', 'No_Name'],
    ['status', '-o', 'xml'],
    ['sideways'],
  ]
  for (const row of rows) {
    const { code, stderr } = await lab(row)
    assert.equal(code, 2, `${row.join(' ')}: ${stderr}`)
    assert.match(stderr, /^hawser: .+\ntry: .+\n$/)
  }
})

function uniqueName(): string {
  return `test-${process.pid}-${serial++}`
}

function lab(words: readonly string[]) {
  return run([hawser, 'lab', ...words], long)
}

function exec(name: string, where: string, ...command: string[]): string[] {
  return [hawser, 'lab', 'exec', '--name', name, where, '--', ...command]
}

async function mustUp(name: string, ...options: string[]): Promise<void> {
  const { code, stderr } = await lab(['up', '--name', name, ...options])
  assert.equal(code, 0, stderr)
}

function begin(words: readonly string[]): { child: ChildProcess; output: () => string } {
  const child = spawn(hawser, ['lab', ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  const both = collect(child)
  return { child, output: () => `${both().stdout}${both().stderr}` }
}

async function untilSaid(output: () => string, pattern: RegExp): Promise<void> {
  await eventually(() => pattern.test(output()), output, long.timeoutMs)
}

/**
 * What this test's labs show of themselves on the machine: devices and namespaces that are named as
 * theirs, processes with their label. Others may be at work here too.
 */
function traces(): string[] {
  const lines = (command: string, ...words: string[]) =>
    spawnSync(command, words, { encoding: 'utf8' }).stdout.split('\n')
  const devices = lines('ip', '-br', 'link').filter(line =>
    /^(hawser|wire|worker|pod)\d/.test(line),
  )
  const namespaces = lines('ip', 'netns').filter(line => /^(wire|broker|(east|west)-)/.test(line))
  const label = `hawser-lab-test-${process.pid}-`
  const processes = lines('ps', '-eo', 'args').filter(line => line.includes(label))
  return [...devices, ...namespaces, ...processes]
}
