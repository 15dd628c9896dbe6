// The join file, `broker-info.subm`: where the broker is, a token for it and the PSK of the clusterset.
// One line of base64 (URL alphabet) around JSON.
//
// The keys look odd (`brokerURL`, then `ClientToken`, `IPSecPSK`): stock's tags are malformed, so that
// Go's field names leak. A Go reader takes them in any case, and so does this one. It holds secrets:
// it is written with mode 0600, and no message quotes it.

import { GatewayError } from '../net/errors.ts'
import { objectName } from './names.ts'
import {
  FieldError,
  type Fields,
  has,
  invalid,
  pathOf,
  readFlag,
  readObject,
  readObjectOr,
  readRecord,
  readText,
  readTexts,
} from './resources/fields.ts'
import { readSecretData, writeSecretData } from './resources/secret.ts'

export interface BrokerInfo {
  /** `https://host:port`, and a path behind it perhaps. */
  readonly brokerUrl: string
  readonly token: BrokerToken
  /** Undefined in a clusterset without connectivity. */
  readonly psk: Uint8Array | undefined
  /** `connectivity`, `service-discovery`. */
  readonly components: readonly string[]
  readonly customDomains: readonly string[]
}

/** The token Secret of the ServiceAccount that joins. */
export interface BrokerToken {
  readonly secretName: string
  /** Of the broker. */
  readonly namespace: string
  readonly token: Uint8Array
  /** PEM of the CA that signed the API server's certificate; empty: one that everybody knows. */
  readonly ca: Uint8Array
}

const serviceDiscovery = 'service-discovery'
const tokenType = 'kubernetes.io/service-account-token'

/** Reads the text of a join file. Throws GatewayError BAD_BROKER_INFO. */
export function parseBrokerInfo(text: string): BrokerInfo {
  try {
    const root = anyCase(readRecord(decode(text), ''), ...fileKeys)
    return {
      brokerUrl: readBrokerUrl(root),
      token: readToken(anyCase(readObject(root, 'ClientToken'), ...secretKeys)),
      psk: has(root, 'IPSecPSK') ? readPsk(root) : undefined,
      components: readComponents(root),
      customDomains: readTexts(root, 'CustomDomains'),
    }
  } catch (error) {
    if (!(error instanceof FieldError)) throw error
    throw new GatewayError('BAD_BROKER_INFO', `not a broker-info file: ${error.message}`, {
      hint: 'take the file broker-info.subm as deploy-broker or recover-broker-info wrote it',
    })
  }
}

/** The text of a join file, without a line break at its end, as stock writes it. */
export function formatBrokerInfo(info: BrokerInfo): string {
  const { token, psk } = info
  const content = {
    brokerURL: info.brokerUrl,
    ClientToken: {
      metadata: { name: token.secretName, namespace: token.namespace },
      data: writeSecretData({
        'ca.crt': token.ca,
        namespace: new TextEncoder().encode(token.namespace),
        token: token.token,
      }),
      type: tokenType,
    },
    IPSecPSK:
      psk === undefined
        ? null
        : { metadata: { name: objectName.pskSecret }, data: writeSecretData({ psk }) },
    ServiceDiscovery: info.components.includes(serviceDiscovery),
    ...(info.components.length === 0 ? {} : { Components: info.components }),
    CustomDomains: info.customDomains.length === 0 ? null : info.customDomains,
  }
  // With padding, which Buffer's own base64url leaves out and Go requires.
  const base64 = Buffer.from(JSON.stringify(content)).toString('base64')
  return base64.replaceAll('+', '-').replaceAll('/', '_')
}

const fileKeys = [
  ...['brokerURL', 'ClientToken', 'IPSecPSK'],
  ...['ServiceDiscovery', 'Components', 'CustomDomains'],
]
const secretKeys = ['metadata', 'data']

/** The fields under the names that are asked for, in whatever case they are written. */
function anyCase(fields: Fields, ...names: readonly string[]): Fields {
  const values = Object.entries(fields.values).map(([key, value]) => [
    names.find(name => name.toLowerCase() === key.toLowerCase()) ?? key,
    value,
  ])
  return { values: Object.fromEntries(values), path: fields.path }
}

function decode(text: string): unknown {
  // Line breaks by an editor or a mail program are no harm.
  const line = text.replace(/\s+/g, '').replaceAll('-', '+').replaceAll('_', '/')
  if (line === '') throw invalid('', 'it is empty')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(line)) throw invalid('', 'it is not base64')
  try {
    const bytes = Buffer.from(line, 'base64')
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw invalid('', 'there is no JSON in it; it may have been cut short')
  }
}

/** A host and port without a scheme are https, as everywhere in Submariner. */
function readBrokerUrl(root: Fields): string {
  const text = readText(root, 'brokerURL')
  const url = /^https?:\/\//.test(text) ? text : `https://${text}`
  if (URL.canParse(url)) return url
  throw invalid(pathOf(root, 'brokerURL'), 'expected a URL like https://192.0.2.1:6443')
}

function readToken(secret: Fields): BrokerToken {
  const data = readSecretData(readObject(secret, 'data'))
  const path = pathOf(secret, 'data')
  const text = (name: string) => new TextDecoder().decode(data[name])
  for (const name of ['namespace', 'token']) {
    if ((data[name]?.length ?? 0) === 0) throw invalid(path, `there is no ${name} in it`)
  }
  return {
    secretName: readText(readObjectOr(secret, 'metadata'), 'name', ''),
    namespace: text('namespace'),
    token: data['token'],
    ca: data['ca.crt'] ?? new Uint8Array(0),
  }
}

function readPsk(root: Fields): Uint8Array {
  const secret = anyCase(readObject(root, 'IPSecPSK'), ...secretKeys)
  const { psk } = readSecretData(readObject(secret, 'data'))
  if (psk === undefined) throw invalid(pathOf(secret, 'data'), 'there is no psk in it')
  return psk
}

/** Before there were components, service discovery had a flag of its own. */
function readComponents(root: Fields): string[] {
  const components = readTexts(root, 'Components')
  const isOld = readFlag(root, 'ServiceDiscovery', false) && !components.includes(serviceDiscovery)
  return isOld ? [...components, serviceDiscovery] : components
}
