// `hawser datapath` as a supervisor runs it: the real addon and a TUN device, in a network namespace
// and with a /run of its own.

import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parsePrefix, parseRemote } from '../../src/net/address.ts'
import type { Tables } from '../../src/tables/tables.ts'
import { DatapathClient } from '../../src/wire/client.ts'
import { ip, namespaceTest } from '../support/namespace-test.ts'

const hawser = fileURLToPath(new URL('../../bin/hawser', import.meta.url))
const script = 'mount -t tmpfs none /run && exec "$@"'

interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
}

/** Resolves when the daemon has said that it is ready. */
async function startDaemon(socketPath: string): Promise<Running> {
  const command = commandOf(socketPath)
  const child = spawn('unshare', ['-m', 'sh', '-c', script, 'sh', ...command, '--ready-fd', '3'], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  })
  let log = ''
  child.stderr?.on('data', text => {
    log += text
  })
  const ended = new Promise<number | null>(resolve => child.on('exit', code => resolve(code)))
  const ready = new Promise<string>(resolve =>
    child.stdio[3]?.on('data', text => resolve(`${text}`)),
  )
  assert.equal(await Promise.race([ready, ended]), 'ready\n', log)
  return { child, ended }
}

function commandOf(socketPath: string): string[] {
  return [hawser, 'datapath', '--interface', 'gw0', '--socket', socketPath]
}

function tablesOf(generation: number): Tables {
  const cable = {
    name: 'west',
    driver: 'wireguard',
    publicKey: new Uint8Array(32).fill(9),
    remote: parseRemote('127.0.0.1:4501'),
    remoteSerial: generation,
    allowedIps: [parsePrefix('10.42.0.0/16')],
    keepaliveSeconds: 0,
  } as const
  const privateKey = new Uint8Array(32).fill(8)
  return { generation, device: { privateKey, listenPort: 4500, fwmark: 0 }, cables: [cable] }
}

/** Runs `wg` where the daemon's /run is. */
function wg(daemon: Running, ...args: string[]) {
  const command = ['-m', '-t', `${daemon.child.pid}`, 'wg', ...args]
  return spawnSync('nsenter', command, { encoding: 'utf8' })
}

namespaceTest(
  'a gateway serves, keeps its routes over a restart, and ends with its device',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'hawser-'))
    const socketPath = join(directory, 'gw0.sock')
    const started: Running[] = []
    try {
      const first = await startDaemon(socketPath)
      started.push(first)
      // NET_ADMIN and NET_RAW, and nothing else: not even root's way around file modes.
      const status = readFileSync(`/proc/${first.child.pid}/status`, 'utf8')
      assert.match(status, /^CapEff:\s+0000000000003400$/m)
      const client = await DatapathClient.connect(socketPath)
      await client.apply(tablesOf(1))
      await assert.rejects(client.apply(tablesOf(1)), { code: 'STALE' })
      assert.deepEqual(await client.readTables({ keys: true }), tablesOf(1))
      assert.match(wg(first, 'show', 'gw0').stdout, /listening port: 4500.*10\.42\.0\.0\/16/s)
      assert.match(wg(first, 'set', 'gw0', 'listen-port', '1').stderr, /not permitted/)

      ip('link set gw0 up')
      ip('route add 10.42.0.0/16 dev gw0')
      first.child.kill('SIGTERM')
      assert.equal(await first.ended, 0)
      assert.equal(await client.closed, 'the data path ends')
      const second = await startDaemon(socketPath)
      started.push(second)
      assert.match(ip('route show'), /10\.42\.0\.0\/16 dev gw0/)
      const again = await DatapathClient.connect(socketPath)
      assert.equal((await again.status()).generation, 0)
      await again.apply(tablesOf(1))

      ip('link delete gw0')
      assert.equal(await second.ended, 0)
      assert.equal(execFileSync('ls', [directory], { encoding: 'utf8' }), '')
    } finally {
      for (const { child } of started) child.kill('SIGKILL')
      rmSync(directory, { recursive: true, force: true })
    }
  },
)

namespaceTest(
  'a start that fails leaves no device of its own and spares one that was there',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'hawser-'))
    const socketPath = join(directory, 'gw0.sock')
    const tablesFile = join(directory, 'tables.json')
    const taken = createSocket('udp4')
    try {
      await new Promise<void>(resolve => taken.bind(4500, resolve))
      writeFileSync(tablesFile, '{"device": {"listenPort": 4500}}')
      const fail = (expected: RegExp) => {
        const command = [...commandOf(socketPath), '--tables', tablesFile]
        const args = ['-m', 'sh', '-c', script, 'sh', ...command]
        const { status, stderr } = spawnSync('unshare', args, { encoding: 'utf8' })
        assert.equal(status, 1, stderr)
        assert.match(stderr, expected)
      }
      fail(/UDP port 4500/)
      assert.throws(() => ip('link show gw0'), /does not exist/)

      ip('tuntap add dev gw0 mode tun vnet_hdr')
      fail(/UDP port 4500/)
      assert.match(ip('link show gw0'), /gw0/)
      ip('link delete gw0')

      // The last part that is started: its socket cannot be made where a file is.
      writeFileSync(socketPath, '')
      writeFileSync(tablesFile, '{"device": {}}')
      fail(/is no socket/)
      assert.throws(() => ip('link show gw0'), /does not exist/)
    } finally {
      taken.close()
      rmSync(directory, { recursive: true, force: true })
    }
  },
)
