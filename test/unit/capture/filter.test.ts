import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseFilter, resolveCables, startsFilter } from '../../../src/capture/filter.ts'
import { createMatcher, type Subject } from '../../../src/capture/matcher.ts'
import { exitCode, GatewayError } from '../../../src/net/errors.ts'
import { PacketView } from '../../../src/packet/packet-view.ts'
import { drop } from '../../../src/tables/counters.ts'
import { fragmentHeader, icmp, ipv4, ipv6, tcp, udp } from '../../support/packets.ts'
import { below, pick, type Random } from '../../support/random-superpackets.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'

const cables = ['west', 'north']

function subjectOf(bytes: Uint8Array, facts: Partial<Subject> = {}): Subject {
  const packet = new PacketView(bytes)
  const isPacket = packet.decode(0, bytes.length)
  return { packet, isPacket, isWire: false, isOutbound: true, cable: 0, drop: 0, ...facts }
}

function matches(text: string, subject: Subject): boolean {
  const filter = parseFilter(text)
  return !filter || createMatcher(resolveCables(filter, name => cables.indexOf(name)))(subject)
}

const ports = { sourcePort: 40_000, destinationPort: 80 }
const web = ipv4({ source: '10.1.0.7', destination: '10.2.0.9' }, tcp(ports))
const dns = ipv6({ source: 'fd00:1::7', destination: 'fd00:2::9' }, udp({ destinationPort: 53 }))
const ping = ipv4({ source: '200.1.0.7', destination: '255.2.0.9' }, icmp(8))
const fragment = ipv6({ source: 'fd00:1::7', extensions: [fragmentHeader(8, true)] }, udp())

const rows: readonly (readonly [text: string, packet: Uint8Array, expected: boolean])[] = [
  ['', web, true],
  ['host 10.1.0.7', web, true],
  ['host 10.2.0.9', web, true],
  ['src host 10.2.0.9', web, false],
  ['dst host 10.2.0.9', web, true],
  ['src 10.1.0.7', web, true],
  ['dst 10.1.0.0/16', web, false],
  ['host 10.1.0.7', dns, false],
  ['net 10.1.0.0/16', web, true],
  ['net 10.1.0.0/31', web, false],
  ['net 0.0.0.0/0', web, true],
  ['net 0.0.0.0/0', dns, false],
  ['net 200.0.0.0/7', ping, true],
  ['dst net 254.0.0.0/7', ping, true],
  ['net ::/0', dns, true],
  ['net ::/0', web, false],
  ['host fd00:1::7', dns, true],
  ['src net fd00:2::/32', dns, false],
  ['dst net fd00:2::/32', dns, true],
  ['net fd00:1::6/127', dns, true],
  ['net fd00:1::4/127', dns, false],
  ['port 80', web, true],
  ['port 40000', web, true],
  ['src port 80', web, false],
  ['dst port 80', web, true],
  ['portrange 79-81', web, true],
  ['portrange 81-90', web, false],
  ['port 0', ping, false],
  ['port 0', fragment, false],
  ['tcp port 80', web, true],
  ['udp port 80', web, false],
  ['udp dst port 53', dns, true],
  ['ip6 host fd00:1::7', dns, true],
  ['tcp', web, true],
  ['icmp', ping, true],
  ['proto tcp', web, true],
  ['proto 17', dns, true],
  ['proto icmp6', dns, false],
  ['ip', web, true],
  ['ip6', web, false],
  ['not tcp', web, false],
  ['! udp && ip', web, true],
  ['udp or tcp and dst port 81', web, false],
  ['(udp or tcp) and dst port 80', web, true],
  ['tcp or udp and port 9', web, true],
  ['not (tcp or udp)', ping, true],
  ['not not tcp', web, true],
  ['cable west', web, true],
  ['cable north', web, false],
  ['outbound', web, true],
  ['inbound', web, false],
  ['inner', web, true],
  ['wire', web, false],
  ['drop', web, false],
]

test('a filter matches what it says', () => {
  for (const [text, packet, expected] of rows)
    assert.equal(matches(text, subjectOf(packet)), expected, text)
})

test('a filter matches by what the path made of the packet', () => {
  const dropped = { drop: drop.tooBig, cable: 1, isWire: true, isOutbound: false }
  const subject = subjectOf(web, dropped)
  for (const text of ['drop', 'drop too-big', 'cable north', 'wire', 'inbound'])
    assert.equal(matches(text, subject), true, text)
  for (const text of ['drop no-route', 'cable west', 'inner', 'outbound', 'drop replayed or udp'])
    assert.equal(matches(text, subject), false, text)
  assert.equal(matches('cable west', subjectOf(web, { cable: -1 })), false)
})

test('what is no packet has no addresses, no ports and no protocol', () => {
  const subject = subjectOf(web.subarray(0, 19), { drop: drop.malformedPacket })
  assert.equal(subject.isPacket, false)
  for (const text of ['ip', 'ip6', 'tcp', 'port 80', 'net 0.0.0.0/0', 'net ::/0'])
    assert.equal(matches(text, subject), false, text)
  assert.equal(matches('drop malformed-packet', subject), true)
})

