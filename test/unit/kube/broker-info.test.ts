import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type BrokerInfo,
  formatBrokerInfo,
  parseBrokerInfo,
} from '../../../src/kube/broker-info.ts'
import { GatewayError } from '../../../src/net/errors.ts'
import { withValue } from '../../support/golden-objects.ts'
import { mutated } from '../../support/json-mutation.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { textOf } from '../../support/tree.ts'

/** What subctl of 0.24 has in its file. */
const stock: unknown = JSON.parse(textOf('test/vectors/submariner/broker-info.json'))

const bytes = (text: string) => new TextEncoder().encode(text)

const expected: BrokerInfo = {
  brokerUrl: 'https://172.18.0.2:6443',
  token: {
    secretName: 'submariner-k8s-broker-admin-token-x7k2p',
    namespace: 'submariner-k8s-broker',
    token: bytes('eyJhbGciOiJSUzI1NiJ9.>???'),
    ca: bytes('-----BEGIN CERTIFICATE-----\n'),
  },
  psk: Uint8Array.from({ length: 48 }, (_, index) => index),
  components: ['service-discovery', 'connectivity'],
  customDomains: [],
}

/** As Go's base64.URLEncoding: padded. */
function encode(content: unknown): string {
  const base64 = Buffer.from(JSON.stringify(content)).toString('base64')
  return base64.replaceAll('+', '-').replaceAll('/', '_')
}

function decode(text: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(text, 'base64url').toString())
}

test("stock's file is read", () => {
  assert.deepEqual(parseBrokerInfo(encode(stock)), expected)
})

test('keys are read in any case, lines may be broken, and either alphabet will do', () => {
  const lower = lowered(stock)
  assert.deepEqual(parseBrokerInfo(encode(lower)), expected)
  const upper = Object.fromEntries(
    Object.entries(stock as object).map(([key, value]) => [key.toUpperCase(), value]),
  )
  assert.deepEqual(parseBrokerInfo(encode(upper)), expected)
  // The question marks make one of the characters in which the alphabets differ.
  const odd = encode(withValue(stock, 'CustomDomains', ['\u00ff?>~???']))
  assert.match(odd, /[-_]/)
  const plain = odd.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '')
  const broken = `${plain.slice(0, 76)}\r\n${plain.slice(76)}\n`
  assert.deepEqual(parseBrokerInfo(broken).customDomains, ['\u00ff?>~???'])
})

/** The top and the Secrets with keys in lower case; those of `data` mean what they are. */
function lowered(value: unknown): unknown {
  return Object.fromEntries(
    Object.entries(value as Record<string, unknown>).map(([key, inner]) => [
      key.toLowerCase(),
      inner,
    ]),
  )
}

test('it is written with exactly the keys of stock, on one line, and reads back', () => {
  const text = formatBrokerInfo(expected)
  assert.match(text, /^[A-Za-z0-9_-]+={0,2}$/)
  assert.equal(text.length % 4, 0)
  const content = decode(text)
  assert.deepEqual(Object.keys(content), Object.keys(stock as object))
  const token = content['ClientToken'] as Record<string, unknown>
  const stockToken = (stock as Record<string, Record<string, unknown>>)['ClientToken']
  assert.deepEqual(token['data'], stockToken['data'])
  assert.equal(token['type'], stockToken['type'])
  assert.deepEqual(parseBrokerInfo(text), expected)
})

test('what is empty is left out or null, as Go does', () => {
  const bare: BrokerInfo = { ...expected, psk: undefined, components: [], customDomains: [] }
  const content = decode(formatBrokerInfo(bare))
  assert.ok(!('Components' in content))
  assert.equal(content['IPSecPSK'], null)
  assert.equal(content['CustomDomains'], null)
  assert.equal(content['ServiceDiscovery'], false)
  assert.deepEqual(parseBrokerInfo(formatBrokerInfo(bare)), bare)
  // At each of three places in a row, these make the two characters that are the URL alphabet's own.
  const domains: BrokerInfo = { ...expected, customDomains: ['west.example', '???>>>'] }
  const text = formatBrokerInfo(domains)
  assert.match(text, /^(?=.*-)(?=.*_)[A-Za-z0-9_-]+={0,2}$/)
  assert.deepEqual(parseBrokerInfo(text), domains)
})

test('an old file has a flag in place of components; a URL may lack its scheme', () => {
  const old = withValue(
    withValue(stock, 'Components', undefined),
    'brokerURL',
    'broker.example:6443/k',
  )
  const info = parseBrokerInfo(encode(old))
  assert.deepEqual(info.components, ['service-discovery'])
  assert.equal(info.brokerUrl, 'https://broker.example:6443/k')
})

const broken: readonly (readonly [text: string, says: RegExp])[] = [
  ['', /: it is empty$/],
  ['{"brokerURL": ""}', /: it is not base64$/],
  [encode(stock).slice(0, 400), /: there is no JSON in it; it may have been cut short$/],
  [encode([]), /: expected an object$/],
  [encode({}), /brokerURL: expected a string$/],
  [encode(withValue(stock, 'brokerURL', 'https://')), /brokerURL: expected a URL like/],
  [encode(withValue(stock, 'ClientToken', null)), /ClientToken: expected an object$/],
  [
    encode(withValue(stock, 'ClientToken.data.token', 5)),
    /ClientToken.data.token: expected a string/,
  ],
  [encode(withValue(stock, 'ClientToken.data.token', 'a!b=')), /data.token: expected base64$/],
  [encode(withValue(stock, 'ClientToken.data.token', '')), /ClientToken.data: there is no token/],
  [
    encode(withValue(stock, 'ClientToken.data.namespace', undefined)),
    /there is no namespace in it$/,
  ],
  [encode(withValue(stock, 'IPSecPSK.data', {})), /IPSecPSK.data: there is no psk in it$/],
  [encode(withValue(stock, 'Components', 'connectivity')), /Components: expected a list$/],
]

test('what is wrong with a file is said in words, with what to do', () => {
  for (const [text, says] of broken) {
    assert.throws(
      () => parseBrokerInfo(text),
      (error: unknown) => {
        assert.ok(error instanceof GatewayError)
        assert.equal(error.code, 'BAD_BROKER_INFO')
        assert.match(error.message, says)
        assert.match(error.hint ?? '', /recover-broker-info/)
        return true
      },
    )
  }
})

test('a changed file is read or refused, and no message holds a secret', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  let refused = 0
  for (let run = 0; run < 2000; run++) {
    try {
      parseBrokerInfo(encode(mutated(stock, random)))
    } catch (error) {
      assert.ok(error instanceof GatewayError, `HAWSER_SEED=${seed}: ${error}`)
      assert.doesNotMatch(error.message, /ZXlK|eyJ|AAEC/, `HAWSER_SEED=${seed}`)
      refused++
    }
  }
  assert.ok(refused > 100 && refused < 2000, `${refused} refused`)
})
