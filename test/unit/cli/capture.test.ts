import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Command } from 'commander'
import { RECORD, stage } from '../../../src/capture/record.ts'
import { captureCommand } from '../../../src/cli/capture.ts'
import { CaptureSection } from '../../../src/cli/capture-file.ts'
import { fileSink, RotatingFiles } from '../../../src/cli/capture-sink.ts'
import type { CaptureBlock } from '../../../src/tables/capture.ts'
import { drop, noCable } from '../../../src/tables/counters.ts'
import { ipv4, pattern, udp } from '../../support/packets.ts'
import { slowPackets, slowPcapng } from '../../support/slow/pcapng.ts'
import { temporaryDirectory } from '../../support/temporary.ts'
import { serveWire } from '../../support/wire.ts'

interface RecordSpec {
  readonly nanos: number
  readonly stage?: number
  readonly cable?: number
  readonly drop?: number
  readonly stored?: Uint8Array
}

const packet = ipv4({}, udp({ payload: pattern(100) }))

function records(isOutbound: boolean, ...specs: readonly RecordSpec[]): Uint8Array {
  return Buffer.concat(
    specs.map(spec => {
      const stored = spec.stored ?? packet
      const bytes = new Uint8Array((RECORD.BYTES + stored.length + 7) & -8)
      const words = new Int32Array(bytes.buffer)
      words[RECORD.LENGTH] = bytes.length
      words[RECORD.STAGE] = spec.stage ?? stage.inner
      words[RECORD.OUTBOUND] = isOutbound ? 1 : 0
      words[RECORD.SECONDS] = 1_700_000_000
      words[RECORD.NANOS] = spec.nanos
      words[RECORD.CABLE] = spec.cable ?? 0
      words[RECORD.WHOLE] = stored.length
      words[RECORD.SEGMENTS] = 1
      words[RECORD.STORED] = stored.length
      words[RECORD.DROP] = spec.drop ?? 0
      bytes.set(stored, RECORD.BYTES)
      return bytes
    }),
  ).slice()
}

function blockOf(outbound: readonly RecordSpec[], inbound: readonly RecordSpec[] = []) {
  const cables = [[0, 'west']] as const
  const both = { outbound: records(true, ...outbound), inbound: records(false, ...inbound) }
  return { ...both, cables, lost: [] } satisfies CaptureBlock
}

const options = { application: 'hawser', snaplenBytes: 65_535, filter: '' }

function fileOf(section: CaptureSection, ...blocks: readonly CaptureBlock[]): Buffer {
  const start = section.begin()
  const taken = blocks.flatMap(block => [...section.take(block, Number.POSITIVE_INFINITY)])
  return Buffer.concat([start, ...taken, ...section.end()])
}

test('both ways come in the order of time, each stage as an interface', () => {
  const block = blockOf(
    [{ nanos: 1 }, { nanos: 4, stage: stage.wire }],
    [
      { nanos: 2, drop: drop.replayed },
      { nanos: 3, cable: noCable, drop: drop.noRoute },
    ],
  )
  const found = slowPackets(fileOf(new CaptureSection(options), block))
  assert.deepEqual(
    found.map(({ nanos, interfaceName, flags, comment }) => [
      nanos - 1_700_000_000_000_000_000n,
      interfaceName,
      flags,
      comment,
    ]),
    [
      [1n, 'west inner', 2, 'cable west'],
      [2n, 'west inner', 1, 'cable west, dropped: replayed'],
      [3n, 'no cable inner', 1, 'no cable, dropped: no-route'],
      [4n, 'west wire', 2, 'cable west'],
    ],
  )
  assert.deepEqual(found[0].packet, Buffer.from(packet))
})

/** Packets received and dropped, by interface number. */
function statisticsOf(file: Buffer): bigint[][] {
  return slowPcapng(file)
    .filter(({ type }) => type === 5)
    .map(({ body, options: given }) => [
      BigInt(body.readUInt32LE(0)),
      ...given.map(({ value }) => value.readBigUInt64LE()),
    ])
}

