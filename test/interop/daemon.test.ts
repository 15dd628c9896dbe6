// `hawser wg` in the place of wireguard-go: how it starts, how it ends, and what it says when it
// cannot.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { startDaemon } from '../support/interop/daemon.ts'
import { layWire, newKeys } from '../support/interop/tunnel.ts'
import { hawser, hawserWg, worldOfFile } from '../support/interop/world.ts'

const world = worldOfFile('daemon', ['left', 'right', 'cell'], () => layWire(world))
const left = () => world.site('left')

const socketOf = (name: string) => `/run/wireguard/${name}.sock`
/** A problem, and perhaps what to do about it. Nothing else: no stack, no second problem. */
const oneLine = /^hawser: [^\n]+\n(try: [^\n]+\n)?$/

test('in the background it returns when it serves: 20 devices are moved at once', async () => {
  const script = `
    "$1" "$2"
    ip link set "$2" netns cell
    wg set "$2" listen-port 4000 fwmark 7
    wg show "$2" dump
    ip -n cell link set "$2" up
    ip -n cell link delete "$2"`
  for (let i = 0; i < 20; i++) {
    const name = `moved${i}`
    const shown = await world.must(['sh', '-ec', script, 'sh', hawserWg, name])
    assert.equal(shown, '(none)\t(none)\t4000\t0x7\n')
    await eventually(async () => {
      const { stdout } = await world.run(['sh', '-c', `ls /run/wireguard; ip -n cell link`])
      return !stdout.includes(name)
    })
  }
})

test('a moved device works, and its UDP socket stays where it was made', async t => {
  const keys = { here: newKeys(), there: newKeys() }
  const there = await startDaemon(world.site('right'), 'wireguard-go', 'wg0')
  t.after(() => there.stop())
  await there.configure(
    'setconf',
    `[Interface]
PrivateKey = ${keys.there.privateKey}
ListenPort = 4002
[Peer]
PublicKey = ${keys.here.publicKey}
AllowedIPs = 10.9.0.1/32
`,
  )
  await there.site.sh('ip address add 10.9.0.2/24 dev wg0; ip link set wg0 up')

  // `ip netns exec` leaves /run as it is, so that all of this shares one /run/wireguard.
  await world.must(['ip', 'netns', 'exec', 'left', hawserWg, 'gone0'])
  const script = `
    ip -n left link set gone0 netns cell
    echo "$1" >/run/private
    wg set gone0 private-key /run/private listen-port 4001 peer "$2" \
      endpoint 192.0.2.2:4002 allowed-ips 10.9.0.2/32
    ip -n cell address add 10.9.0.1/24 dev gone0
    ip -n cell link set gone0 up
    ip netns exec cell ping -q -c 3 -i 0.02 -w 20 10.9.0.2
    echo "ports in left: $(ip netns exec left ss -Huln sport = :4001 | awk '{print $4}' | sort -u | wc -l)"
    echo "sockets in cell: $(ip netns exec cell ss -Huln | wc -l)"
    ip -n cell link delete gone0`
  const { privateKey } = keys.here
  const said = await world.must(['sh', '-ec', script, 'sh', privateKey, keys.there.publicKey])
  assert.match(said, /ports in left: 2\nsockets in cell: 0\n/)
})

test('deleting the device ends the daemon cleanly, and its socket goes', async () => {
  const daemon = await startDaemon(left(), 'hawser', 'end0')
  assert.ok(existsSync(left().outside(socketOf('end0'))))
  await left().ip('link delete end0')
  assert.equal(await daemon.exit(), 0, daemon.log)
  assert.ok(!existsSync(left().outside(socketOf('end0'))))
})

test('deleting the socket ends the daemon cleanly, and its device goes', async () => {
  const daemon = await startDaemon(left(), 'hawser', 'end1')
  await left().must(['rm', socketOf('end1')])
  assert.equal(await daemon.exit(), 0, daemon.log)
  assert.notEqual((await left().run(['ip', 'link', 'show', 'end1'])).code, 0)
})

for (const signal of ['TERM', 'INT']) {
  test(`SIG${signal} ends the daemon cleanly: neither device nor socket stays`, async () => {
    const daemon = await startDaemon(left(), 'hawser', 'end2')
    await daemon.signal(signal)
    assert.equal(await daemon.exit(), 0, daemon.log)
    assert.ok(!existsSync(left().outside(socketOf('end2'))))
    assert.notEqual((await left().run(['ip', 'link', 'show', 'end2'])).code, 0)
  })
}

test('after a kill -9 it starts over the stale socket', async t => {
  const killed = await startDaemon(left(), 'hawser', 'stale0')
  await killed.signal('KILL')
  await killed.exit()
  assert.ok(existsSync(left().outside(socketOf('stale0'))))
  const next = await startDaemon(left(), 'hawser', 'stale0')
  t.after(() => next.stop())
  assert.match(await next.wg('show', 'stale0', 'dump'), /^\(none\)\t/)
})

test('a name that another daemon serves is refused, and that one goes on', async t => {
  const first = await startDaemon(left(), 'hawser', 'twice0')
  t.after(() => first.stop())
  for (const flags of [['-f'], []]) {
    const { code, stdout, stderr } = await left().run([hawser, 'wg', ...flags, 'twice0'])
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' })
    assert.match(stderr, oneLine)
    assert.match(stderr, /twice0/)
  }
  assert.match(await first.wg('show', 'twice0', 'dump'), /^\(none\)\t/)
})

test('a name that another kind of device has is refused', async () => {
  for (const flags of [['-f'], []]) {
    const { code, stderr } = await left().run([hawser, 'wg', ...flags, 'wire'])
    assert.equal(code, 1)
    assert.match(stderr, oneLine)
    assert.match(stderr, /wire: .*another kind/)
  }
  await left().ip('link show wire')
  assert.ok(!existsSync(left().outside(socketOf('wire'))))
})

test('without the right to make a device it says so', async () => {
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
  for (const flags of [['-f'], []]) {
    const { code, stderr } = await left().run([...nobody, hawser, 'wg', ...flags, 'mine0'])
    assert.equal(code, 1)
    assert.match(stderr, oneLine)
    assert.match(stderr, /root/)
  }
})

test('without /dev/net/tun it says so', async () => {
  const script = 'mount -t tmpfs none /dev/net; exec "$@"'
  for (const flags of [['-f'], []]) {
    const command = ['unshare', '-m', 'sh', '-ec', script, 'sh', hawser, 'wg', ...flags, 'none0']
    const { code, stderr } = await left().run(command)
    assert.equal(code, 1)
    assert.match(stderr, oneLine)
    assert.match(stderr, /\/dev\/net\/tun/)
  }
})

test('wrong arguments are a usage error', async () => {
  const wrong = [[], ['-x', 'wg0'], ['wg0', 'wg1'], ['a/b'], ['sixteen-letters-'], ['..'], ['']]
  for (const args of wrong) {
    const { code, stdout, stderr } = await left().run([hawserWg, ...args])
    assert.deepEqual({ args, code, stdout }, { args, code: 2, stdout: '' })
    assert.match(stderr, oneLine)
  }
})
