import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import {
  configError,
  type GatewayConfig,
  gatewayConfig,
  presharedKeyOf,
} from '../../../src/daemon/gateway-config.ts'
import type { Environment, GatewayFlags } from '../../../src/daemon/gateway-sources.ts'
import { type Submariner, submarinerType } from '../../../src/kube/resources/submariner.ts'
import { formatAddress, formatPrefix } from '../../../src/net/address.ts'

const machine = { hostname: 'node-1', version: '0.1.0' }

/** As the operator of stock Submariner fills it in. */
const stock: Environment = {
  SUBMARINER_NAMESPACE: 'submariner-operator',
  SUBMARINER_CLUSTERID: 'c1',
  SUBMARINER_CLUSTERCIDR: '10.129.0.0/16,fd00:1::/48',
  SUBMARINER_SERVICECIDR: '100.65.0.0/16',
  SUBMARINER_GLOBALCIDR: '',
  SUBMARINER_COLORCODES: 'blue',
  SUBMARINER_DEBUG: 'false',
  SUBMARINER_NATENABLED: 'true',
  AIR_GAPPED_DEPLOYMENT: 'false',
  SUBMARINER_BROKER: 'k8s',
  SUBMARINER_CABLEDRIVER: 'wireguard',
  BROKER_K8S_APISERVER: '192.0.2.1:6443',
  BROKER_K8S_APISERVERTOKEN: 'a token',
  BROKER_K8S_REMOTENAMESPACE: 'submariner-k8s-broker',
  BROKER_K8S_CA: 'Y2E=',
  BROKER_K8S_INSECURE: 'false',
  BROKER_K8S_SECRET: 'broker-secret-x',
  CE_IPSEC_PSK: 'cHNr',
  CE_IPSEC_PSKSECRET: 'submariner-ipsec-psk',
  CE_IPSEC_NATTPORT: '4501',
  CE_IPSEC_PREFERREDSERVER: 'true',
  SUBMARINER_HEALTHCHECKENABLED: 'true',
  SUBMARINER_HEALTHCHECKINTERVAL: '2',
  SUBMARINER_HEALTHCHECKMAXPACKETLOSSCOUNT: '7',
  SUBMARINER_METRICSPORT: '32780',
  NODE_NAME: 'node-1',
  POD_NAME: 'submariner-gateway-x',
  LEADERSHIP_LEASEDURATION: '0',
  LEADERSHIP_RENEWDEADLINE: '0',
  LEADERSHIP_RETRYPERIOD: '0',
}

function submariner(spec: Record<string, unknown> = {}): Submariner {
  const parsed = submarinerType.parse({
    metadata: { name: 'submariner', namespace: 'submariner-operator' },
    spec: {
      broker: 'k8s',
      brokerK8sApiServer: 'broker.example.com:6443',
      brokerK8sRemoteNamespace: 'brokers',
      brokerK8sApiServerToken: 'of the resource',
      clusterID: 'c2',
      namespace: 'submariner-operator',
      clusterCIDR: '10.2.0.0/16',
      serviceCIDR: '',
      natEnabled: false,
      ceIPSecDebug: false,
      debug: false,
      ...spec,
    },
    status: { clusterCIDR: '10.9.0.0/16', serviceCIDR: '10.3.0.0/16' },
  })
  assert.ok(parsed.ok)
  return parsed.value
}

function good(environment: Environment, flags: GatewayFlags = {}, resource?: Submariner) {
  const result = gatewayConfig(flags, environment, machine, resource)
  assert.ok(result.ok, result.ok ? '' : configError(result.errors).message)
  return result.config
}

function errorsOf(environment: Environment, flags: GatewayFlags = {}): string[] {
  const result = gatewayConfig(flags, environment, machine)
  return result.ok ? [] : result.errors.map(({ message }) => message)
}

