import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CaptureBlock, CaptureRequest } from '../../../src/tables/capture.ts'
import { decodeCaptureRequest } from '../../../src/wire/capture.ts'
import { plainBody } from '../../../src/wire/codec.ts'
import { connectionLimits } from '../../../src/wire/connection.ts'
import { frameType } from '../../../src/wire/frames.ts'
import { until } from '../../support/temporary.ts'
import { RawClient, serveWire } from '../../support/wire.ts'

const request: CaptureRequest = {
  cables: ['west'],
  filter: 'tcp',
  snaplenBytes: 128,
  whole: true,
  inner: true,
  wire: false,
  keys: true,
}

function blockOf(number: number, bytes = 64): CaptureBlock {
  return {
    outbound: new Uint8Array(bytes).fill(number),
    inbound: new Uint8Array(0),
    cables: [[number, `cable-${number}`]],
    lost: [{ cable: number, stage: 1, count: 3 }],
  }
}

test('blocks come in order, and all of them before the end is answered', async context => {
  const { attach, datapath } = await serveWire(context)
  const client = await attach()
  const blocks = Array.from({ length: 30 }, (_, number) => blockOf(number))
  datapath.blocks = [...blocks]
  const seen: CaptureBlock[] = []
  await client.capture(request, block => seen.push(block))
  assert.deepEqual(datapath.captures, [request])
  await client.endCapture()
  assert.deepEqual(seen, blocks)
  assert.ok(datapath.capturesStopped > 0)
  // The connection may have another one now.
  await client.capture({ ...request, keys: false }, () => {})
  assert.equal(datapath.captures.length, 2)
})

test('a capture ends with its connection', async context => {
  const { attach, datapath } = await serveWire(context)
  const client = await attach()
  await client.capture(request, () => {})
  assert.equal(datapath.capturesStopped, 0)
  client.close()
  await until('the capture is stopped', () => datapath.capturesStopped > 0)
})

test('a client that does not read is not waited for, and gets no more than the limit', async context => {
  const { path, datapath, attach } = await serveWire(context)
  const slow = new RawClient(path)
  slow.hello()
  await until('the hello is answered', () => slow.frames.length === 1)
  slow.socket.pause()
  const size = 256 * 1024
  const count = 100
  datapath.blocks = Array.from({ length: count }, (_, number) => blockOf(number, size))
  slow.send(frameType.capture, 2, {})
  const taken = () => (count - datapath.blocks.length) * size
  await until('it is full', () => taken() >= connectionLimits.unsentCapturedBytes)
  // Others are served meanwhile, and the capture is looked at again and again.
  const other = await attach()
  for (let turn = 0; turn < 100; turn++) await other.status()
  assert.ok(taken() < connectionLimits.unsentCapturedBytes + 8 * size, `${taken()} bytes`)
  slow.socket.destroy()
  await until('the capture is stopped', () => datapath.capturesStopped > 0)
})

test('a connection has one capture, and ends none that it does not have', async context => {
  const { attach } = await serveWire(context)
  const client = await attach()
  await assert.rejects(client.endCapture(), { code: 'ENOENT' })
  await client.capture(request, () => {})
  await assert.rejects(
    client.capture(request, () => {}),
    { code: 'EBUSY' },
  )
})

test('a request is checked field by field; what is left out has a default', () => {
  assert.deepEqual(decodeCaptureRequest(plainBody({})), {
    filter: '',
    snaplenBytes: 65_535,
    whole: false,
    inner: true,
    wire: true,
    keys: false,
  })
  for (const head of [
    { snaplenBytes: 63 },
    { snaplenBytes: 65_536 },
    { filter: 1 },
    { whole: 'yes' },
    { cables: 'west' },
    { cables: [1] },
    { filters: '' },
    null,
  ])
    assert.throws(() => decodeCaptureRequest(plainBody(head)), { code: 'EINVAL' })
})
