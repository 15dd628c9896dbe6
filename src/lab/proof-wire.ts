// Proofs about the cable itself: what `wg show` sees of it, and that nothing can be read on the
// wire. The second one sends a marker many times, captures every frame between the two gateways
// meanwhile, and holds only when the capture has at least the bytes that were sent: an empty
// capture proves nothing. On a VXLAN cable the same check must find the marker, which shows that
// it can fail.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseAddress } from '../net/address.ts'
import { labCommandLine } from './hints.ts'
import { gatewayStatus, type Lab } from './lab.ts'
import { type CaptureQuestion, type CaptureSummary, summarizeCapture } from './pcap.ts'
import { collect, ended, type Finished, lastWords } from './process.ts'
import type { Outcome, Proof } from './proof.ts'
import { runIn, startIn } from './sandbox.ts'
import { wireSpace } from './topology.ts'

const sentBytes = 1 << 20
const capturePy = fileURLToPath(new URL('./capture.py', import.meta.url))

export function proveCable(lab: Lab): Proof {
  const [east] = lab.plan.clusterPlans
  if (lab.plan.driver === 'wireguard')
    return { title: `wg show on ${east.name}/gateway`, prove: () => wgView(lab) }
  return { title: `vxlan cable of ${east.name}/gateway`, prove: () => vxlanView(lab) }
}

export function proveWire(lab: Lab): Proof {
  const encrypted = lab.plan.driver === 'wireguard'
  return {
    title: encrypted ? 'nothing readable on the wire' : 'readable on the wire (vxlan)',
    prove: () => wire(lab, encrypted),
  }
}

async function wgView(lab: Lab): Promise<Outcome> {
  const [east, west] = lab.plan.clusterPlans
  const result = await runIn(lab.sandbox, east.gateway.space, ['wg', 'show'])
  const [device, ...peers] = result.stdout.trimEnd().split('\n\n')
  const peer = peers.find(block => block.includes(` ${west.wireAddress}:`))
  const transfer = /transfer: (.*)/.exec(peer ?? '')?.[1]
  if (result.code !== 0 || transfer === undefined || !peer?.includes('latest handshake:'))
    return {
      holds: false,
      reason: result.code === 0 ? 'it shows no handshake with west' : lastWords(result),
      hint: labCommandLine(lab.plan, 'exec', `${east.name}/gateway -- wg show`),
    }
  return { holds: true, figures: transfer, view: `${device}\n\n${peer}` }
}

async function vxlanView(lab: Lab): Promise<Outcome> {
  const [east, west] = lab.plan.clusterPlans
  const { cables } = await gatewayStatus(lab, east)
  const cable = cables.find(({ name }) => name === west.name)
  if (cable !== undefined && cable.rxBytes > 0 && cable.txBytes > 0)
    return {
      holds: true,
      figures: `${mebibytes(cable.rxBytes)} received, ${mebibytes(cable.txBytes)} sent`,
    }
  return {
    holds: false,
    reason: `its counters say that nothing crossed to ${west.name}`,
    hint: labCommandLine(lab.plan, 'status'),
  }
}

async function wire(lab: Lab, encrypted: boolean): Promise<Outcome> {
  const [east, west] = lab.plan.clusterPlans
  const marker = `hawser-marker-${randomBytes(8).toString('hex')}-`
  const body = marker.repeat(Math.ceil(sentBytes / marker.length))
  const question = {
    source: parseAddress(east.wireAddress).bytes,
    destination: parseAddress(west.wireAddress).bytes,
    port: lab.plan.cablePort,
    marker: Buffer.from(marker),
  }
  const counters = () => Promise.all([gatewayStatus(lab, east), gatewayStatus(lab, west)])
  const before = await counters()
  let delivery: Finished | undefined
  const summary = await capture(lab, question, body.length, async () => {
    const url = `http://${west.podB.address}/`
    // Slow enough for a recording whose buffer is that of a plain user.
    const curl = ['curl', '-sS', '-m', '20', '--limit-rate', '4M', '-H', `X-Marker: ${marker}`]
    const post = [...curl, '--data-binary', '@-', url]
    delivery = await runIn(lab.sandbox, east.podB.space, post, { input: body })
  })
  const after = await counters()
  const counted = {
    sent: cableBytes(after[0], west.name).txBytes - cableBytes(before[0], west.name).txBytes,
    received: cableBytes(after[1], east.name).rxBytes - cableBytes(before[1], east.name).rxBytes,
  }
  const markers = body.length / marker.length
  const receipt = `${body.length} bytes, ${markers} markers`
  const problem =
    deliveryProblem(delivery, receipt) ??
    captureProblem(summary, body.length, encrypted) ??
    counterProblem(counted, body.length)
  if (problem !== undefined)
    return {
      holds: false,
      reason: problem,
      hint: labCommandLine(lab.plan, 'exec', `${east.name}/gateway -- bin/hawser drops`),
    }
  return {
    holds: true,
    figures:
      `marker sent ${markers} times, seen ${summary.markers} times in ` +
      `${mebibytes(summary.cableBytes)} of ${summary.cableFrames} frames captured; ` +
      `counters: ${mebibytes(counted.sent)} out, ${mebibytes(counted.received)} in`,
  }
}

