import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { deployBrokerCommand } from '../../../src/cli/deploy-broker.ts'
import { joinCommand } from '../../../src/cli/join.ts'

/** The flags that a command line comes to. */
async function flagsOf(command: Command, ...args: readonly string[]) {
  let flags: Readonly<Record<string, unknown>> = {}
  command.action((...given: readonly unknown[]) => {
    flags = given.at(-2) as Readonly<Record<string, unknown>>
  })
  command.exitOverride().configureOutput({ outputError: () => {} })
  const program = new Command('hawser').exitOverride().addCommand(command)
  await program.parseAsync([command.name(), ...args], { from: 'user' })
  return flags
}

test('switches are written as people of Submariner and as others write them', async () => {
  const usual = await flagsOf(joinCommand(), 'FILE')
  const { natt, airGapped, globalnet, labelGateway, healthCheck, enableClustersetIp } = usual
  assert.deepEqual([natt, globalnet, labelGateway, healthCheck], [true, true, true, true])
  assert.deepEqual([airGapped, enableClustersetIp], [false, undefined])
  const rows: readonly [readonly string[], string, boolean][] = [
    [['--natt=false', 'FILE'], 'natt', false],
    [['--no-natt', 'FILE'], 'natt', false],
    [['--natt', 'FILE'], 'natt', true],
    // The file is no value of the switch.
    [['--air-gapped', 'FILE'], 'airGapped', true],
    [['FILE', '--air-gapped=true'], 'airGapped', true],
    [['--air-gapped=false', 'FILE'], 'airGapped', false],
    [['--enable-clusterset-ip', 'FILE'], 'enableClustersetIp', true],
    [['--enable-clusterset-ip=false', 'FILE'], 'enableClustersetIp', false],
    [['--health-check=false', 'FILE'], 'healthCheck', false],
  ]
  for (const [args, name, expected] of rows) {
    assert.equal((await flagsOf(joinCommand(), ...args))[name], expected, args.join(' '))
  }
  await assert.rejects(flagsOf(joinCommand(), 'FILE', '--natt=perhaps'), /--no-natt|--natt/)
})

test('what cannot be meant is refused before anything is asked', async () => {
  const rows: readonly [Command, readonly string[], RegExp][] = [
    [joinCommand(), [], /missing required argument 'file'/],
    [joinCommand(), ['FILE', '--clustercidr', '10.0.0.0/33'], /expected a CIDR/],
    [joinCommand(), ['FILE', '--servicecidr', 'x'], /expected a CIDR/],
    [joinCommand(), ['FILE', '--natt-port', '70000'], /from 1 to 65535/],
    [joinCommand(), ['FILE', '--cable-driver', 'ipip'], /Allowed choices are wireguard/],
    [deployBrokerCommand(), ['--components', 'dns'], /expected some of service-discovery/],
    [deployBrokerCommand(), ['--broker-namespace', 'No'], /expected a name/],
    [deployBrokerCommand(), ['--globalnet-cidr-range', 'x'], /expected a CIDR/],
  ]
  for (const [command, args, message] of rows) {
    await assert.rejects(flagsOf(command, ...args), message, args.join(' '))
  }
})