test('what was lost is in the statistics, of each file its own', () => {
  const section = new CaptureSection(options)
  const lost = (count: number) => ({
    ...blockOf([{ nanos: count }]),
    lost: [
      { cable: 0, stage: stage.inner, count },
      { cable: 0, stage: stage.wire, count: 2 },
    ],
  })
  assert.deepEqual(statisticsOf(fileOf(section, lost(5))), [
    [0n, 6n, 5n],
    [1n, 2n, 2n],
  ])
  assert.deepEqual(statisticsOf(fileOf(section, lost(8))), [[0n, 4n, 3n]])
  assert.deepEqual([section.packets, section.lost], [2, 10])
})

test('a count ends in the middle of a block', () => {
  const section = new CaptureSection(options)
  const block = blockOf([{ nanos: 1 }, { nanos: 2 }, { nanos: 3 }])
  section.begin()
  assert.equal([...section.take(block, 2)].length, 3, 'an interface and two packets')
  assert.equal(section.packets, 2)
})

test('secrets stand in front of what they open', () => {
  const key = (number: number) => new Uint8Array(32).fill(number)
  const text = (number: number) => Buffer.from(key(number)).toString('base64')
  const cable = {
    driver: 'wireguard',
    name: 'west',
    ...{ publicKey: key(2), presharedKey: key(4) },
    ...{ remoteSerial: 1, allowedIps: [], keepaliveSeconds: 0 },
  } as const
  const device = { privateKey: key(1), listenPort: 0, fwmark: 0 }
  const section = new CaptureSection({
    ...options,
    tables: { generation: 1, device, cables: [cable] },
  })
  const secret = { nanos: 1, stage: stage.secret, stored: key(3) }
  const file = fileOf(section, blockOf([{ nanos: 2 }], [secret, { ...secret, cable: 9 }]))
  const blocks = slowPcapng(file)
  assert.deepEqual(
    blocks.map(({ type }) => type),
    [0x0a0d0d0a, 10, 1, 6, 5],
  )
  assert.deepEqual(`${blocks[1].body.subarray(8)}`.trim().split('\n'), [
    `LOCAL_STATIC_PRIVATE_KEY = ${text(1)}`,
    `REMOTE_STATIC_PUBLIC_KEY = ${text(2)}`,
    `LOCAL_EPHEMERAL_PRIVATE_KEY = ${text(3)}`,
    `PRESHARED_KEY = ${text(4)}`,
  ])
  assert.equal(section.packets, 1)
})

test('a rotating set keeps the newest files', async context => {
  const directory = temporaryDirectory(context)
  const files = new RotatingFiles(join(directory, 'a.b.pcapng'), 2)
  for (let count = 1; count <= 4; count++) {
    const sink = files.next()
    await sink.write(pattern(count))
    assert.equal(sink.bytes, count)
    sink.close()
  }
  assert.deepEqual(readdirSync(directory).sort(), ['a.b-00003.pcapng', 'a.b-00004.pcapng'])
  assert.equal(statSync(join(directory, 'a.b-00004.pcapng')).size, 4)
})

test('a file that cannot be written is named with the reason', async () => {
  assert.throws(() => fileSink('/nowhere/a.pcapng'), {
    code: 'ENOENT',
    message: 'cannot write /nowhere/a.pcapng: there is no such directory',
  })
  const full = fileSink('/dev/full')
  await assert.rejects(full.write(pattern(9)), {
    code: 'ENOSPC',
    message: 'cannot write /dev/full: no space is left on the device',
  })
  full.close()
})

async function run(args: readonly string[]): Promise<void> {
  const command = captureCommand()
    .exitOverride()
    .configureOutput({ outputError: () => {} })
  const program = new Command('hawser').exitOverride().addCommand(command)
  await program.parseAsync(['capture', ...args], { from: 'user' })
}