const errors: readonly (readonly [text: string, position: number, what: string])[] = [
  ['host', 5, 'expected an IP address'],
  ['host west', 6, 'expected an IP address'],
  ['host 10.0.0.0/8', 6, 'expected an IP address'],
  ['tcp and net 10.0.0.0/33', 13, 'expected a prefix'],
  ['port 65536', 6, 'expected a port'],
  ['port http', 6, 'expected a port'],
  ['portrange 9-8', 11, 'expected ports'],
  ['tcp tcp', 5, 'expected "and", "or" or the end'],
  ['(tcp', 5, 'expected ")"'],
  ['tcp)', 4, 'expected "and", "or" or the end'],
  ['tcp and', 8, 'expected one of'],
  ['nonsense', 1, 'expected one of'],
  ['constructor', 1, 'expected one of'],
  ['proto 256', 7, 'expected a number'],
  ['proto toString', 7, 'expected a number'],
  ['drop nothing', 6, 'expected a drop reason'],
  ['drop none', 6, 'expected a drop reason'],
  ['cable', 6, 'expected a cable'],
  ['cable )', 7, 'expected a cable'],
  [`${'('.repeat(100)}tcp`, 65, 'nested too deep'],
  ['tcp or '.repeat(700), 4097, 'too long'],
]

test('errors tell the position and what was expected', () => {
  for (const [text, position, what] of errors)
    assert.throws(
      () => parseFilter(text),
      (error: GatewayError) => {
        assert.equal(error.code, 'BAD_FILTER')
        assert.equal(error.exit, exitCode.usage)
        assert.ok(error.message.includes(`character ${position},`), `${text}: ${error.message}`)
        assert.ok(error.message.includes(what), `${text}: ${error.message}`)
        return true
      },
    )
})

test('a filter begins where the names of cables end', () => {
  for (const text of ['host', 'not', '!', '(tcp', 'tcp port 80', 'drop', 'wire'])
    assert.equal(startsFilter(text), true, text)
  for (const text of ['west', 'hosts', 'constructor']) assert.equal(startsFilter(text), false, text)
})

interface Expected {
  readonly text: string
  readonly holds: (facts: Facts) => boolean
}

interface Facts {
  readonly source: string
  readonly destination: string
  readonly sourcePort: number
  readonly destinationPort: number
  readonly isTcp: boolean
}

const addresses = ['10.0.0.1', '10.0.0.2', '10.1.0.1']

/** A random expression beside a function that was put together without the parser. */
function randomExpression(random: Random, depth: number): Expected {
  const kind = depth === 0 ? 3 + below(random, 4) : below(random, 7)
  if (kind <= 1) {
    const [a, b] = [randomExpression(random, depth - 1), randomExpression(random, depth - 1)]
    const word = kind === 0 ? pick(random, ['and', '&&']) : pick(random, ['or', '||'])
    const holds = (facts: Facts) =>
      kind === 0 ? a.holds(facts) && b.holds(facts) : a.holds(facts) || b.holds(facts)
    return { text: `(${a.text}) ${word} (${b.text})`, holds }
  }
  if (kind === 2) {
    const inner = randomExpression(random, depth - 1)
    return { text: `not (${inner.text})`, holds: facts => !inner.holds(facts) }
  }
  if (kind === 3) return { text: 'tcp', holds: ({ isTcp }) => isTcp }
  const address = pick(random, addresses)
  if (kind === 4) return { text: `src host ${address}`, holds: ({ source }) => source === address }
  if (kind === 5) {
    const holds = ({ source, destination }: Facts) =>
      source.startsWith('10.0.') || destination.startsWith('10.0.')
    return { text: 'net 10.0.0.0/16', holds }
  }
  const port = 1 + below(random, 3)
  const holds = ({ sourcePort, destinationPort }: Facts) =>
    sourcePort === port || destinationPort === port
  return { text: `port ${port}`, holds }
}

test('random expressions match what a function of the same form does', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  let held = 0
  for (let count = 0; count < 2000; count++) {
    const { text, holds } = randomExpression(random, 4)
    const facts: Facts = {
      source: pick(random, addresses),
      destination: pick(random, addresses),
      sourcePort: 1 + below(random, 3),
      destinationPort: 1 + below(random, 3),
      isTcp: random() < 0.5,
    }
    const transport = facts.isTcp ? tcp(facts) : udp(facts)
    const expected = holds(facts)
    if (expected) held++
    const found = text.length > 4096 ? expected : matches(text, subjectOf(ipv4(facts, transport)))
    assert.equal(found, expected, `seed ${seed}: ${text} of ${JSON.stringify(facts)}`)
  }
  assert.ok(held > 200 && held < 1800, `seed ${seed}: ${held} held`)
})

test('any text is a filter or a clear error', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const words = ['host', '10.0.0.1', '(', ')', 'not', 'and', 'or', 'port', '80', 'net', '::/0']
  const odd = ['cable', 'drop', 'é', '&', '|', '!', '-1', '"', '\n', 'src', '\0', 'tcp', '1-2']
  let parsed = 0
  for (let count = 0; count < 3000; count++) {
    const length = below(random, 8)
    const text = Array.from({ length }, () => pick(random, [...words, ...odd])).join(
      pick(random, ['', ' ']),
    )
    try {
      parseFilter(text)
      parsed++
    } catch (error) {
      const isClear = error instanceof GatewayError && error.code === 'BAD_FILTER'
      assert.ok(isClear, `seed ${seed}: ${JSON.stringify(text)}: ${error}`)
    }
  }
  assert.ok(parsed > 0, `seed ${seed}`)
})
