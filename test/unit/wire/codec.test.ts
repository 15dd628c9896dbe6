import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseRemote } from '../../../src/net/address.ts'
import { GatewayError } from '../../../src/net/errors.ts'
import {
  agreeVersion,
  decodeError,
  decodeForeign,
  decodeSend,
  encodeError,
  encodeForeign,
  encodeSend,
} from '../../../src/wire/codec.ts'
import {
  type Body,
  encodeFrame,
  FrameReader,
  frameBytesMax,
  parseHead,
} from '../../../src/wire/frames.ts'
import { decodeStatus, encodeStatus } from '../../../src/wire/status.ts'
import { decodeTables, encodeTables, wipeTables } from '../../../src/wire/tables.ts'
import { arbitraryRemote, arbitraryStatus, arbitraryTables } from '../../support/arbitraries.ts'
import { testSeed } from '../../support/rng.ts'

/** Through a frame and back, as over a socket. */
function overTheWire(body: Body): Body {
  const reader = new FrameReader(frameBytesMax)
  reader.push(encodeFrame(1, 2, body))
  const frame = reader.next()
  assert.ok(frame)
  return { head: parseHead(frame), trailer: frame.trailer }
}

function everySurvives<T>(arbitrary: fc.Arbitrary<T>, roundTrip: (value: T) => T): void {
  fc.assert(
    fc.property(arbitrary, value => {
      assert.deepEqual(plain(roundTrip(value)), plain(value))
    }),
    { seed: testSeed(), numRuns: 300 },
  )
}

/** fast-check makes objects without a prototype now and then, which deepEqual tells apart. */
function plain<T>(value: T): T {
  return structuredClone(value)
}

test('every snapshot of tables survives', () => {
  everySurvives(arbitraryTables, tables => decodeTables(overTheWire(encodeTables(tables, true))))
})

test('every status survives', () => {
  everySurvives(arbitraryStatus, status => decodeStatus(overTheWire(encodeStatus(status))))
})

test('every datagram survives, pushed and sent', () => {
  const bytes: fc.Arbitrary<Uint8Array> = fc.uint8Array({ minLength: 1, maxLength: 2000 })
  const datagram = fc.record({ from: arbitraryRemote, receivedAtMs: fc.nat(), bytes })
  everySurvives(fc.record({ datagram, missed: fc.nat() }), value =>
    decodeForeign(overTheWire(encodeForeign(value.datagram, value.missed))),
  )
  everySurvives(fc.record({ to: arbitraryRemote, bytes }), ({ to, bytes }) =>
    decodeSend(overTheWire(encodeSend(to, bytes))),
  )
})

test('an error keeps its code, message and hint', () => {
  const rows = [
    new GatewayError('EADDRINUSE', 'port 4500 is taken', { hint: 'ss -ulpn' }),
    new GatewayError('ENOSPC', 'no room'),
  ]
  for (const error of rows) {
    const { code, message, hint } = decodeError(overTheWire(encodeError(error)))
    assert.deepEqual([code, message, hint], [error.code, error.message, error.hint])
  }
})

test('no secret is in a snapshot that is encoded without keys, and none in any head', () => {
  const privateKey = new Uint8Array(32).fill(0xa5)
  const presharedKey = new Uint8Array(32).fill(0x5a)
  const publicKey = new Uint8Array(32).fill(0x11)
  const cable = { name: 'west', driver: 'wireguard', publicKey, presharedKey } as const
  const tables = {
    generation: 1,
    device: { privateKey, listenPort: 0, fwmark: 0 },
    cables: [{ ...cable, remoteSerial: 1, allowedIps: [], keepaliveSeconds: 0 }],
  }
  const without = encodeTables(tables, false)
  assert.deepEqual(without.trailer, publicKey)
  const decoded = decodeTables(overTheWire(without))
  assert.equal('privateKey' in decoded.device, false)
  assert.equal('presharedKey' in decoded.cables[0], false)

  const withKeys = encodeTables(tables, true)
  assert.equal(withKeys.trailer.length, 96)
  const head = JSON.stringify(withKeys.head)
  for (const key of [privateKey, presharedKey, publicKey])
    for (const form of ['base64', 'hex'] as const)
      assert.equal(head.includes(Buffer.from(key).toString(form)), false)

  wipeTables(tables)
  assert.deepEqual([privateKey, presharedKey], [new Uint8Array(32), new Uint8Array(32)])
})