test('the environment of a stock gateway pod is enough', () => {
  const config = good(stock)
  const { control } = config
  assert.equal(control.clusterId, 'c1')
  assert.equal(control.hostname, 'node-1')
  assert.deepEqual(control.clusterCidrs.map(formatPrefix), ['10.129.0.0/16', 'fd00:1::/48'])
  assert.deepEqual(control.drivers, ['wireguard'])
  assert.equal(control.missingDriver, undefined)
  assert.deepEqual([...control.ciphers].sort(), ['aes-256-gcm', 'chacha20-poly1305'])
  assert.deepEqual(
    [control.udpPort, control.isNatEnabled, control.isPreferredServer],
    [4501, true, true],
  )
  assert.deepEqual(control.healthCheck, { isEnabled: true, packetLossMost: 7 })
  assert.equal(config.healthCheckIntervalMs, 2000)
  assert.equal(config.lease.durationMs, 15_000)
  assert.deepEqual([config.nodeName, config.podName], ['node-1', 'submariner-gateway-x'])
  assert.equal(config.broker.server, '192.0.2.1:6443')
  assert.equal(config.broker.secret, '/run/secrets/submariner.io/broker-secret-x')
  assert.equal(config.socketPath, '/run/hawser/hawser0.sock')
  assert.deepEqual(config.psk, { kind: 'text', text: 'cHNr' })
  assert.deepEqual(config.problems, [])
  assert.equal(config.isUninstalling, false)
})

test('flags win over the environment, and that wins over the resource', () => {
  const environment = { SUBMARINER_CLUSTERID: 'of-environment', SUBMARINER_CABLEDRIVER: 'vxlan' }
  const config = good(
    environment,
    { clusterId: 'of-flag' },
    submariner({ cableDriver: 'wireguard' }),
  )
  assert.equal(config.control.clusterId, 'of-flag')
  assert.deepEqual(config.control.drivers, ['vxlan'])
  assert.equal(config.control.brokerNamespace, 'brokers')
  // Of the spec where it has some, else of the status, which the operator has found out.
  assert.deepEqual(config.control.clusterCidrs.map(formatPrefix), ['10.2.0.0/16'])
  assert.deepEqual(config.control.serviceCidrs.map(formatPrefix), ['10.3.0.0/16'])
})

const hash = (text: string) => new Uint8Array(createHash('sha256').update(text).digest())

test('the PSK is what stock gateways make of it', () => {
  const secret = new TextEncoder().encode('psk of the secret')
  const rows: readonly (readonly [Environment, Submariner | undefined, string, boolean])[] = [
    [{ CE_IPSEC_PSK: 'text' }, undefined, 'text', false],
    [{ CE_IPSEC_PSK: 'text', CE_IPSEC_PSKSECRET: 'x' }, undefined, 'text', false],
    [{ CE_IPSEC_PSK: '' }, undefined, '', false],
    [{}, undefined, 'default psk', false],
    [{ CE_IPSEC_PSK: '', CE_IPSEC_PSKSECRET: 'x' }, undefined, btoa('psk of the secret'), true],
    [{ CE_IPSEC_PSKSECRET: 'x' }, undefined, btoa('psk of the secret'), true],
    // The operator hands on what the resource has, as it is written there.
    [{}, submariner({ ceIPSecPSK: 'YWJj' }), 'YWJj', false],
    [{}, submariner(), '', false],
    [{}, submariner({ ceIPSecPSKSecret: 'x' }), btoa('psk of the secret'), true],
    [{ CE_IPSEC_PSK: 'text' }, submariner({ ceIPSecPSK: 'YWJj' }), 'text', false],
  ]
  for (const [psk, resource, text, hasProblem] of rows) {
    const { CE_IPSEC_PSK: _, CE_IPSEC_PSKSECRET: __, ...rest } = stock
    const config = good({ ...rest, ...psk }, {}, resource)
    const row = JSON.stringify([psk, resource?.cable.psk])
    assert.deepEqual(presharedKeyOf(config.psk, secret), hash(text), row)
    assert.equal(
      config.problems.some(({ code }) => code === 'psk-from-secret'),
      hasProblem,
      row,
    )
  }
})

test('a driver that we do not have is no error', () => {
  const driversOf = (text: string): Pick<GatewayConfig['control'], 'drivers' | 'missingDriver'> => {
    const { drivers, missingDriver } = good({ ...stock, SUBMARINER_CABLEDRIVER: text }).control
    return { drivers, missingDriver }
  }
  const rows: readonly (readonly [string, readonly string[], string | undefined])[] = [
    ['', ['wireguard'], undefined],
    ['vxlan', ['vxlan'], undefined],
    ['vxlan, wireguard', ['vxlan', 'wireguard'], undefined],
    ['wireguard,wireguard', ['wireguard'], undefined],
    ['libreswan', ['wireguard'], 'libreswan'],
    ['nonsense,vxlan', ['vxlan'], 'nonsense'],
  ]
  for (const [text, drivers, missingDriver] of rows) {
    assert.deepEqual(driversOf(text), { drivers, missingDriver }, text)
  }
})

