// Who may import whom. A folder has a rule: what it may import, and which of its files others may
// import; the rest is private. A type counts like code unless the rule lists it as a type alone. Each
// rule may only name folders that stand above it, so there is no cycle between folders.

import assert from 'node:assert/strict'
import { posix } from 'node:path'
import { test } from 'node:test'
import { codeOf, filesOf, textOf } from '../support/tree.ts'

interface Rule {
  readonly why: string
  /** Folders, `native.ts`, or one file of a folder. */
  readonly code?: readonly string[]
  /** Allowed as a type alone. */
  readonly types?: readonly string[]
  /** Allowed by a dynamic import alone. */
  readonly lazy?: readonly string[]
  /** The files that others may import; absent: all of them. */
  readonly public?: readonly string[]
}

const rules: Readonly<Record<string, Rule>> = {
  net: { why: 'addresses, keys, errors and the clock: a library for everybody' },
  tables: {
    why: 'what both sides of the glass wall know: plain data and the shared memory',
    types: ['net'],
  },
  'native.ts': { why: 'the only loader of the addon', types: ['tables'] },
  packet: {
    why: 'headers, checksums, rows and trains: a library for the data plane',
    types: ['native.ts', 'tables'],
  },
  tun: {
    why: 'one device; who calls hands the addon in, here and below',
    types: ['native.ts', 'tables'],
    code: ['net'],
    public: ['offloads.ts', 'queues.ts'],
  },
  udp: { why: 'the sockets', types: ['native.ts'], code: ['net'], public: ['sockets.ts'] },
  crypto: {
    why: 'the WireGuard protocol without I/O: it knows no packet, no socket and no addon',
    code: ['tables'],
    public: ['deadline-queue.ts', 'protocol.ts', 'keypair.ts', 'xchacha.ts'],
  },
  routing: {
    why: 'lookups and sizes, pure',
    types: ['net'],
    code: ['packet'],
    public: ['mss.ts', 'prefix-trie.ts'],
  },
  capture: {
    why: 'shows what passes, on both ends: records in the workers, pcapng in the command',
    code: ['net', 'tables', 'packet'],
    types: ['native.ts'],
    public: ['filter.ts', 'pcapng.ts', 'record.ts', 'ring.ts', 'segments.ts', 'tap.ts'],
  },
  cable: {
    why: 'turns decisions of a protocol, which is handed in, into slots, remotes and datagrams',
    code: ['net', 'packet', 'tables', 'crypto/deadline-queue.ts'],
    types: ['native.ts', 'crypto'],
    public: [
      'handovers.ts',
      'sent-instants.ts',
      ...['driver.ts', 'outbox.ts', 'publisher.ts', 'remotes.ts', 'slots.ts'],
      ...['vxlan.ts', 'wireguard.ts'],
    ],
  },
  datapath: {
    why: 'the only place that knows the order',
    code: [
      ...['net', 'tables', 'native.ts', 'packet'],
      ...['tun', 'udp', 'crypto', 'routing', 'capture', 'cable'],
    ],
    public: ['datapath.ts'],
  },
  wire: {
    why: "the data path's socket; both ends know tables, and nothing of how packets move",
    code: ['net', 'tables'],
    public: ['client.ts', 'server.ts', 'status.ts', 'tables.ts', 'tables-file.ts'],
  },
  kube: {
    why: "Kubernetes' objects, parsed at the edge: what stands below sees types of ours alone",
    code: ['net'],
  },
  host: {
    why: "this machine's network: whoever needs a route says which, and it makes up the difference",
    code: ['net'],
    public: [
      'host.ts',
      'interfaces.ts',
      'commands.ts',
      'monitor.ts',
      'packet-filter.ts',
      'routes.ts',
      'sysctls.ts',
      'vxlan.ts',
    ],
  },
  'route-agent': {
    why: "a node's routes to the remote clusters: a pure plan, and the loop that carries it out",
    code: ['net', 'kube', 'host'],
    public: ['agent.ts', 'network.ts', 'settings.ts'],
  },
  broker: {
    why: 'brokers and their members: the trust rule, what is installed, joining and leaving',
    code: ['net', 'kube'],
    public: [
      ...['cidr-allocation.ts', 'deploy.ts', 'gateway-node.ts', 'join.ts', 'leave.ts'],
      ...['progress.ts', 'roles.ts', 'sync.ts', 'trust.ts', 'writes.ts'],
    ],
  },
  apiserver: {
    why: 'an API server of our own: objects in and out, over TLS and a store',
    code: ['net', 'kube', 'broker'],
    public: ['broker-setup.ts', 'kinds.ts', 'lab-setup.ts', 'running.ts'],
  },
  control: {
    why: 'what a gateway should do, and the loop that has it done; it is handed what it works on',
    code: ['net', 'native.ts', 'tables', 'kube', 'broker'],
    public: ['control.ts', 'parts.ts', 'state-directory.ts', 'uninstall.ts', 'world.ts'],
  },
  metrics: {
    why: 'what a scrape shows of a gateway, made of what others know',
    code: ['net'],
    types: ['tables', 'kube', 'control'],
  },
  uapi: {
    why: 'speaks to whatever has the shape of a data path',
    code: ['net', 'tables'],
    types: ['datapath'],
    public: ['server.ts'],
  },
  lab: {
    why: 'starts daemons as programs and talks to them as any client does',
    code: ['net', 'wire', 'kube'],
    types: ['tables'],
    public: [
      ...['access.ts', 'connections.ts', 'hints.ts', 'lab.ts', 'proof.ts', 'sandbox.ts'],
      ...['status.ts', 'topology.ts'],
    ],
  },
  daemon: {
    why: 'the composition roots: they put the parts together and decide nothing',
    code: [
      ...['net', 'native.ts', 'tun', 'datapath', 'wire', 'uapi'],
      ...['tables', 'kube', 'host', 'control', 'metrics', 'route-agent'],
    ],
    public: [
      ...['background.ts', 'datapath.ts', 'datapath-parts.ts'],
      ...['gateway.ts', 'gateway-sources.ts', 'wait-node.ts'],
      ...['log.ts', 'pairs.ts', 'route-agent.ts', 'wg.ts'],
    ],
  },
  cli: {
    why: 'short commands load no daemon: only the names of its log levels and settings',
    code: [
      ...['net', 'tables', 'capture', 'wire', 'kube', 'broker', 'lab'],
      ...['daemon/log.ts', 'daemon/gateway-sources.ts'],
    ],
    types: ['daemon', 'route-agent'],
    lazy: ['daemon', 'route-agent', 'apiserver'],
    public: [],
  },
}

