// `hawser lab`: two or more clusters in network namespaces of this machine, joined by cables through a
// broker.
//
//   up      builds a lab that stays          run     builds one, proves it, ends it (npm start)
//   down    ends it                          prove   runs the proofs on a lab that is up
//   status  clusters, nodes, pods, cables    exec    runs a program on a node or in a pod
//
// What the lab is and does lives in src/lab; here are the flags and what is printed.

import { Command, InvalidArgumentError, Option } from 'commander'
import { kubeconfigOf } from '../lab/access.ts'
import { waitForConnections } from '../lab/connections.ts'
import { defaultLabName, labCommandLine } from '../lab/hints.ts'
import { dropLab, type Lab, openLab, type RaisedLab, raiseLab } from '../lab/lab.ts'
import { type Proof, proofsOf } from '../lab/proof.ts'
import { entered } from '../lab/sandbox.ts'
import { type LabStatus, labStatus } from '../lab/status.ts'
import { clustersMost, type Driver, findSpace } from '../lab/topology.ts'
import { exitCode, GatewayError } from '../net/errors.ts'
import type { CipherChoice } from '../tables/cipher.ts'
import { cipherHelp, parseCipher } from './cipher-options.ts'
import { output } from './output.ts'
import { type Column, formatTable } from './table.ts'

/** Many clusters on few cores take their time. */
const connectedLimitMs = { least: 60_000, ofEachCluster: 10_000 } as const

interface NameOption {
  readonly name: string
}

interface BuildOptions extends NameOption {
  readonly cable: Driver
  readonly clusters: number
  readonly cipher?: CipherChoice
}

export function labCommand(): Command {
  const lab = new Command('lab')
    .description('clusters in network namespaces of this machine, joined by cables')
    .enablePositionalOptions()
  lab.addCommand(building('up', 'build a lab that stays until `lab down`').action(up))
  lab.addCommand(building('run', 'build a lab, prove it, end it (npm start)').action(runLab))
  lab.addCommand(named('prove', 'prove on the screen that a lab works').action(prove))
  lab.addCommand(
    named('status', 'show clusters, nodes, pods and cables')
      .addOption(new Option('-o, --output <format>').choices(['table', 'json']).default('table'))
      .action(status),
  )
  lab.addCommand(
    named('exec', 'run a program on a node or in a pod')
      .argument('<where>', 'CLUSTER/gateway, /worker, /pod-a, /pod-b, or broker')
      .argument('<command...>', 'the program and its arguments, after --')
      .passThroughOptions()
      .action(exec),
  )
  lab.addCommand(named('down', 'end a lab and everything in it').action(down))
  return lab
}

async function up(options: BuildOptions): Promise<void> {
  await withLab(options, async (lab, signal) => {
    const connected = await connect(lab)
    signal.throwIfAborted()
    // From here on an interrupt has nothing to undo.
    lab.sandbox.keep()
    const { plan } = lab
    say(`lab ${plan.name} is up: ${labCommandLine(plan, 'status')}`, connected ? 'ok' : 'warning')
    if (!connected) process.exitCode = exitCode.failed
  })
}

async function runLab(options: BuildOptions): Promise<void> {
  const startedMs = performance.now()
  await withLab(options, async (lab, signal) => {
    await connect(lab)
    const failed = await showProofs(lab, signal)
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    summarize(failed, `in ${seconds} s`)
    if (failed.length > 0) process.exitCode = exitCode.failed
    if (process.stdin.isTTY && process.stdout.isTTY) await stay(lab, signal)
    say('taking the lab down')
    await dropLab(lab.plan.name)
  })
}

async function prove({ name }: NameOption): Promise<void> {
  const failed = await showProofs(openLab(name))
  summarize(failed, '')
  if (failed.length > 0) process.exitCode = exitCode.failed
}

async function down({ name }: NameOption): Promise<void> {
  const dropped = await dropLab(name)
  say(dropped ? `lab ${name} is down` : `lab ${name} is not up: nothing to do`, 'ok')
}

async function status({ name, output: format }: NameOption & { output: string }): Promise<void> {
  const found = await labStatus(openLab(name), Date.now())
  process.stdout.write(format === 'json' ? `${JSON.stringify(found, null, 2)}\n` : table(found))
  if (found.cables.some(({ state }) => state !== 'connected')) process.exitCode = exitCode.failed
}

function exec(where: string, command: string[], { name }: NameOption): void {
  const { plan, sandbox } = openLab(name)
  const space = findSpace(plan, where)
  // passThroughOptions hands the separator on.
  const program = command[0] === '--' ? command.slice(1) : command
  if (program.length === 0) throw new GatewayError('USAGE', 'which program?', { exit: 2 })
  // Entering a mount namespace leaves the working directory behind.
  const script = 'cd -- "$1" 2>/dev/null; shift; exec "$@"'
  const line = entered(sandbox, space, ['sh', '-c', script, 'hawser', process.cwd(), ...program])
  // The program takes this process's place: terminal, signals and exit code are its own.
  const access = kubeconfigOf(plan, space)
  const environment = { ...process.env, ...(access === undefined ? {} : { KUBECONFIG: access }) }
  process.execve?.('/usr/bin/env', ['env', ...line], environment)
}

function named(verb: string, description: string): Command {
  return new Command(verb)
    .description(description)
    .option('--name <name>', 'which lab', defaultLabName)
}

function building(verb: string, description: string): Command {
  return named(verb, description)
    .addOption(
      new Option('--cable <driver>', 'what joins the gateways')
        .choices(['wireguard', 'vxlan'])
        .default('wireguard'),
    )
    .option('--cipher <list>', cipherHelp, parseCipher)
    .option('--clusters <number>', `how many, 2 to ${clustersMost}`, parseClusters, 2)
}