test('public addresses that are said outright are known, others come with a problem', () => {
  const config = good({ ...stock, SUBMARINER_PUBLICIP: 'ipv4:192.0.2.7, ipv6:2001:db8::7,dns:x.y' })
  assert.deepEqual(config.publicIps.map(formatAddress), ['192.0.2.7', '2001:db8::7'])
  assert.deepEqual(
    config.problems.map(({ code, message }) => [code, /"dns:x\.y"/.test(message)]),
    [['public-ip-unknown', true]],
  )
})

test('what is wrong is said in the name under which it was written', () => {
  const rows: readonly (readonly [Environment, GatewayFlags, RegExp])[] = [
    [{ SUBMARINER_CLUSTERCIDR: '10.0/8' }, {}, /^SUBMARINER_CLUSTERCIDR: "10\.0" is not/],
    [{}, { serviceCidr: 'x' }, /^--service-cidr: "x" is not an IP address/],
    [{ SUBMARINER_CLUSTERID: 'East' }, {}, /^SUBMARINER_CLUSTERID: "East" is no cluster id/],
    [{ CE_IPSEC_NATTPORT: '70000' }, {}, /^CE_IPSEC_NATTPORT: "70000" is not a port/],
    [{ SUBMARINER_NATENABLED: 'ja' }, {}, /^SUBMARINER_NATENABLED: "ja" is neither/],
    [{ SUBMARINER_BROKER: 'etcd' }, {}, /^SUBMARINER_BROKER: "etcd" is no kind/],
    [{}, { ciphers: 'rot13' }, /^--ciphers: unknown cipher "rot13"/],
    [{}, { interfaceName: 'a/b' }, /^--interface: "a\/b" is no name/],
    [{ SUBMARINER_PUBLICIP: 'ipv4:::1' }, {}, /^SUBMARINER_PUBLICIP: "::1" is no IPv4/],
    [{ SUBMARINER_METRICSPORT: '-1' }, {}, /^SUBMARINER_METRICSPORT/],
    [{ LEADERSHIP_LEASEDURATION: '5' }, {}, /each has to be less than the next/],
    [{ SUBMARINER_HEALTHCHECKINTERVAL: '0' }, {}, /^SUBMARINER_HEALTHCHECKINTERVAL: "0"/],
    [{ BROKER_K8S_REMOTENAMESPACE: 'a b' }, {}, /^BROKER_K8S_REMOTENAMESPACE: "a b"/],
  ]
  for (const [environment, flags, expected] of rows) {
    const errors = errorsOf({ ...stock, ...environment }, flags)
    assert.equal(errors.length, 1, errors.join('\n'))
    assert.match(errors[0], expected)
  }
})

test('what is missing may come from the resource, what is wrong may not', () => {
  const missing = gatewayConfig({}, {}, machine)
  assert.ok(!missing.ok && missing.isIncomplete)
  const names = missing.errors.map(({ message }) => message.split(' ')[0])
  assert.deepEqual(names, [
    ...['--cluster-id', '--cluster-cidr', '--service-cidr', '--broker-server'],
  ])
  const wrong = gatewayConfig({}, { SUBMARINER_CLUSTERID: 'X' }, machine)
  assert.ok(!wrong.ok && !wrong.isIncomplete)
  assert.equal(configError(wrong.errors).exit, 2)
  good({}, {}, submariner())
})

test('no message quotes a secret', () => {
  const secrets = { BROKER_K8S_APISERVERTOKEN: 'hush-token', CE_IPSEC_PSK: 'hush-psk' }
  const errors = errorsOf({
    ...stock,
    ...secrets,
    SUBMARINER_CLUSTERID: '',
    CE_IPSEC_NATTPORT: 'x',
  })
  assert.ok(errors.length > 0)
  assert.doesNotMatch(errors.join(), /hush/)
})