/** Which folder may use a package, or a part of Node that does more than compute. */
const packages: Readonly<Record<string, readonly string[]>> = {
  '@kubernetes/client-node': ['kube'],
  commander: ['cli'],
  'ipaddr.js': ['net'],
  // The sealed cookie: `ready` is awaited in the worker's entry, the functions are handed in.
  'libsodium-wrappers': ['datapath', 'crypto'],
  'node:child_process': ['daemon', 'host', 'lab'],
  'node:worker_threads': ['datapath'],
  'node:net': ['uapi', 'wire', 'daemon', 'apiserver'],
  'node:http': ['lab', 'kube', 'daemon', 'apiserver'],
  'node:https': ['kube', 'apiserver'],
  'node:sqlite': ['apiserver'],
  'prom-client': ['metrics'],
  'node:tls': ['kube'],
  selfsigned: ['apiserver'],
  'typebox/schema': ['apiserver'],
  yaml: ['apiserver', 'broker', 'cli', 'lab'],
}

interface Import {
  readonly from: string
  readonly to: string
  readonly kind: 'code' | 'types' | 'lazy'
}

const sources = filesOf('.ts').filter(file => file.startsWith('src/'))
const imports = sources.flatMap(file => importsOf(file, textOf(file)))
const local = imports.filter(({ to }) => to.startsWith('.')).map(resolved)

