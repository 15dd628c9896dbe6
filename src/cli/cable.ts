// `hawser cable`: the cables of a running data path, and the cipher of one of them, over the data
// path's socket.
//
//   list    every cable, its cipher in force and what either side takes
//   show    one cable
//   set     changes the ciphers of one: reads the tables with their keys, changes them, posts them as
//           the next generation; again when somebody else has posted meanwhile
//
// A change here lasts until control posts other tables. It re-keys at once, while the session goes
// on; which cipher comes into force depends on the other end too.

import { Command } from 'commander'
import { formatRemote } from '../net/address.ts'
import { exitCode, GatewayError } from '../net/errors.ts'
import {
  type CipherChoice,
  type CipherName,
  type CipherTable,
  cipherNames,
  fallbackCipher,
  formatCiphers,
} from '../tables/cipher.ts'
import type { CableStatus } from '../tables/status.ts'
import type { CableTable, Tables } from '../tables/tables.ts'
import type { DatapathClient } from '../wire/client.ts'
import { wipeTables } from '../wire/tables.ts'
import { cipherHelp, parseCipher, parseCiphers } from './cipher-options.ts'
import {
  attached,
  type CommandOutput,
  jsonText,
  outputOption,
  standardOutput,
  withSocket,
} from './datapath.ts'
import type { SocketChoice } from './find-socket.ts'
import { type Column, formatTable } from './table.ts'

/** Posts that may come in between before `set` gives up. */
const attemptsMost = 10

interface ViewFlags extends SocketChoice {
  readonly output: 'table' | 'json'
}

interface SetFlags extends SocketChoice {
  readonly cipher?: CipherChoice
  readonly remoteCiphers?: readonly CipherName[]
}

export function cableCommand(out: CommandOutput = standardOutput): Command {
  const cable = new Command('cable').description('the cables of a data path')
  cable.addCommand(
    withSocket(new Command('list'))
      .description('show every cable, its cipher, and what either side takes')
      .addOption(outputOption('table', 'json'))
      .action((flags: ViewFlags) => show(flags, out)),
  )
  cable.addCommand(
    withSocket(new Command('show'))
      .description('show one cable')
      .argument('<name>', 'the cable')
      .addOption(outputOption('table', 'json'))
      .action((name: string, flags: ViewFlags) => show(flags, out, name)),
  )
  cable.addCommand(
    withSocket(new Command('set'))
      .description('change the ciphers of a cable; it re-keys while its session goes on')
      .argument('<name>', 'the cable')
      .option('--cipher <list>', cipherHelp, parseCipher)
      .option('--remote-ciphers <list>', 'what the other end is known to take', parseCiphers)
      .action((name: string, flags: SetFlags) => set(name, flags, out)),
  )
  return cable
}

async function show(flags: ViewFlags, out: CommandOutput, name?: string): Promise<void> {
  await attached(flags, async client => {
    const [tables, status] = await Promise.all([client.readTables(), client.status()])
    const chosen = name === undefined ? tables.cables : [cableOf(tables, name)]
    const views = chosen.map(table =>
      viewOf(
        table,
        status.cables.find(cable => cable.name === table.name),
      ),
    )
    if (flags.output === 'json') {
      const { interfaceName } = status
      const document = name === undefined ? { interfaceName, cables: views } : views[0]
      out.write(jsonText(name === undefined ? 'CableList' : 'Cable', document, false))
    } else if (views.length === 0) out.write('no cables\n')
    else out.write(formatTable(columns, views.map(rowOf), out.widthMax()))
  })
}

async function set(name: string, flags: SetFlags, out: CommandOutput): Promise<void> {
  const { cipher, remoteCiphers } = flags
  if (cipher === undefined && remoteCiphers === undefined)
    throw new GatewayError('USAGE', 'nothing to set', {
      hint: `--cipher ${['auto', ...cipherNames].join('|')}, or --remote-ciphers LIST`,
      exit: exitCode.usage,
    })
  await attached(flags, async client => {
    const tables = await change(client, before => withCiphers(before, name, cipher, remoteCiphers))
    const [, , , , enabled, takes] = rowOf(viewOf(cableOf(tables, name), undefined))
    const { generation } = tables
    out.write(
      `cable ${name}: ${enabled}, remote takes ${takes}; generation ${generation} in force\n`,
    )
  })
}

/** Posts the tables as `edit` leaves them. What was read holds keys, and is wiped. */
async function change(client: DatapathClient, edit: (tables: Tables) => Tables): Promise<Tables> {
  for (let attempt = 1; ; attempt++) {
    const before = await client.readTables({ keys: true })
    try {
      const after = { ...edit(before), generation: before.generation + 1 }
      await client.apply(after)
      return after
    } catch (error) {
      const isStale = error instanceof GatewayError && error.code === 'STALE'
      if (!isStale || attempt === attemptsMost) throw error
    } finally {
      wipeTables(before)
    }
  }
}

function withCiphers(
  tables: Tables,
  name: string,
  cipher: CipherChoice | undefined,
  remoteCiphers: readonly CipherName[] | undefined,
): Tables {
  const found = cableOf(tables, name)
  if (found.driver !== 'wireguard')
    throw new GatewayError('EINVAL', `cable ${name} is one of the driver vxlan: it has no cipher`, {
      hint: 'a driver is set at both ends by configuration',
      exit: exitCode.usage,
    })
  const remote = remoteCiphers ?? found.ciphers?.remote
  const ciphers: CipherTable = {
    enabled: cipher ?? found.ciphers?.enabled ?? [fallbackCipher],
    ...(remote === undefined ? {} : { remote }),
  }
  const changed = { ...found, ciphers }
  return { ...tables, cables: tables.cables.map(cable => (cable === found ? changed : cable)) }
}

function cableOf(tables: Tables, name: string): CableTable {
  const found = tables.cables.find(cable => cable.name === name)
  if (found !== undefined) return found
  const names = tables.cables.map(cable => cable.name)
  throw new GatewayError('ENOENT', `no cable has the name ${JSON.stringify(name)}`, {
    hint: names.length === 0 ? 'hawser apply FILE' : `one of ${names.slice(0, 20).join(', ')}`,
    exit: exitCode.usage,
  })
}

interface CableView {
  readonly name: string
  readonly driver: CableTable['driver']
  readonly remote?: string
  /** In force now. */
  readonly cipher?: CipherName
  /** Absent for a driver without. */
  readonly ciphers?: CipherTable
}

function viewOf(table: CableTable, status: CableStatus | undefined): CableView {
  const { name, driver } = table
  const remote = status?.remote ?? table.remote
  const view: CableView = {
    name,
    driver,
    ...(remote === undefined ? {} : { remote: formatRemote(remote) }),
    ...(status?.cipher === undefined ? {} : { cipher: status.cipher }),
  }
  if (table.driver !== 'wireguard') return view
  return { ...view, ciphers: table.ciphers ?? { enabled: [fallbackCipher] } }
}

const columns: readonly Column[] = [
  { title: 'CABLE' },
  { title: 'DRIVER' },
  { title: 'REMOTE' },
  { title: 'CIPHER' },
  { title: 'ENABLED' },
  { title: 'REMOTE TAKES' },
]

function rowOf(view: CableView): readonly string[] {
  const { name, driver, remote = '-', cipher = '-', ciphers } = view
  const enabled = ciphers === undefined ? '-' : formatCiphers(ciphers.enabled)
  const takes = ciphers === undefined ? '-' : (ciphers.remote?.join(',') ?? 'unknown')
  return [name, driver, remote, cipher, enabled, takes]
}
