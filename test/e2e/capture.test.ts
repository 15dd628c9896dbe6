// `hawser capture` beside real traffic: what tcpdump and tshark make of it, what the keys open, and what
// becomes of a capture whose reader or disk is gone.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { collect, ended } from '../../src/lab/process.ts'
import { east, makeClusters, west } from '../support/e2e/clusters.ts'
import { device, hawser } from '../support/e2e/gateway.ts'
import { joinByWireguard, port } from '../support/e2e/wireguard.ts'
import { eventually } from '../support/eventually.ts'
import type { Spaces } from '../support/namespaces.ts'
import { temporaryDirectory } from '../support/temporary.ts'

const tableOf = ['-d', `udp.port==${port},wg`]

async function joined(context: TestContext) {
  const spaces = await makeClusters(context)
  const gateways = await joinByWireguard(spaces)
  await ping(spaces)
  return { spaces, gateways, directory: temporaryDirectory(context) }
}

/** Receives all that one connection brings, and sends it. */
const sink = `import socket
listener = socket.create_server(("", 5000))
print("listening")
connection = listener.accept()[0]
while connection.recv(65536): pass`
const source = `import socket, sys
socket.create_connection((sys.argv[1], 5000)).sendall(bytes(int(sys.argv[2]) * 1024 * 1024))`

let serial = 0

/** A capture that runs; `end` is Ctrl-C, and gives what it said. */
async function capture(spaces: Spaces, ...args: readonly string[]) {
  const pidFile = `/run/capture-${++serial}`
  const script = `echo $$ >${pidFile}; exec "$@"`
  const command = ['sh', '-c', script, 'sh', hawser, 'capture', '--interface', device, ...args]
  const child = spaces.start(east.gateway, command)
  const output = collect(child)
  const over = ended(child)
  const said = () => output().stderr.toString()
  await eventually(() => said().includes('capturing to') || child.exitCode !== null, said)
  const signal = (name: string) =>
    spaces.mustRun(east.gateway, ['sh', '-c', `kill -${name} $(cat ${pidFile})`])
  return {
    over,
    said,
    signal,
    // nsenter stops itself with its child, and continues it.
    resume: () => child.kill('SIGCONT'),
    async end() {
      await signal('INT')
      assert.equal(await over, 0, said())
      return said()
    },
  }
}

async function ping(spaces: Spaces, ...options: string[]): Promise<void> {
  const command = ['ping', '-n', '-c', '3', '-i', '0.2', ...options, west.podAddress]
  await spaces.mustRun(east.pod, command)
}

/** Sends so many MiB by TCP from east to west. */
async function transfer(spaces: Spaces, mebibytes: number): Promise<void> {
  const server = spaces.start(west.pod, ['python3', '-uc', sink])
  const output = collect(server)
  const received = ended(server)
  await eventually(() => output().stdout.includes('listening'))
  await spaces.mustRun(east.pod, ['python3', '-c', source, west.podAddress, `${mebibytes}`])
  await received
}

/** What tshark prints of these fields; it must not complain. */
async function tshark(spaces: Spaces, file: string, fields: string[], ...more: string[]) {
  const wanted = fields.flatMap(field => ['-e', field])
  const command = ['tshark', '-n', '-r', file, '-T', 'fields', ...wanted, ...more]
  const { code, stdout, stderr } = await spaces.run(east.gateway, command)
  const complaints = stderr.replace(/^Running as user .*\n/m, '')
  assert.deepEqual({ code, complaints }, { code: 0, complaints: '' })
  return stdout.split('\n').filter(line => line !== '')
}

test('ping and TCP are in the file as they were on the cable', async context => {
  const { spaces, directory } = await joined(context)
  const file = join(directory, 'all.pcapng')
  const running = await capture(spaces, '-w', file)
  await ping(spaces, '-s', '1000')
  await transfer(spaces, 2)
  const said = await running.end()
  assert.match(said, /\d+ packets captured\n$/)

  const fields = ['frame.interface_name', 'frame.packet_flags_direction', 'frame.comment']
  const rows = await tshark(spaces, file, fields, '-Y', 'icmp.type == 8')
  assert.deepEqual([...new Set(rows)], [`${west.gateway} inner\t0x00000002\tcable ${west.gateway}`])
  assert.equal(rows.length, 3)
  // No packet is larger than the cable takes, and none has a checksum or a length that is wrong.
  const checks = ['tcp', 'udp', 'ip'].flatMap(name => ['-o', `${name}.check_checksum:TRUE`])
  const lengths = await tshark(spaces, file, ['frame.len'], ...checks)
  assert.ok(lengths.length > 2 * 1500, `${lengths.length} frames`)
  assert.ok(lengths.every(text => Number(text) <= 1420 + 60 + 14))
  const wrong = ['ip', 'tcp', 'udp'].map(name => `${name}.checksum.status == 0`).join(' or ')
  const wire = ['frame.number', 'tcp.len']
  assert.deepEqual(await tshark(spaces, file, wire, ...checks, '-Y', wrong), [])
  const sent = await tshark(spaces, file, ['tcp.len'], '-Y', `ip.src == ${east.podAddress} and tcp`)
  const bytes = sent.reduce((sum, text) => sum + Number(text), 0)
  assert.ok(bytes >= 2 * 1024 * 1024, `${bytes} bytes of TCP`)
  // Of each worker: one that waits for a core with a packet in its hands comes late beside the other.
  const instants = await tshark(spaces, file, ['frame.packet_flags_direction', 'frame.time_epoch'])
  for (const direction of ['0x00000001', '0x00000002']) {
    const own = instants.filter(line => line.startsWith(direction))
    // Pings and their answers, inside and on the wire, at least: acknowledgements are merged.
    assert.ok(own.length >= 6, `${own.length} of direction ${direction}`)
    assert.ok(own.every(line => /\t\d+\.\d{9}$/.test(line)))
    assert.deepEqual(own, own.toSorted(), 'in the order of time')
  }

  const dumped = await spaces.run(east.gateway, ['tcpdump', '-n', '-r', file, 'icmp'])
  assert.equal(dumped.code, 0, dumped.stderr)
  assert.equal(dumped.stdout.trim().split('\n').length, 6, dumped.stdout)
  assert.match(dumped.stderr, /^reading from file .*EN10MB \(Ethernet\).*\n$/)
})