function parseClusters(text: string): number {
  const clusters = /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (clusters < 2 || clusters > clustersMost)
    throw new InvalidArgumentError(`A lab has 2 to ${clustersMost} clusters.`)
  return clusters
}

/** Builds a lab and works with it. It ends when the work fails or a signal interrupts. */
async function withLab(
  { name, cable, clusters, cipher }: BuildOptions,
  work: (lab: RaisedLab, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const signal = interruptSignal()
  let lab: RaisedLab | undefined
  try {
    const choice = cipher === undefined ? {} : { cipher }
    const wanted = { name, driver: cable, clusters, ...choice }
    lab = await raiseLab(wanted, { note: text => say(text), signal })
    await work(lab, signal)
  } catch (error) {
    // What raiseLab could not finish it has undone itself.
    if (lab !== undefined) await dropLab(name)
    if (!signal.aborted) throw error
    throw new GatewayError('INTERRUPTED', `interrupted: lab ${name} is down again`, {
      exit: exitCode.interrupted,
    })
  }
}

/** Waits until all gateways say that they are connected; false when some do not in time. */
async function connect(lab: Lab): Promise<boolean> {
  say('waiting for the gateways to find each other')
  const { least, ofEachCluster } = connectedLimitMs
  const limitMs = Math.max(least, lab.plan.clusters * ofEachCluster)
  const broken = await waitForConnections(lab, limitMs)
  for (const connection of broken) say(`not connected: ${connection}`, 'warning')
  return broken.length === 0
}

async function showProofs(lab: Lab, signal?: AbortSignal): Promise<Proof[]> {
  const on = output(process.stdout)
  const failed: Proof[] = []
  for (const proof of proofsOf(lab)) {
    const outcome = await proof.prove()
    signal?.throwIfAborted()
    const { title } = proof
    if (outcome.holds) {
      const view = outcome.view === undefined ? '' : `${indent(outcome.view)}\n`
      process.stdout.write(`${on.mark('ok')} ${title}: ${outcome.figures}\n${view}`)
    } else {
      failed.push(proof)
      process.stdout.write(
        `${on.mark('failed')} ${title}\n  reason: ${outcome.reason}\n  try: ${outcome.hint}\n`,
      )
    }
  }
  return failed
}

function summarize(failed: readonly Proof[], how: string): void {
  const on = output(process.stdout)
  const text =
    failed.length === 0
      ? `${on.mark('ok')} every proof held ${how}`
      : `${on.mark('failed')} did not hold: ${failed.map(({ title }) => title).join('; ')}`
  process.stdout.write(`${text.trimEnd()}\n`)
}

/** Waits for Ctrl-C with something to do meanwhile. */
async function stay({ plan, sandbox }: Lab, signal: AbortSignal): Promise<void> {
  const [east, west] = plan.clusterPlans
  // tcpdump cannot run for a plain user, see capture.py.
  const look = sandbox.rootless ? 'bin/hawser status' : 'tcpdump -ni wire0 -c 10 udp'
  const things = [
    labCommandLine(plan, 'exec', `${east.name}/pod-a -- curl -s http://${west.podB.address}/`),
    labCommandLine(plan, 'exec', `${east.name}/gateway -- bin/hawser show connections`),
    labCommandLine(plan, 'exec', `${east.name}/gateway -- ${look}`),
    labCommandLine(plan, 'status'),
  ]
  const lines = things.map(thing => `  ${thing}\n`).join('')
  process.stderr.write(`
The lab stays until Ctrl-C. In another terminal try:
${lines}
`)
  const timer = setInterval(() => {}, 1 << 30)
  await new Promise(resolve => signal.addEventListener('abort', resolve))
  clearInterval(timer)
  process.stderr.write('\n')
}

/** Aborted by Ctrl-C, termination or a closed terminal; the process is not ended by them. */
function interruptSignal(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => controller.abort())
  return controller.signal
}

function say(text: string, kind: 'note' | 'ok' | 'warning' = 'note'): void {
  process.stderr.write(`${output(process.stderr).mark(kind)} ${text}\n`)
}

function table({ clusters, cables }: LabStatus): string {
  const places = clusters.flatMap(cluster => [
    ...cluster.nodes.map(({ name, addresses }) => [cluster.name, name, addresses.join(' ')]),
    ...cluster.pods.map(({ name, node, address }) => [cluster.name, name, `${address} on ${node}`]),
  ])
  const links = cables.map(cable => [
    `${cable.cluster} → ${cable.remote}`,
    cable.driver,
    cable.cipher ?? '-',
    cable.state,
    cable.endpoint,
    cable.lastHandshake ?? '-',
    String(cable.rxBytes),
    String(cable.txBytes),
  ])
  const widthMax = process.stdout.isTTY ? process.stdout.columns : undefined
  return `${formatTable(placeColumns, places, widthMax)}\n${formatTable(cableColumns, links, widthMax)}`
}

const placeColumns: readonly Column[] = [
  { title: 'CLUSTER' },
  { title: 'NAME' },
  { title: 'ADDRESSES' },
]

const cableColumns: readonly Column[] = [
  { title: 'CABLE' },
  { title: 'DRIVER' },
  { title: 'CIPHER' },
  { title: 'STATE' },
  { title: 'ENDPOINT' },
  { title: 'LAST HANDSHAKE' },
  { title: 'RX BYTES', align: 'right' },
  { title: 'TX BYTES', align: 'right' },
]

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '    ')
}
