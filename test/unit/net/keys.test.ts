import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isZeroKey, parseBase64Key, parseHexKey, writeHexKey } from '../../../src/net/keys.ts'
import { fillRandom } from '../../support/protocol-deps.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

const einval = { name: 'GatewayError', code: 'EINVAL' }

test('keys survive the way through hex and base64, as text and as bytes', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const samples = [new Uint8Array(32), new Uint8Array(32).fill(255)]
  for (let i = 0; i < 256; i++) samples.push(fillRandom(random, new Uint8Array(32)))
  for (const key of samples) {
    const hex = Buffer.from(key).toString('hex')
    const base64 = Buffer.from(key).toString('base64')
    assert.deepEqual(parseHexKey(hex), key, `${hex}, HAWSER_SEED=${seed}`)
    assert.deepEqual(parseHexKey(hex.toUpperCase()), key, hex)
    assert.deepEqual(parseHexKey(Buffer.from(hex)), key, hex)
    assert.deepEqual(parseBase64Key(base64), key, base64)
    assert.deepEqual(parseBase64Key(Buffer.from(base64)), key, base64)
    const out = new Uint8Array(70)
    writeHexKey(key, out, 3)
    assert.equal(Buffer.from(out.subarray(3, 67)).toString(), hex)
  }
})

test('what is not exactly a key is refused', () => {
  const hex = 'a'.repeat(64)
  const base64 = Buffer.alloc(32, 0xaa).toString('base64')
  for (const bad of ['', hex.slice(1), `${hex}a`, `${hex.slice(1)}g`, ` ${hex.slice(1)}`]) {
    assert.throws(() => parseHexKey(bad), einval, bad)
  }
  const noPadding = `${base64.slice(0, 43)}A`
  const looseBits = `${'A'.repeat(42)}B=`
  for (const bad of ['', base64.slice(1), `${base64}=`, noPadding, looseBits]) {
    assert.throws(() => parseBase64Key(bad), einval, bad)
  }
})

test('every other character is refused in either alphabet', () => {
  for (let code = 0; code < 0x300; code++) {
    const character = String.fromCharCode(code)
    const hex = character + '0'.repeat(63)
    if (/[0-9a-fA-F]/.test(character)) assert.equal(parseHexKey(hex)[0], Number(`0x${character}0`))
    else assert.throws(() => parseHexKey(hex), einval, `code ${code}`)
    const base64 = `${character}${'A'.repeat(42)}=`
    if (/[A-Za-z0-9+/]/.test(character)) {
      assert.deepEqual(parseBase64Key(base64), new Uint8Array(Buffer.from(base64, 'base64')))
    } else assert.throws(() => parseBase64Key(base64), einval, `code ${code}`)
  }
})

test('an error does not quote the text', () => {
  const text = 'secret'.repeat(11)
  assert.throws(
    () => parseHexKey(text.slice(0, 64)),
    (error: Error) => !error.message.includes('secret'),
  )
})

test('a key of zeros is told from others, whichever byte differs', () => {
  assert.ok(isZeroKey(new Uint8Array(32)))
  for (let at = 0; at < 32; at++) {
    const key = new Uint8Array(32)
    key[at] = 0x80
    assert.ok(!isZeroKey(key), `byte ${at}`)
  }
})