test('with keys, tshark opens on the wire what is inside', async context => {
  const { spaces, directory } = await joined(context)
  const file = join(directory, 'keys.pcapng')
  const running = await capture(spaces, '--keys', '-w', file)
  const pings = () =>
    spaces.mustRun(east.pod, [
      'ping',
      '-n',
      '-c',
      '3',
      '-i',
      '0.2',
      '-p',
      'c0ffee',
      west.podAddress,
    ])
  // The new session is there once a handshake has completed that the command asked for.
  await eventually(async () => {
    await pings()
    const filter = ['-Y', `icmp and wg`]
    const command = [
      'tshark',
      '-n',
      '-r',
      file,
      ...tableOf,
      ...filter,
      '-T',
      'fields',
      '-e',
      'ip.src',
    ]
    const { stdout } = await spaces.run(east.gateway, command)
    return stdout.trim() !== ''
  })
  await pings()
  const said = await running.end()
  assert.match(said, /private key/)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const [inside, outside] = await Promise.all(
    ['inner', 'wire'].map(stage =>
      tshark(
        spaces,
        file,
        ['icmp.type', 'icmp.seq', 'icmp.ident', 'data.data'],
        ...tableOf,
        ...['-Y', `icmp and frame.interface_name == "${west.gateway} ${stage}"`],
      ),
    ),
  )
  assert.ok(outside.length >= 6, `${outside.length} opened`)
  assert.deepEqual(outside, inside.slice(-outside.length))
  assert.match(outside[0], /c0ffee/)
})

test('a filter, a pipe, rotation, and readers that go', async context => {
  const { spaces, directory } = await joined(context)
  const line = `${hawser} capture ${west.gateway} icmp --stage inner -c 4`
  const piped = spaces.run(east.gateway, ['sh', '-c', `${line} | tcpdump -n -r -`])
  const pings = () => ping(spaces)
  let isDone = false
  const finished = piped.finally(() => {
    isDone = true
  })
  while (!isDone) await pings()
  const { stdout, code } = await finished
  assert.equal(code, 0)
  assert.equal(stdout.match(/ICMP echo/g)?.length, 4, stdout)

  // The reader is killed: the command ends by itself, and has nothing to say about it.
  const script = `(${hawser} capture 2>"$0/said"; echo $? >"$0/code") | sh -c 'head -c 9 >&2; kill -9 $$'`
  const killed = spaces.run(east.gateway, ['sh', '-c', script, directory])
  await eventually(async () => {
    await pings()
    return readdirSync(directory).includes('code')
  })
  await killed
  assert.equal(readFileSync(join(directory, 'code'), 'utf8'), '0\n')
  assert.equal(
    readFileSync(join(directory, 'said'), 'utf8'),
    'capturing to standard output; Ctrl-C ends it\n',
  )

  const full = await spaces.run(east.gateway, ['sh', '-c', `${hawser} capture >/dev/full`])
  assert.equal(full.code, 1)
  assert.match(full.stderr, /cannot write standard output: no space is left.*\ntry: /)
})

test('a command that does not read costs packets of its own and none of the path', async context => {
  const { spaces, gateways, directory } = await joined(context)
  const file = join(directory, 'all.pcapng')
  const running = await capture(spaces, '-w', file)
  await running.signal('STOP')
  await transfer(spaces, 64)
  await ping(spaces)
  running.resume()
  const said = await running.end()
  const [, captured, lost] = /(\d+) packets captured, (\d+) lost/.exec(said) ?? [said]
  // Each segment is seen inside and on the wire.
  const segments = (64 * 1024 * 1024) / 1380
  assert.ok(Number(captured) > 1000 && Number(captured) + Number(lost) > 2 * segments, said)
  const info = await spaces.mustRun(east.gateway, ['capinfos', '-M', file])
  assert.match(info, /Number of stat entries = 1/)

  // Four run, and those whose process is killed make room for others.
  const four = await Promise.all(
    ['a', 'b', 'c', 'd'].map(name => capture(spaces, '-w', join(directory, name))),
  )
  const fifth = [hawser, 'capture', '-w', join(directory, 'e'), '--duration', '1']
  const refused = await spaces.run(east.gateway, fifth)
  assert.deepEqual([refused.code, readdirSync(directory).includes('e')], [1, false])
  assert.match(refused.stderr, /4 captures are running already/)
  for (const { signal } of four) await signal('KILL')
  await Promise.all(four.map(({ over }) => over))
  await eventually(async () => (await spaces.run(east.gateway, fifth)).code === 0)
  assert.equal((await gateways.east.status()).up, true)
})
