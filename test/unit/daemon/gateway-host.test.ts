import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayHost } from '../../../src/daemon/gateway-host.ts'
import { parseAddress, parsePrefix } from '../../../src/net/address.ts'

interface Shown {
  readonly mtuBytes?: number
  readonly deviceMtuBytes?: number
  readonly rules6?: readonly object[]
}

/** `ip` of a machine, and what it was told to change. */
function machine({ mtuBytes = 1500, deviceMtuBytes = 1500, rules6 = [] }: Shown = {}) {
  const changes: string[] = []
  const addresses = [
    { ifname: 'lo', mtu: 65_536, flags: ['UP'], addr_info: [{ local: '127.0.0.1', prefixlen: 8 }] },
    {
      ...{ ifname: 'eth0', mtu: mtuBytes, flags: ['UP'] },
      addr_info: [{ local: '192.0.2.1', prefixlen: 24 }],
    },
    { ifname: 'hawser0', mtu: deviceMtuBytes, flags: [], addr_info: [] },
  ]
  const run = async (command: readonly string[], input?: string): Promise<string> => {
    const line = command.join(' ')
    if (input !== undefined) {
      const family = command.includes('-6') ? '-6 ' : command.includes('-4') ? '-4 ' : ''
      changes.push(
        ...input
          .trim()
          .split('\n')
          .map(change => `${family}${change}`),
      )
      return ''
    }
    if (line.includes('address show')) return JSON.stringify(addresses)
    if (line.includes('-4 route show default')) return JSON.stringify([{ dev: 'eth0' }])
    if (line.includes('-6 rule show')) return JSON.stringify(rules6)
    if (line.includes('rule del')) changes.push(line)
    return '[]'
  }
  return { run, changes }
}

test('the device comes up with room for the headers of the cables', async () => {
  const rows: readonly (readonly [
    Shown,
    readonly ('wireguard' | 'vxlan')[],
    string | undefined,
  ])[] = [
    [{}, ['wireguard'], 'link set dev hawser0 mtu 1420'],
    [{}, ['vxlan'], 'link set dev hawser0 mtu 1450'],
    [{}, ['vxlan', 'wireguard'], 'link set dev hawser0 mtu 1420'],
    [{ mtuBytes: 1460 }, ['wireguard'], 'link set dev hawser0 mtu 1380'],
    // Somebody has set less.
    [{ deviceMtuBytes: 1300 }, ['wireguard'], undefined],
    [{ mtuBytes: 9000 }, ['wireguard'], undefined],
  ]
  for (const [shown, drivers, mtu] of rows) {
    const { run, changes } = machine(shown)
    await new GatewayHost(drivers, run).bringUp('hawser0')
    assert.deepEqual(changes, [
      ...(mtu === undefined ? [] : [mtu]),
      'link set dev hawser0 up',
      '-6 route replace default dev hawser0 table 101',
      '-6 rule add oif hawser0 priority 101 table 101',
    ])
  }
})

test('a rule for pings that is there is not added again, and goes in the end', async () => {
  const rules6 = [{ priority: 101, oif: 'hawser0', table: '101' }]
  const { run, changes } = machine({ rules6 })
  const host = new GatewayHost(['wireguard'], run)
  await host.bringUp('hawser0')
  assert.doesNotMatch(changes.join(), /rule add/)
  await host.cleanUp('hawser0')
  assert.match(changes.join('\n'), /^ip -6 rule del priority 101$/m)
})

test('subnets behind VXLAN cables have routes with a source, and a rule', async () => {
  const { run, changes } = machine()
  await new GatewayHost(['vxlan'], run).applyCableRoutes({
    interfaceName: 'hawser0',
    subnets: [parsePrefix('10.2.0.0/16')],
    sources: [parseAddress('fd00::1'), parseAddress('10.1.0.1')],
  })
  assert.match(changes[0], /route replace 10\.2\.0\.0\/16 dev hawser0 table 100 .*src 10\.1\.0\.1$/)
  assert.match(changes[1], /rule add priority 100 table 100$/)
})
