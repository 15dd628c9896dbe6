import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import {
  formatBase64Key,
  formatHexKey,
  isZeroKey,
  PrivateKey,
  parseBase64Key,
  parseHexKey,
  writeHexKey,
} from '../../../src/net/keys.ts'
import { fillRandom } from '../../support/protocol-deps.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

const einval = { name: 'GatewayError', code: 'EINVAL' }

test('keys survive the way through hex and base64, as text and as bytes', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const samples = [new Uint8Array(32), new Uint8Array(32).fill(255)]
  for (let i = 0; i < 256; i++) samples.push(fillRandom(random, new Uint8Array(32)))
  for (const key of samples) {
    const hex = formatHexKey(key)
    const base64 = formatBase64Key(key)
    assert.match(hex, /^[0-9a-f]{64}$/, `seed ${seed}`)
    assert.deepEqual(parseHexKey(hex), key, hex)
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
  const base64 = formatBase64Key(new Uint8Array(32).fill(0xaa))
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

test('a private key shows nothing of itself', () => {
  const bytes = new Uint8Array(32).fill(0xab)
  const key = new PrivateKey(bytes)
  const shown = [inspect(key), inspect({ key }), JSON.stringify({ key }), String(key), `${key}`]
  for (const text of shown) assert.doesNotMatch(text, /ab|171|q6ur/i, text)
  assert.deepEqual(Object.keys(key), [])
})

test('a private key is a copy, lent to its user, and zero once wiped', () => {
  const bytes = new Uint8Array(32).fill(0xab)
  const key = new PrivateKey(bytes)
  bytes.fill(1)
  assert.equal(
    key.use(lent => lent[31]),
    0xab,
  )
  key.wipe()
  assert.ok(key.use(isZeroKey))
  const hex = 'ab'.repeat(32)
  assert.equal(PrivateKey.fromHex(Buffer.from(hex)).use(formatHexKey), hex)
  assert.ok(PrivateKey.fromBase64(`${'A'.repeat(43)}=`).use(isZeroKey))
  assert.throws(() => new PrivateKey(new Uint8Array(31)), einval)
})
