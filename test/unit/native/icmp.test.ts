import assert from 'node:assert/strict'
import { closeSync } from 'node:fs'
import { test } from 'node:test'
import { ECHO, loadNative } from '../../../src/native.ts'
import { parseAddress } from '../../../src/net/address.ts'
import { eventually } from '../../support/eventually.ts'
import { ip, namespaceTest } from '../../support/namespace-test.ts'

const native = loadNative()
const rows = 4

function memory() {
  return {
    words: new Float64Array(1 + rows * ECHO.WORDS),
    bytes: new Uint8Array(rows * ECHO.BYTES),
  }
}

const payload = Uint8Array.from({ length: 16 }, (_, i) => i + 1)

for (const [family, address] of [
  [4, '127.0.0.1'],
  [6, '::1'],
] as const) {
  namespaceTest(`echo over IPv${family} comes back with what was sent`, async () => {
    const fd = native.openIcmp({ family, device: 'lo', source: parseAddress(address).bytes })
    const { words, bytes } = memory()
    const to = parseAddress(address).bytes
    assert.equal(native.receiveEchoes(fd, words, bytes), 0)
    const sent = native.sendEcho(fd, to, 0x1234, 0xfffe, payload)
    assert.ok(sent > 0)
    let count = 0
    await eventually(() => {
      count = native.receiveEchoes(fd, words, bytes)
      return count !== 0
    })
    assert.equal(count, 1)
    assert.deepEqual(
      [...words.subarray(1, 3), words[1 + ECHO.LENGTH]],
      [0x1234, 0xfffe, payload.length],
    )
    const roundTripMs = words[1 + ECHO.RECEIVED_MS] - sent
    assert.ok(roundTripMs >= -0.1 && roundTripMs < 1000, `${roundTripMs} ms`)
    assert.deepEqual(bytes.subarray(0, to.length), to)
    assert.deepEqual(bytes.subarray(ECHO.PAYLOAD, ECHO.PAYLOAD + payload.length), payload)
    assert.equal(words[0], 0)
    closeSync(fd)
  })
}

namespaceTest('more replies than rows come with the next calls', async () => {
  const fd = native.openIcmp({ family: 4 })
  const { words, bytes } = memory()
  const to = parseAddress('127.0.0.1').bytes
  for (let sequence = 0; sequence < 10; sequence++) native.sendEcho(fd, to, 7, sequence, payload)
  const seen: number[] = []
  await eventually(() => {
    const count = native.receiveEchoes(fd, words, bytes)
    assert.ok(count >= 0 && count <= rows)
    for (let row = 0; row < count; row++) seen.push(words[1 + row * ECHO.WORDS + ECHO.SEQUENCE])
    return seen.length === 10
  })
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  closeSync(fd)
})

namespaceTest('what cannot be sent says why, and a device that is not there', () => {
  const fd = native.openIcmp({ family: 4 })
  const nowhere = native.sendEcho(fd, parseAddress('192.0.2.1').bytes, 1, 1, payload)
  assert.equal(nowhere, -101) // ENETUNREACH
  closeSync(fd)
  assert.throws(() => native.openIcmp({ family: 4, device: 'none0' }), { code: 'ENODEV' })
  assert.throws(() => native.openIcmp({ family: 4, source: parseAddress('192.0.2.9').bytes }), {
    code: 'EADDRNOTAVAIL',
  })
  assert.equal(native.sendEcho(1_000_000, new Uint8Array(4), 1, 1, payload), -9)
  const { words, bytes } = memory()
  assert.equal(native.receiveEchoes(1_000_000, words, bytes), -9)
})

namespaceTest('a device needs no route for IPv4', () => {
  ip('tuntap add dev up0 mode tun')
  ip('address add 10.1.0.1/32 dev up0')
  ip('link set up0 up')
  const source = parseAddress('10.1.0.1').bytes
  const fd = native.openIcmp({ family: 4, device: 'up0', source })
  assert.ok(native.sendEcho(fd, parseAddress('10.2.0.1').bytes, 1, 1, payload) > 0)
  closeSync(fd)
})

test('arguments out of range are refused before anything is touched', () => {
  const { words, bytes } = memory()
  const range = { name: 'RangeError' }
  const four = new Uint8Array(4)
  assert.throws(() => native.sendEcho(0, new Uint8Array(5), 1, 1, payload), range)
  assert.throws(() => native.sendEcho(0, four, 0x10000, 1, payload), range)
  assert.throws(() => native.sendEcho(0, four, 1, -1, payload), range)
  assert.throws(() => native.sendEcho(0, four, 1, 1, new Uint8Array(49)), range)
  assert.throws(() => native.receiveEchoes(0, words.subarray(0, 4), bytes), range)
  assert.throws(() => native.receiveEchoes(0, words, bytes.subarray(1)), range)
  assert.throws(() => native.receiveEchoes(0, words.subarray(0, 0), bytes), range)
  const wrong = new Int8Array(8) as unknown as Uint8Array
  assert.throws(() => native.sendEcho(0, wrong, 1, 1, payload), { name: 'TypeError' })
  assert.throws(() => native.openIcmp({ family: 5 as 4 }), range)
  assert.throws(() => native.openIcmp({ family: 4, device: 'a-name-of-16-byt' }), range)
  assert.throws(() => native.openIcmp({ family: 6, source: four }), range)
})
