import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatPrefix, formatRemote } from '../../../src/net/address.ts'
import { E2BIG, EINVAL, EPERM, EPROTO } from '../../../src/uapi/errno.ts'
import type { Operation } from '../../../src/uapi/operation.ts'
import { lineBytesMax, type Request, RequestParser } from '../../../src/uapi/request.ts'

const hexKey = '0123456789abcdef'.repeat(4)
const keyBytes = Uint8Array.from(Buffer.from(hexKey, 'hex'))

function parse(text: string, cut = text.length): Request[] {
  const parser = new RequestParser({ readOnly: false })
  const bytes = Buffer.from(text, 'latin1')
  const requests: Request[] = []
  for (let i = 0; i < bytes.length; i += cut) {
    requests.push(...parser.feed(Uint8Array.from(bytes.subarray(i, i + cut))))
  }
  const last = parser.end()
  return last === undefined ? requests : [...requests, last]
}

const good: readonly (readonly [string, Operation])[] = [
  [`private_key=${hexKey}`, { kind: 'privateKey', key: keyBytes }],
  [`private_key=${hexKey.toUpperCase()}`, { kind: 'privateKey', key: keyBytes }],
  [`private_key=${'0'.repeat(64)}`, { kind: 'privateKey', key: undefined }],
  ['listen_port=0', { kind: 'listenPort', port: 0 }],
  ['listen_port=65535', { kind: 'listenPort', port: 65_535 }],
  ['fwmark=4294967295', { kind: 'fwmark', mark: 0xffff_ffff }],
  ['replace_peers=true', { kind: 'replacePeers' }],
  [`public_key=${hexKey}`, { kind: 'publicKey', key: keyBytes }],
  ['remove=true', { kind: 'remove' }],
  ['update_only=true', { kind: 'updateOnly' }],
  [`preshared_key=${hexKey}`, { kind: 'presharedKey', key: keyBytes }],
  [`preshared_key=${'0'.repeat(64)}`, { kind: 'presharedKey', key: undefined }],
  ['persistent_keepalive_interval=65535', { kind: 'keepalive', seconds: 65_535 }],
  ['replace_allowed_ips=true', { kind: 'replaceAllowedIps' }],
  ['protocol_version=1', { kind: 'protocolVersion' }],
]

test('a line becomes the operation that it says', () => {
  for (const [line, operation] of good) {
    const [request] = parse(`set=1\n${line}\n\n`)
    assert.equal(request.errno, 0, line)
    assert.deepEqual(request.operations, [operation], line)
  }
})

test('addresses: endpoints and allowed IPs of both families, host bits cleared', () => {
  const [request] = parse(
    'set=1\nendpoint=192.0.2.1:4500\nendpoint=[2001:db8::1]:1\nendpoint=[fe80::1%7]:51820\n' +
      'allowed_ip=10.1.2.3/8\nallowed_ip=::/0\nallowed_ip=-2001:db8::1/32\n\n',
  )
  const shown = request.operations.map(operation => {
    if (operation.kind === 'endpoint') return formatRemote(operation.remote)
    assert.equal(operation.kind, 'allowedIp')
    return `${operation.remove ? '-' : '+'}${formatPrefix(operation.prefix)}`
  })
  assert.deepEqual(shown, [
    '192.0.2.1:4500',
    '[2001:db8::1]:1',
    '[fe80::1%7]:51820',
    '+10.0.0.0/8',
    '+::/0',
    '-2001:db8::/32',
  ])
})

const bad: readonly (readonly [string, number])[] = [
  ['private_key=0', EINVAL],
  [`private_key=${'g'.repeat(64)}`, EINVAL],
  [`private_key=${hexKey}0`, EINVAL],
  ['private_key=', EINVAL],
  ['listen_port=65536', EINVAL],
  ['listen_port=-1', EINVAL],
  ['listen_port=', EINVAL],
  ['listen_port=1 ', EINVAL],
  ['fwmark=4294967296', EINVAL],
  ['fwmark=0x10', EINVAL],
  ['replace_peers=1', EINVAL],
  ['remove=yes', EINVAL],
  ['update_only=false', EINVAL],
  ['replace_allowed_ips=', EINVAL],
  ['endpoint=192.0.2.1', EINVAL],
  ['endpoint=192.0.2.1:0', EINVAL],
  ['endpoint=2001:db8::1:4500', EINVAL],
  ['endpoint=example.org:4500', EINVAL],
  ['endpoint=[2001:db8::1]', EINVAL],
  ['persistent_keepalive_interval=65536', EINVAL],
  ['persistent_keepalive_interval=off', EINVAL],
  ['allowed_ip=10.0.0.0', EINVAL],
  ['allowed_ip=10.0.0.0/33', EINVAL],
  ['allowed_ip=010.0.0.0/8', EINVAL],
  ['allowed_ip=::/129', EINVAL],
  ['allowed_ip=--10.0.0.0/8', EINVAL],
  ['protocol_version=2', EINVAL],
  ['colour=green', EINVAL],
  ['get=1', EINVAL],
  ['rx_bytes=1', EINVAL],
  ['listen_port=1\r', EINVAL],
  ['=', EINVAL],
  ['listen_port', EPROTO],
  ['\0', EPROTO],
  ['x'.repeat(lineBytesMax + 1), EPROTO],
  [`fwmark=${'0'.repeat(lineBytesMax)}`, EPROTO],
]