function importsOf(from: string, text: string): Import[] {
  const code = codeOf(text, 'keep')
  const found: Import[] = []
  const clause = /^(?:import\s+(?:([^'"]*?)\s+from\s+)?|export\s+([^'"=]*?)\s+from\s+)'([^']+)'/gm
  for (const [, imported, exported, to] of code.matchAll(clause)) {
    found.push({ from, to, kind: isTypeOnly(imported ?? exported ?? '') ? 'types' : 'code' })
  }
  for (const [, to] of code.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)) {
    found.push({ from, to, kind: 'lazy' })
  }
  return found
}

/** `type X`, `type { X }` or `{ type X, type Y }`. */
function isTypeOnly(clause: string): boolean {
  if (/^type\b/.test(clause)) return true
  const names = /^\{([^}]*)\}$/.exec(clause)?.[1].split(',') ?? []
  const given = names.filter(name => name.trim() !== '')
  return given.length > 0 && given.every(name => /^\s*type\s/.test(name))
}

function resolved({ from, to, kind }: Import): Import {
  return { from, to: posix.join(posix.dirname(from), to), kind }
}

/** `tables` for src/tables/shared.ts, `native.ts` for src/native.ts. */
function unitOf(file: string): string {
  return file.split('/')[1]
}

/** What of the rule lets this import be, or undefined. */
function permission(rule: Rule, { to, kind }: Import): string | undefined {
  const lists = { code: [rule.code], types: [rule.code, rule.types], lazy: [rule.code, rule.lazy] }
  const allowed = lists[kind].flatMap(list => list ?? [])
  const unit = unitOf(to)
  return allowed.find(entry => entry === unit || `src/${entry}` === to)
}

/** Imports that cross a border between folders. */
function crossing(): Import[] {
  return local.filter(({ from, to }) => unitOf(from) !== unitOf(to))
}

test('the parser sees the forms of imports that are written here', () => {
  const text = [
    "import { a, type B } from './code.ts'",
    "import { type A, type B } from './types.ts'",
    "import type { A } from './type.ts'",
    "import {\n  type A,\n  b,\n} from './lines.ts'",
    "import whole from './whole.ts'",
    "import './effect.ts'",
    "export { a } from './again.ts'",
    "export type { A } from './again-type.ts'",
    "// import { a } from './comment.ts'",
    "const text = `\nimport { a } from './text.ts'\n`",
    "  const late = await import('./late.ts')",
  ].join('\n')
  assert.deepEqual(
    importsOf('x.ts', text).map(({ to, kind }) => `${to} ${kind}`),
    [
      ...['./code.ts code', './types.ts types', './type.ts types', './lines.ts code'],
      ...['./whole.ts code', './effect.ts code', './again.ts code', './again-type.ts types'],
      './late.ts lazy',
    ],
  )
})

test('each folder imports what its rule allows, and only public files', () => {
  const wrong: string[] = []
  for (const found of crossing()) {
    const { from, to, kind } = found
    const rule = rules[unitOf(from)]
    const target = rules[unitOf(to)]
    if (rule === undefined || permission(rule, found) === undefined) {
      wrong.push(`${from} may not import ${to} (${kind})`)
    }
    const name = to.split('/').slice(2).join('/')
    if (target?.public !== undefined && !target.public.includes(name)) {
      wrong.push(`${from} imports ${to}, which is private`)
    }
  }
  assert.deepEqual(wrong, [])
  assert.ok(sources.length > 90 && crossing().length > 200, `saw ${crossing().length} imports`)
})

test('every folder has a rule, and a rule names only what stands above it', () => {
  const order = Object.keys(rules)
  assert.deepEqual([...new Set(sources.map(unitOf))].sort(), [...order].sort())
  for (const [unit, { code = [], types = [], lazy = [] }] of Object.entries(rules)) {
    for (const entry of [...code, ...types, ...lazy]) {
      const above = order.indexOf(entry.split('/')[0])
      assert.ok(above >= 0 && above < order.indexOf(unit), `${unit}: ${entry}`)
    }
  }
})

test('no permission is kept that nobody uses', () => {
  const unused: string[] = []
  for (const [unit, rule] of Object.entries(rules)) {
    const own = crossing().filter(({ from }) => unitOf(from) === unit)
    for (const kind of ['code', 'types', 'lazy'] as const) {
      for (const entry of rule[kind] ?? []) {
        const isUsed = own.some(
          found => found.kind === kind && permission({ why: '', [kind]: [entry] }, found),
        )
        if (!isUsed) unused.push(`${unit} imports nothing of ${entry} (${kind})`)
      }
    }
    for (const name of rule.public ?? []) {
      const file = `src/${unit}/${name}`
      if (!crossing().some(({ to }) => to === file)) unused.push(`nobody imports ${file}`)
    }
  }
  assert.deepEqual(unused, [])
})

/** What is run and not imported: the program, a thread, and programs that the lab starts. */
const entries = [
  ...['src/cli/main.ts', 'src/datapath/worker.ts'],
  ...['src/lab/node-agent.ts', 'src/lab/page-server.ts'],
]

/** Folders whose daemon is still to come: all their files count as run, until somebody imports one. */
const awaited: readonly string[] = []

test('no file is alive through its tests alone', () => {
  const waiting = sources.filter(file => awaited.includes(unitOf(file)))
  const reached = new Set<string>([...entries, ...waiting])
  for (const file of reached) {
    for (const { from, to } of local) if (from === file) reached.add(to)
  }
  assert.deepEqual(
    sources.filter(file => !reached.has(file)),
    [],
  )
})

test('no folder waits for its daemon when it is there', () => {
  const others = crossing().filter(({ from }) => !awaited.includes(unitOf(from)))
  const imported = new Set(others.map(({ to }) => unitOf(to)))
  assert.deepEqual(
    awaited.filter(folder => imported.has(folder)),
    [],
  )
})

test('packages are used where they are meant to be', () => {
  const wrong: string[] = []
  const used = new Set<string>()
  for (const { from, to } of imports.filter(({ to }) => !to.startsWith('.'))) {
    const folders = packages[to]
    used.add(to)
    const isFree = folders === undefined && to.startsWith('node:')
    if (!isFree && folders?.includes(unitOf(from)) !== true) wrong.push(`${from}: ${to}`)
  }
  assert.deepEqual(wrong, [])
  for (const name of Object.keys(packages)) assert.ok(used.has(name), `nobody uses ${name}`)
})