/** Captures at the second gateway's port of the wire while `send` runs. */
async function capture(
  lab: Lab,
  question: CaptureQuestion,
  bytesLeast: number,
  send: () => Promise<void>,
): Promise<CaptureSummary> {
  const [, west] = lab.plan.clusterPlans
  // The shell tells the number that it has inside, for the signal that ends the capture in order.
  const script = ['sh', '-c', 'echo $$ >&2; exec "$@"', 'sh']
  const command = script.concat(captureCommand(lab, west.name))
  const child = startIn(lab.sandbox, wireSpace, command)
  const output = collect(child)
  const finished = ended(child)
  try {
    // The file header comes first, when the capture is open.
    if (child.stdout !== null) await Promise.race([once(child.stdout, 'data'), finished])
    await send()
    const deadline = performance.now() + 3000
    while (performance.now() < deadline) {
      if (summarizeCapture(output().stdout, question).cableBytes >= bytesLeast) break
      await delay(50)
    }
    const pid = output().stderr.toString().split('\n')[0]
    await runIn(lab.sandbox, wireSpace, ['kill', '-INT', pid])
    await finished
    return summarizeCapture(output().stdout, question)
  } finally {
    child.kill('SIGKILL')
  }
}

// A bare recording, so that what is counted is what was on the wire; see capture.py for the second.
function captureCommand(lab: Lab, interfaceName: string): string[] {
  if (lab.sandbox.rootless) return ['python3', capturePy, interfaceName]
  return ['tcpdump', '-i', interfaceName, '-s', '0', '-B', '32768', '-U', '-w', '-', '-Z', 'root']
}

function deliveryProblem(delivery: Finished | undefined, receipt: string): string | undefined {
  if (delivery === undefined) return 'nothing was sent'
  if (delivery.code !== 0) return `curl: ${lastWords(delivery)}`
  if (delivery.stdout.trim() === receipt) return undefined
  return `sent ${receipt}; the other pod says "${lastWords(delivery)}"`
}

function captureProblem(
  summary: CaptureSummary,
  bytesLeast: number,
  encrypted: boolean,
): string | undefined {
  const { cableBytes: seen, cutFrames, markers } = summary
  if (cutFrames > 0) return `${cutFrames} frames were not captured whole`
  if (seen < bytesLeast) return `${bytesLeast} bytes were sent, ${seen} were captured in the cable`
  if (encrypted && markers > 0) return `the marker can be read ${markers} times on the wire`
  if (!encrypted && markers === 0) return 'the check does not find the marker where it must be'
  return undefined
}

function counterProblem(
  counted: { readonly sent: number; readonly received: number },
  bytesLeast: number,
): string | undefined {
  const least = Math.min(counted.sent, counted.received)
  if (least >= bytesLeast) return undefined
  return `${bytesLeast} bytes were sent, the cable's counters say ${counted.sent} out and ${counted.received} in`
}

function cableBytes(status: Awaited<ReturnType<typeof gatewayStatus>>, name: string) {
  return status.cables.find(cable => cable.name === name) ?? { rxBytes: 0, txBytes: 0 }
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1048576).toFixed(2)} MiB`
}