const goodCable = {
  name: 'west',
  driver: 'wireguard',
  remote: '192.0.2.1:4500',
  remoteSerial: 1,
  allowedIps: ['10.42.0.0/16', 'fd00::/64'],
  publicKey: [0, 32],
  keepaliveSeconds: 25,
}
const goodDevice = { listenPort: 4500, fwmark: 1 }

function snapshot(cable: object, device: object = {}): object {
  return {
    generation: 1,
    device: { ...goodDevice, ...device },
    cables: [{ ...goodCable, ...cable }],
  }
}

const vxlanCable = { name: 'x', driver: 'vxlan', tunnelAddress: '241.0.0.1' }

const refused: readonly [head: unknown, complaint: RegExp][] = [
  [snapshot({ ciphers: 'auto' }), /^cables\[0\]\.ciphers: expected an object$/],
  [snapshot({ ciphers: {} }), /^cables\[0\]\.ciphers\.enabled: .*, or auto; known are chacha20/],
  [snapshot({ ciphers: { enabled: [] } }), /^cables\[0\]\.ciphers\.enabled: expected a list/],
  [
    snapshot({ ciphers: { enabled: ['aes-256-gcm', 'des'] } }),
    /^cables\[0\]\.ciphers\.enabled\[1\]: unknown cipher; known are chacha20-poly1305, aes-256-gcm$/,
  ],
  [
    snapshot({ ciphers: { enabled: ['aes-256-gcm', 'aes-256-gcm'] } }),
    /^cables\[0\]\.ciphers\.enabled\[1\]: aes-256-gcm stands there twice$/,
  ],
  [
    snapshot({ ciphers: { enabled: 'auto', remote: 'auto' } }),
    /^cables\[0\]\.ciphers\.remote: expected a list$/,
  ],
  [snapshot({ ciphers: { enabled: 'auto', x: 1 } }), /^cables\[0\]\.ciphers\.x: unknown field/],
  [null, /^expected an object$/],
  [[], /^expected an object$/],
  [{}, /^generation: expected a whole number/],
  [{ generation: -1 }, /^generation: /],
  [{ generation: 1.5 }, /^generation: /],
  [{ generation: 2 ** 53 }, /^generation: /],
  [{ generation: 1 }, /^device: expected an object$/],
  [{ generation: 1, device: {}, cables: {} }, /^cables: expected a list$/],
  [{ generation: 1, device: {}, cables: [1] }, /^cables\[0\]: expected an object$/],
  [{ generation: 1, device: {}, nat: [] }, /^nat: unknown field/],
  [snapshot({}, { listenPort: 65_536 }), /^device\.listenPort: .* 65535$/],
  [snapshot({}, { fwmark: '7' }), /^device\.fwmark: /],
  [snapshot({}, { privateKey: [0, 31] }), /^device\.privateKey: expected 32 bytes/],
  [snapshot({}, { privatekey: [0, 32] }), /^device\.privatekey: unknown field; known are private/],
  [snapshot({}, { vxlan: { vni: 1, address: '241.0.0.1', mac: '2:0' } }), /^device\.vxlan\.mac: /],
  [snapshot({}, { vxlan: { vni: 2 ** 24 } }), /^device\.vxlan\.vni: /],
  [snapshot({ driver: 'ipsec' }), /^cables\[0\]\.driver: expected wireguard or vxlan$/],
  [snapshot({ name: '' }), /^cables\[0\]\.name: expected 1 to 63/],
  [snapshot({ name: 'a b' }), /^cables\[0\]\.name: /],
  [snapshot({ name: 'a\x1b[31m' }), /^cables\[0\]\.name: /],
  [snapshot({ name: 'x'.repeat(64) }), /^cables\[0\]\.name: /],
  [snapshot({ remote: '192.0.2.1' }), /^cables\[0\]\.remote: "192\.0\.2\.1" is not a UDP address/],
  [
    snapshot({ allowedIps: ['10.0.0.0/8', '10/8'] }),
    /^cables\[0\]\.allowedIps\[1\]: "10" is not an IP address/,
  ],
  [snapshot({ allowedIps: [7] }), /^cables\[0\]\.allowedIps\[0\]: expected a prefix$/],
  [snapshot({ mtuBytes: 67 }), /^cables\[0\]\.mtuBytes: /],
  [snapshot({ keepaliveSeconds: 70_000 }), /^cables\[0\]\.keepaliveSeconds: /],
  [snapshot({ publicKey: 'AAAA' }), /^cables\[0\]\.publicKey: expected 32 bytes$/],
  [snapshot({ publicKey: [1, 32] }), /^cables\[0\]\.publicKey: expected 32 bytes in the trailer$/],
  [snapshot({ publicKey: [-1, 32] }), /^cables\[0\]\.publicKey: /],
  [snapshot({ publicKey: [2 ** 53, 32] }), /^cables\[0\]\.publicKey: /],
  [snapshot({ publicKey: [0, 32, 0] }), /^cables\[0\]\.publicKey: /],
  [snapshot({ tunnelAddress: '241.0.0.1' }), /^cables\[0\]\.tunnelAddress: unknown field/],
  [snapshot(vxlanCable), /^cables\[0\]\.(keepaliveSeconds|publicKey): unknown field/],
  [{ generation: 1, device: {}, cables: [vxlanCable] }, /^cables\[0\]\.driver: .*device\.vxlan$/],
  [
    { generation: 1, device: {}, cables: [goodCable, { ...goodCable, name: 'w2' }] },
    /^cables\[1\]\.publicKey: the same as that of cables\[0\]$/,
  ],
  [
    { generation: 1, device: {}, cables: [goodCable, goodCable] },
    /^cables\[1\]\.name: the same as that of cables\[0\]$/,
  ],
]