test('a bad line refuses the request, whose rest is skipped', () => {
  for (const [line, errno] of bad) {
    for (const cut of [1, 7, 1 << 20]) {
      const requests = parse(`set=1\nlisten_port=1\n${line}\nfwmark=1\n\nget=1\n\n`, cut)
      assert.equal(requests.length, 2, line)
      assert.equal(requests[0].errno, errno, line)
      assert.deepEqual(requests[0].operations, [], line)
      assert.equal(requests[1].action, 'get', line)
      assert.equal(requests[1].errno, 0, line)
    }
  }
})

test('a link-local endpoint names an interface as getnameinfo writes it', () => {
  const [unknown] = parse('set=1\nendpoint=[fe80::1%no-such-if0]:1\n\n')
  assert.notEqual(unknown.errno, 0)
})

test('requests are the same however the stream is cut, several on one connection', () => {
  const text =
    `get=1\n\nset=1\nprivate_key=${hexKey}\nlisten_port=7\npublic_key=${hexKey}\n` +
    'allowed_ip=10.0.0.0/8\n\nset=1\n\nget=1\n\n'
  const whole = parse(text)
  assert.deepEqual(
    whole.map(request => [request.action, request.operations.length, request.errno]),
    [
      ['get', 0, 0],
      ['set', 4, 0],
      ['set', 0, 0],
      ['get', 0, 0],
    ],
  )
  for (let cut = 1; cut < 40; cut++) assert.deepEqual(parse(text, cut), whole)
})

test('the end of the stream ends a request, but not in the middle of a line', () => {
  const [complete] = parse('set=1\nlisten_port=7\n')
  assert.deepEqual([complete.errno, complete.operations.length, complete.last], [0, 1, true])
  const [get] = parse('get=1\n')
  assert.deepEqual([get.action, get.errno], ['get', 0])
  const [half] = parse('set=1\nlisten_port=7')
  assert.deepEqual([half.action, half.errno, half.operations], ['set', EPROTO, []])
  assert.equal(parse('se')[0].errno, EPROTO)
  assert.deepEqual(parse(''), [])
})

test('what is no request is answered with EPROTO', () => {
  for (const text of ['hello\n\n', '\n', 'get=2\n\n', 'set=1 \n\n', 'GET / HTTP/1.1\r\n\n']) {
    const [request] = parse(text)
    assert.deepEqual([request.action, request.errno], ['none', EPROTO], text)
  }
})

test('read-only: a get passes, a set does not and its keys are not parsed', () => {
  const parser = new RequestParser({ readOnly: true })
  const requests = parser.feed(Buffer.from(`set=1\nprivate_key=${hexKey}\n\nget=1\n\n`))
  assert.deepEqual(
    requests.map(request => [request.action, request.errno, request.operations.length]),
    [
      ['set', EPERM, 0],
      ['get', 0, 0],
    ],
  )
})

test('a request that is too large is the last one', () => {
  const parser = new RequestParser({ readOnly: false, bytesMax: 1000 })
  const line = 'allowed_ip=10.0.0.0/8\n'
  assert.deepEqual(parser.feed(Buffer.from(`set=1\n${line.repeat(40)}`)), [])
  const [request] = parser.feed(Buffer.from(line.repeat(40)))
  assert.deepEqual([request.errno, request.last, request.operations], [E2BIG, true, []])
  assert.deepEqual(parser.feed(Buffer.from('\nget=1\n\n')), [])
  assert.equal(parser.end(), undefined)
})

test('the words for the log never hold a key, not even behind a slip of the pen', () => {
  const lines = [`privat_key=${hexKey}`, `private_key ${hexKey}`, `private_key=${hexKey}x`, hexKey]
  for (const line of lines) {
    const [request] = parse(`set=1\n${line}\n\n`)
    assert.notEqual(request.errno, 0)
    assert.ok(!request.problem.includes(hexKey.slice(0, 8)), request.problem)
  }
})
