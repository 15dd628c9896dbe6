// `npm run sim`: many seeds of the simulated clusterset, on all cores. Failures are printed as they come,
// with how to repeat them; on a terminal a line shows how far it is.
//
//   npm run sim                        10 000 seeds from a random one on
//   npm run sim -- 500                 so many
//   HAWSER_SEED=7 npm run sim          that one;  HAWSER_SEED=7 npm run sim -- 500: 500 from there on

import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { testSeed } from '../../rng.ts'
import { type RunResult, runSeed } from './run.ts'

type Told = { readonly result: RunResult } | { readonly failure: string }

const usualCount = 10_000
const failuresMost = 10

if (isMainThread) process.exitCode = await main(process.argv.slice(2))
else work()

async function main(given: readonly string[]): Promise<number> {
  const isSeedGiven = process.env['HAWSER_SEED'] !== undefined
  const count = Number(given[0] ?? (isSeedGiven ? 1 : usualCount))
  const first = testSeed()
  if (!Number.isInteger(count) || count < 1 || !Number.isInteger(first)) {
    process.stderr.write('usage: [HAWSER_SEED=N] npm run sim [-- COUNT]\n')
    return 2
  }
  const startedMs = performance.now()
  const failures: string[] = []
  const results: RunResult[] = []
  const note = (told: Told) => {
    if ('result' in told) results.push(told.result)
    else {
      failures.push(told.failure)
      process.stdout.write(`✗ ${told.failure}\n`)
    }
    showProgress(results.length + failures.length, count, failures.length, startedMs)
    return failures.length < failuresMost
  }
  await runAll(first, count, note)
  process.stderr.write(process.stderr.isTTY ? '\n' : '')
  process.stdout.write(`${summary(results)}\n${results.length} passed, ${failures.length} failed\n`)
  return failures.length === 0 && results.length === count ? 0 : 1
}

/** `note` says whether to go on. */
async function runAll(first: number, count: number, note: (told: Told) => boolean) {
  const program = fileURLToPath(import.meta.url)
  let next = first
  const runOne = (index: number) =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(program, { workerData: index })
      const goOn = () => {
        if (next < first + count) worker.postMessage(next++)
        else void worker.terminate().then(() => resolve(), reject)
      }
      worker.on('message', (told: Told) => {
        if (!note(told)) next = first + count
        goOn()
      })
      worker.on('error', reject)
      goOn()
    })
  const workers = Math.min(count, availableParallelism())
  await Promise.all(Array.from({ length: workers }, (_, index) => runOne(index)))
}

function work(): void {
  const port = parentPort
  if (port === null || workerData === undefined) throw new Error('this is a worker of itself')
  port.on('message', (seed: number) => {
    let told: Told
    try {
      told = { result: runSeed(seed) }
    } catch (error) {
      told = { failure: error instanceof Error ? error.message : String(error) }
    }
    port.postMessage(told)
  })
}

function showProgress(done: number, count: number, failed: number, startedMs: number): void {
  const seconds = (performance.now() - startedMs) / 1000
  const restSeconds = Math.round((seconds / done) * (count - done))
  const line = `${done} of ${count} seeds, ${failed} failed, ${restSeconds} s left`
  if (process.stderr.isTTY) process.stderr.write(`\r${line.padEnd(60)}`)
  else if (done % 500 === 0) process.stderr.write(`${line}\n`)
}

function summary(results: readonly RunResult[]): string {
  const times = results.map(({ convergedAfterMs }) => convergedAfterMs / 1000).sort((a, b) => a - b)
  const at = (share: number) => times[Math.floor((times.length - 1) * share)] ?? 0
  const requests = Math.max(0, ...results.map(({ requestsInSecond }) => requestsInSecond))
  const inTen = Math.max(0, ...results.map(({ requestsInTen }) => requestsInTen))
  return (
    `• virtual seconds until all was well: median ${at(0.5)}, 99 % ${at(0.99)}, most ${at(1)}; ` +
    `requests of one gateway: ${requests} in a second, ${inTen} in ten`
  )
}