test('what is no snapshot is refused with the path of the field', () => {
  const trailer = new Uint8Array(32)
  const { cables } = decodeTables({ head: snapshot({}), trailer })
  assert.deepEqual([cables[0].name, cables[0].allowedIps.length], ['west', 2])
  for (const [head, complaint] of refused)
    assert.throws(
      () => decodeTables({ head, trailer }),
      (error: GatewayError) => {
        assert.equal(error.code, 'EINVAL')
        assert.match(error.message, complaint)
        return true
      },
      JSON.stringify(head),
    )
})

test('more cables than the data path holds are refused', () => {
  const head = { generation: 1, device: {}, cables: new Array(16_385).fill(goodCable) }
  assert.throws(() => decodeTables({ head, trailer: new Uint8Array(32) }), /at most 16384/)
})

test('the newest version that both speak is chosen, else both ranges are named', () => {
  const ours = { oldest: 1, newest: 2 }
  const agreed: readonly [oldest: number, newest: number, version: number][] = [
    [1, 1, 1],
    [1, 2, 2],
    [2, 2, 2],
    [2, 3, 2],
    [0, 1, 1],
    [0, 9, 2],
  ]
  for (const [oldest, newest, version] of agreed)
    assert.equal(agreeVersion(ours, { oldest, newest }), version)
  for (const newest of [0, 3])
    assert.throws(
      () => agreeVersion(ours, { oldest: newest, newest }),
      (error: GatewayError) =>
        error.code === 'EPROTONOSUPPORT' &&
        error.message.includes('1 to 2') &&
        error.message.includes(`client ${newest}`),
    )
})

test('a remote with a scope survives', () => {
  const remote = parseRemote('[fe80::1%3]:4500')
  assert.deepEqual(decodeSend(overTheWire(encodeSend(remote, Uint8Array.of(1)))).to, remote)
})
