import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type CipherName,
  type CipherTable,
  cipherMethods,
  cipherNames,
  cipherOf,
  equalCiphers,
  formatCiphers,
  parseCipherChoice,
  parseCipherList,
  preferredCipher,
  rankedCiphers,
} from '../../../src/tables/cipher.ts'
import { method } from '../../../src/tables/shared.ts'

const chacha = 'chacha20-poly1305'
const aes = 'aes-256-gcm'
const aesFirst: readonly CipherName[] = [aes, chacha]
const chachaFirst: readonly CipherName[] = [chacha, aes]

test('names and methods belong together', () => {
  for (const name of cipherNames) assert.equal(cipherOf(cipherMethods[name]), name)
  assert.equal(cipherOf(method.vxlan), undefined)
  assert.equal(cipherOf(method.free), undefined)
})

test('what is accepted, and what a handshake is made with', () => {
  const rows: readonly (readonly [
    CipherTable | undefined,
    auto: readonly CipherName[],
    accepted: readonly CipherName[],
    preferred: CipherName,
  ])[] = [
    [undefined, aesFirst, [chacha], chacha],
    [{ enabled: [chacha] }, aesFirst, [chacha], chacha],
    [{ enabled: [chacha], remote: [aes] }, aesFirst, [chacha], chacha],
    // Not named, and always there.
    [{ enabled: [aes] }, aesFirst, [aes, chacha], chacha],
    [{ enabled: [aes], remote: [chacha] }, aesFirst, [aes, chacha], chacha],
    [{ enabled: [aes], remote: [aes] }, aesFirst, [aes, chacha], aes],
    // Every peer takes ChaCha20-Poly1305, whether it says so or not.
    [{ enabled: [chacha, aes], remote: [aes] }, aesFirst, [chacha, aes], chacha],
    [{ enabled: [aes, chacha], remote: [chacha, aes] }, chachaFirst, [aes, chacha], aes],
    [{ enabled: 'auto', remote: [chacha, aes] }, aesFirst, aesFirst, aes],
    [{ enabled: 'auto', remote: [chacha, aes] }, chachaFirst, chachaFirst, chacha],
    [{ enabled: 'auto' }, aesFirst, aesFirst, chacha],
  ]
  for (const [table, auto, accepted, preferred] of rows) {
    const text = JSON.stringify([table, auto])
    assert.deepEqual(rankedCiphers(table, auto), accepted, text)
    assert.equal(preferredCipher(table, auto), preferred, text)
  }
})

test('lists are read as they are written, and what is wrong is named', () => {
  for (const choice of ['auto', aesFirst, chachaFirst, [aes], [chacha]] as const) {
    assert.deepEqual(parseCipherChoice(formatCiphers(choice)), choice)
  }
  assert.deepEqual(parseCipherList(' aes-256-gcm , chacha20-poly1305 '), aesFirst)
  const wrong = (text: string) => {
    const parsed = parseCipherList(text)
    assert.ok('wrong' in parsed, text)
    return parsed.wrong
  }
  const known = 'known are chacha20-poly1305, aes-256-gcm'
  assert.equal(wrong('rot13'), `unknown cipher "rot13"; ${known}`)
  assert.equal(wrong(''), `unknown cipher ""; ${known}`)
  assert.equal(wrong('aes-256-gcm,'), `unknown cipher ""; ${known}`)
  assert.equal(wrong('auto'), `unknown cipher "auto"; ${known}`)
  assert.match(wrong('none'), /driver vxlan/)
  assert.equal(wrong('aes-256-gcm,aes-256-gcm'), 'aes-256-gcm stands there twice')
  const choice = parseCipherChoice('AES')
  assert.ok(typeof choice === 'object' && 'wrong' in choice)
  assert.match(choice.wrong, /known are .*-gcm, auto$/)
})

test('equal is what means the same', () => {
  assert.ok(equalCiphers(undefined, undefined))
  assert.ok(equalCiphers({ enabled: [aes] }, { enabled: [aes] }))
  assert.ok(equalCiphers({ enabled: 'auto', remote: [aes] }, { enabled: 'auto', remote: [aes] }))
  for (const [a, b] of [
    [undefined, { enabled: [chacha] }],
    [{ enabled: aesFirst }, { enabled: chachaFirst }],
    [{ enabled: 'auto' }, { enabled: aesFirst }],
    [{ enabled: 'auto' }, { enabled: 'auto', remote: [aes] }],
  ] as const) {
    assert.ok(!equalCiphers(a, b) && !equalCiphers(b, a))
  }
})
