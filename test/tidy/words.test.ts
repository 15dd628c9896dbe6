// Words that have no place in the data plane. Its code is synchronous and sans-I/O: instants come in
// as nowMs, randomness and the addon as functions, and what goes out goes out in rows, actions and
// counters. So nothing there waits, reads a clock, logs, throws at a packet, or calls back.
//
// A file that is no part of the packet's way has its words listed below, with the reason.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf, filesOf, lineAt, textOf } from '../support/tree.ts'

const folders = [
  'packet',
  'crypto',
  'cable',
  'routing',
  'capture',
  'datapath',
  'tun',
  'udp',
] as const

const banned = {
  waiting: /\b(?:async|await|Promise)\b/g,
  timers: /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask|nextTick)\b/g,
  clocks: /\b(?:Date|performance|hrtime|systemClock)\b/g,
  logging: /\bconsole\b/g,
  JSON: /\bJSON\b/g,
  randomness: /\bMath\.random\b|\brandom(?:Bytes|FillSync|Int|UUID)\b|\bgetRandomValues\b/g,
  events: /\b(?:EventEmitter|EventTarget|addListener|addEventListener|emit)\b/g,
  callbacks: /\bon[A-Z]\w*|\b\w*(?:Hook|Callback)s?\b/g,
  throwing: /\bthrow\b/g,
} as const

type Word = keyof typeof banned

const allowed: Readonly<Record<string, { readonly why: string; readonly words: readonly Word[] }>> =
  {
    'src/capture/filter.ts': {
      why: 'parses what a person has written, in the command and on the main thread',
      words: ['throwing', 'JSON'],
    },
    'src/capture/segments.ts': {
      why: 'reads records where they are shown; the workers only write them',
      words: ['throwing'],
    },
    'src/datapath/captures.ts': {
      why: "the main thread's side of captures: starts them and reads their rings",
      words: ['waiting', 'clocks', 'throwing', 'JSON'],
    },
    'src/datapath/datapath.ts': {
      why: "the main thread's handle: opens devices and posts tables, no packet passes through it",
      words: ['waiting', 'timers', 'clocks', 'callbacks', 'throwing'],
    },
    'src/datapath/snapshot.ts': {
      why: 'plans a snapshot on the main thread, before anything is touched',
      words: ['throwing', 'JSON'],
    },
    'src/datapath/worker.ts': {
      why: "the workers' entry: awaits libsodium once, hands in the clock and the randomness",
      words: ['waiting', 'clocks', 'randomness'],
    },
    'src/tun/offloads.ts': { why: 'set-up on the main thread', words: ['throwing'] },
    'src/tun/queues.ts': { why: 'set-up on the main thread', words: ['throwing'] },
    'src/udp/sockets.ts': { why: 'set-up on the main thread', words: ['throwing'] },
  }

interface Found {
  readonly place: string
  readonly word: Word
  readonly text: string
}

function search(file: string, text: string): Found[] {
  const code = codeOf(text)
  return (Object.keys(banned) as Word[]).flatMap(word =>
    [...code.matchAll(banned[word])].map(match => ({
      place: `${file}:${lineAt(code, match.index)}`,
      word,
      text: match[0],
    })),
  )
}

test('the search finds each word in code, and none in comments and strings', () => {
  const seen = (text: string) => search('x.ts', text).map(({ word }) => word)
  assert.deepEqual(seen('x.then(async () => await y)'), ['waiting', 'waiting'])
  assert.deepEqual(seen('setTimeout(go, 1)'), ['timers'])
  assert.deepEqual(seen('const now = Date.now() + performance.now()'), ['clocks', 'clocks'])
  assert.deepEqual(seen('console.log(JSON.stringify(1))'), ['logging', 'JSON'])
  assert.deepEqual(seen('randomFillSync(key)'), ['randomness'])
  assert.deepEqual(seen('class X extends EventEmitter {}'), ['events'])
  assert.deepEqual(seen('x.onDrop(1); type DoneCallback = 1'), ['callbacks', 'callbacks'])
  assert.deepEqual(seen("if (a) throw new Error('b')"), ['throwing'])
  assert.deepEqual(seen(`const t = \`a \${await b} c\``), ['waiting'])
  assert.deepEqual(seen('// await throw\n/* Date */ const once = /throw/ // Promise'), [])
  assert.deepEqual(seen(`const s = 'await \\' throw' + "Date" + \`Promise \${one} JSON\``), [])
  assert.deepEqual(search('x.ts', 'a\n\nthrow b')[0].place, 'x.ts:3')
})

test('the data plane does not wait, throw, log, call back, or look at a clock', () => {
  const files = filesOf('.ts').filter(file =>
    folders.some(folder => file.startsWith(`src/${folder}/`)),
  )
  const found = files.flatMap(file => search(file, textOf(file)))
  const wrong = found.filter(({ place, word }) => {
    const entry = allowed[place.slice(0, place.indexOf(':'))]
    return entry?.words.includes(word) !== true
  })
  assert.deepEqual(
    wrong.map(({ place, word, text }) => `${place}: ${text} (${word})`),
    [],
  )
  assert.ok(files.length > 45, `saw ${files.length} files`)
})

test('no word is allowed to a file that does not use it', () => {
  for (const [file, { words }] of Object.entries(allowed)) {
    const used = new Set(search(file, textOf(file)).map(({ word }) => word))
    for (const word of words) assert.ok(used.has(word), `${file} has no use for ${word}`)
  }
})

test('nothing of the packet, its bytes or its crypto is left to a clock of its own', () => {
  // The file that reads the clocks, and the one that hands them in; daemons put the others together.
  const readers = filesOf('.ts')
    .filter(file => file.startsWith('src/') && !file.startsWith('src/daemon/'))
    .filter(file => /\bsystemClock\b|\bhrtime\b/.test(codeOf(textOf(file))))
  assert.deepEqual(readers, [
    ...['src/cli/api.ts', 'src/cli/broker.ts', 'src/cli/kube-options.ts'],
    ...['src/datapath/worker.ts', 'src/lab/node-agent.ts', 'src/net/clock.ts'],
  ])
})
