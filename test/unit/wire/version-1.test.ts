// Frames as version 1 of the protocol sends them, recorded. They must stay readable for as long as
// version 1 is one that we speak, whatever becomes of the encoders.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatPrefix, formatRemote } from '../../../src/net/address.ts'
import { decodeForeign, decodeSend, protocol } from '../../../src/wire/codec.ts'
import {
  type Body,
  FrameReader,
  frameBytesMax,
  frameType,
  parseHead,
} from '../../../src/wire/frames.ts'
import { decodeStatus } from '../../../src/wire/status.ts'
import { decodeTables } from '../../../src/wire/tables.ts'
import { until } from '../../support/temporary.ts'
import { RawClient, serveWire } from '../../support/wire.ts'

/** A frame as bytes, put together by hand: the encoder of today has no part in it. */
function recorded(type: number, id: number, head: string, trailer = ''): Buffer {
  const text = Buffer.from(head)
  const bytes = Buffer.from(trailer, 'hex')
  const header = Buffer.alloc(16)
  header.writeUInt32LE(12 + text.length + bytes.length, 0)
  header.writeUInt8(type, 4)
  header.writeUInt32LE(id, 8)
  header.writeUInt32LE(text.length, 12)
  return Buffer.concat([header, text, bytes])
}

const hello = recorded(1, 1, '{"oldest":1,"newest":1}')
const apply = recorded(
  2,
  2,
  '{"generation":7,"device":{"privateKey":[0,32],"listenPort":4500,"fwmark":16,"vxlan":{"vni":1000,' +
    '"address":"241.0.0.1","mac":"02:00:5e:00:00:01"}},"cables":[{"name":"west","driver":' +
    '"wireguard","remote":"[2001:db8::1]:4500","remoteSerial":3,"allowedIps":["10.42.0.0/16",' +
    '"fd00::/64"],"mtuBytes":1380,"publicKey":[32,32],"presharedKey":[64,32],"keepaliveSeconds":25}' +
    ',{"name":"north","driver":"vxlan","remote":"192.0.2.9:4500","remoteSerial":1,"allowedIps":[],' +
    '"tunnelAddress":"241.0.0.2"}]}',
  '01'.repeat(32) + '02'.repeat(32) + '03'.repeat(32),
)
const sendForeign = recorded(6, 3, '{"to":"192.0.2.7:3478","bytes":[0,3]}', '0a0b0c')
const foreign = recorded(
  0x82,
  0,
  '{"from":"192.0.2.7:3478","receivedAtMs":1700000000000.5,"missed":2,"bytes":[0,2]}',
  'fffe',
)
const status = recorded(
  0x80,
  4,
  '{"interfaceName":"gw0","up":true,"mtuBytes":1420,"generation":7,"listenPort":4500,"fwmark":16,' +
    '"pid":99,"startedAtMs":1700000000000,"offloads":{"tunTso":true,"tunUso":false,' +
    '"udpSegmentation":true,"udpGro":true,"reasons":{"tunUso":"EINVAL"}},"receiveBufferBytes":' +
    '8388608,"sendBufferBytes":425984,"cables":[{"name":"west","driver":"wireguard","remote":' +
    '"[2001:db8::1]:4500","lastHandshakeMs":1700000001000,"rxBytes":1,"txBytes":2,"counters":' +
    '{"handshakes":1},"drops":{"replayed":3}}],"counters":{},"drops":{"no-route":4}}',
)

function bodyOf(bytes: Uint8Array): Body {
  const reader = new FrameReader(frameBytesMax)
  reader.push(Uint8Array.from(bytes))
  const frame = reader.next()
  assert.ok(frame)
  return { head: parseHead(frame), trailer: frame.trailer }
}

test('version 1 is the newest or the one before it', () => {
  assert.equal(protocol.oldest, 1)
  assert.ok(protocol.newest - protocol.oldest <= 1)
})

test('a client of version 1 is served', async context => {
  const { path, datapath } = await serveWire(context)
  const client = new RawClient(path)
  client.socket.write(Buffer.concat([hello, apply, sendForeign]))
  await until('all is answered', () => client.frames.length === 3)
  client.socket.destroy()
  const answers = client.frames.map(({ type, id }) => [type, id])
  answers.sort(([, a], [, b]) => a - b)
  assert.deepEqual(
    answers,
    [1, 2, 3].map(id => [frameType.ok, id]),
  )
  assert.equal(datapath.tables.generation, 7)
  assert.deepEqual(datapath.sent[0]?.bytes, Uint8Array.of(10, 11, 12))
})

test('a reader of version 1 is told no field that it would refuse', async context => {
  const { path, datapath } = await serveWire(context)
  const { cables, ...rest } = decodeTables(bodyOf(apply))
  const [west] = cables
  assert.ok(west.driver === 'wireguard')
  datapath.tables = { ...rest, cables: [{ ...west, ciphers: { enabled: 'auto' } }] }
  const readTables = recorded(3, 2, '{}')
  const headFor = async (greeting: Uint8Array) => {
    const client = new RawClient(path)
    client.socket.write(Buffer.concat([greeting, readTables]))
    await until('all is answered', () => client.frames.length === 2)
    client.socket.destroy()
    return JSON.stringify(client.frames[1].head)
  }
  assert.doesNotMatch(await headFor(hello), /ciphers/)
  const newer = recorded(1, 1, '{"oldest":1,"newest":2}')
  assert.match(await headFor(newer), /"ciphers":\{"enabled":"auto"\}/)
})

test('tables of version 1 mean what they meant', () => {
  const { device, cables } = decodeTables(bodyOf(apply))
  assert.deepEqual([device.listenPort, device.fwmark, device.vxlan?.vni], [4500, 16, 1000])
  assert.deepEqual(device.privateKey, new Uint8Array(32).fill(1))
  assert.deepEqual(device.vxlan?.mac, Uint8Array.of(2, 0, 0x5e, 0, 0, 1))
  const [west, north] = cables
  assert.equal(west.remote && formatRemote(west.remote), '[2001:db8::1]:4500')
  assert.deepEqual(west.allowedIps.map(formatPrefix), ['10.42.0.0/16', 'fd00::/64'])
  assert.ok(west.driver === 'wireguard' && north.driver === 'vxlan')
  assert.deepEqual(
    [west.publicKey[0], west.presharedKey?.[0], west.keepaliveSeconds, west.mtuBytes],
    [2, 3, 25, 1380],
  )
  assert.deepEqual(north.tunnelAddress.bytes, Uint8Array.of(241, 0, 0, 2))
})

test('what a data path of version 1 tells is understood', () => {
  const decoded = decodeStatus(bodyOf(status))
  assert.deepEqual([decoded.cables[0].drops, decoded.drops], [{ replayed: 3 }, { 'no-route': 4 }])
  assert.equal(decoded.offloads.reasons['tunUso'], 'EINVAL')
  const { datagram, missed } = decodeForeign(bodyOf(foreign))
  assert.deepEqual([datagram.bytes, missed], [Uint8Array.of(255, 254), 2])
  assert.deepEqual(decodeSend(bodyOf(sendForeign)).bytes, Uint8Array.of(10, 11, 12))
})