async function captured(context: TestContext, ...args: readonly string[]) {
  const { path, datapath } = await serveWire(context)
  const file = join(temporaryDirectory(context), 'all.pcapng')
  datapath.blocks = [blockOf([{ nanos: 1 }]), blockOf([{ nanos: 2 }, { nanos: 3 }])]
  await run(['--socket', path, '-w', file, ...args])
  const packets = existsSync(file) ? slowPackets(readFileSync(file)) : []
  return { request: datapath.captures[0], packets, file }
}

test('words in front are cables, the others are the filter', async context => {
  const words = ['west', 'north', 'host', '10.0.0.1', 'and', '(tcp', 'port', '80)']
  const { request, packets, file } = await captured(context, ...words, '-c', '3')
  assert.deepEqual(request, {
    cables: ['west', 'north'],
    filter: 'host 10.0.0.1 and (tcp port 80)',
    snaplenBytes: 65_535,
    ...{ whole: false, inner: true, wire: true, keys: false },
  })
  assert.equal(packets.length, 3)
  assert.equal(statSync(file).mode & 0o777, 0o600)
})

test('options are what the data path is asked for', async context => {
  const flags = ['--super', '--snaplen', '142', '--stage', 'wire', '-c', '1']
  const { request, packets } = await captured(context, ...flags, 'tcp port 80')
  assert.deepEqual(request, {
    filter: 'tcp port 80',
    snaplenBytes: 128,
    ...{ whole: true, inner: false, wire: true, keys: false },
  })
  assert.equal(packets.length, 1)
})

test('a capture ends when its time is up, with all that was captured', async context => {
  const { packets } = await captured(context, '--duration', '1')
  assert.equal(packets.length, 3)
})

test('files rotate by their size, and none of them is half a file', async context => {
  const { file } = await captured(context, '--rotate', '4096', '--duration', '1')
  assert.equal(existsSync(file), false)
  assert.equal(slowPackets(readFileSync(file.replace('.pcapng', '-00001.pcapng'))).length, 3)
})

const usages: readonly (readonly [args: readonly string[], code: string])[] = [
  [['--rotate', '1M'], 'USAGE'],
  [['--rotate', '1M', '-w', '-'], 'USAGE'],
  [['--files', '3', '-w', 'x'], 'USAGE'],
  [['--keys', '--stage', 'inner', '-w', 'x'], 'USAGE'],
  [['--keys', '--rotate', '1M', '-w', 'x'], 'USAGE'],
  [['--rotate', '4095', '-w', 'x'], 'commander.invalidArgument'],
  [['--snaplen', '77'], 'commander.invalidArgument'],
  [['host', 'nowhere'], 'BAD_FILTER'],
  [['west', 'tcp', 'and'], 'BAD_FILTER'],
]

test('what makes no sense is refused before anything is asked of a data path', async () => {
  for (const [args, code] of usages)
    await assert.rejects(run([...args, '--socket', '/nowhere.sock']), { code }, args.join(' '))
})

test('a data path that ends takes the capture with it, and leaves a whole file', async context => {
  const { path, datapath, server } = await serveWire(context)
  const file = join(temporaryDirectory(context), 'all.pcapng')
  datapath.blocks = [blockOf([{ nanos: 1 }])]
  const running = run(['--socket', path, '-w', file])
  const failed = assert.rejects(running, { code: 'UNREACHABLE', exit: 3 })
  while (!existsSync(file) || slowPackets(readFileSync(file)).length === 0)
    await new Promise(resolve => setImmediate(resolve))
  await server.close()
  await failed
  assert.deepEqual(statisticsOf(readFileSync(file)), [[0n, 1n, 0n]])
})

test('a device that is captured to keeps its mode', () => {
  for (const device of ['/dev/null', '/dev/full']) {
    const before = statSync(device).mode
    fileSink(device).close()
    assert.equal(statSync(device).mode, before)
  }
  assert.equal(statSync('/dev/null').mode & 0o777, 0o666)
})
