// Proof that TCP flows through the cable, and how fast: iperf3 from a pod of the first cluster to
// one of the second. CUBIC is named because some machines default to BBR, which paces by round
// trips that say little inside one machine.

import { once } from 'node:events'
import { labCommandLine } from './hints.ts'
import type { Lab } from './lab.ts'
import { lastWords } from './process.ts'
import type { Outcome, Proof } from './proof.ts'
import { runIn, startIn } from './sandbox.ts'

const secondsUsual = 3

export function proveThroughput(lab: Lab): Proof {
  const [east, west] = lab.plan.clusterPlans
  return {
    title: `iperf3 ${east.name}/pod-b → ${west.name}/pod-b`,
    prove: () => throughput(lab, secondsUsual),
  }
}

export async function throughput(lab: Lab, seconds: number): Promise<Outcome> {
  const [east, west] = lab.plan.clusterPlans
  const server = startIn(lab.sandbox, west.podB.space, ['iperf3', '-s', '-1', '--forceflush'])
  try {
    // Its first words say that it listens.
    if (server.stdout !== null)
      await Promise.race([once(server.stdout, 'data'), once(server, 'close')])
    const client = ['iperf3', '-c', west.podB.address, '-C', 'cubic', '-t', String(seconds), '-J']
    const result = await runIn(lab.sandbox, east.podB.space, client)
    const report = parseReport(result.stdout)
    if (report.gigabits !== undefined && report.gigabits > 0)
      return {
        holds: true,
        figures: `${report.gigabits.toFixed(2)} Gbit/s TCP, one stream, ${seconds} s`,
      }
    return {
      holds: false,
      reason: report.error ?? lastWords(result),
      hint: labCommandLine(lab.plan, 'status'),
    }
  } finally {
    server.kill('SIGKILL')
  }
}

/** What arrived, out of iperf3's JSON, or the error that it reports in there. */
function parseReport(text: string): { gigabits?: number; error?: string } {
  try {
    const report = JSON.parse(text)
    if (typeof report.error === 'string') return { error: report.error }
    return { gigabits: Number(report.end.sum_received.bits_per_second) / 1e9 }
  } catch {
    return {}
  }
}
