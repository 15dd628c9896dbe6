// `hawser status` as text: what holds for the whole data path, then a row for each cable. Every
// column has one unit, named in its title, so that rows compare at a glance.

import { formatRemote } from '../net/address.ts'
import type { AeadStatus, CableStatus, DatapathStatus, OffloadStatus } from '../tables/status.ts'
import { type Column, formatTable } from './table.ts'

export interface StatusViewOptions {
  readonly wide: boolean
  readonly nowMs: number
  /** Columns of the terminal; absent when there is none, then nothing is shortened. */
  readonly widthMax?: number
}

const columns: readonly Column[] = [
  { title: 'CABLE' },
  { title: 'DRIVER' },
  { title: 'CIPHER' },
  { title: 'REMOTE' },
  { title: 'HANDSHAKE' },
  { title: 'RX MiB', align: 'right' },
  { title: 'TX MiB', align: 'right' },
  { title: 'DROPS', align: 'right' },
]

/** Counters that `-o wide` adds, by their names in the status. */
const wideCounters = [
  ['RX PACKETS', 'rx-packets'],
  ['RX SUPER', 'rx-superpackets'],
  ['TX PACKETS', 'tx-packets'],
  ['TX SUPER', 'tx-superpackets'],
  ['HANDSHAKES', 'handshakes'],
] as const

export function statusText(status: DatapathStatus, options: StatusViewOptions): string {
  const facts = factsOf(status, options).map(([name, text]) => `${name.padEnd(11)}${text}\n`)
  if (status.cables.length === 0) return `${facts.join('')}\nno cables\n`
  const wide = options.wide ? wideCounters : []
  const rows = status.cables.map(cable => [
    ...rowOf(cable, options.nowMs),
    ...wide.map(([, name]) => `${cable.counters[name] ?? 0}`),
  ])
  const added = wide.map(([title]): Column => ({ title, align: 'right' }))
  const widthMax = options.wide ? undefined : options.widthMax
  return `${facts.join('')}\n${formatTable([...columns, ...added], rows, widthMax)}`
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

function factsOf(status: DatapathStatus, { wide, nowMs }: StatusViewOptions): [string, string][] {
  const { interfaceName, up, mtuBytes, generation, listenPort, fwmark, pid } = status
  const facts: [string, string][] = [
    ['interface', `${interfaceName}, ${up ? 'up' : 'DOWN'}, mtu ${mtuBytes}`],
    ['listens', `udp port ${listenPort}${fwmark === 0 ? '' : `, fwmark 0x${fwmark.toString(16)}`}`],
    ['tables', `generation ${generation}, ${count(status.cables.length, 'cable')}`],
    [
      'process',
      `pid ${pid}, ${count(status.pairs, 'pair')} of workers, ` +
        `started ${ageText(nowMs - status.startedAtMs)} ago`,
    ],
    ['offloads', offloadText(status.offloads)],
    ['ciphers', cipherText(status.aead)],
    [
      'buffers',
      `receive ${mebibytes(status.receiveBufferBytes)} MiB, ` +
        `send ${mebibytes(status.sendBufferBytes)} MiB`,
    ],
  ]
  const dropped = sumOf(status.drops)
  if (dropped > 0) facts.push(['drops', `${dropped} of no cable: ${countsText(status.drops)}`])
  if (wide && sumOf(status.counters) > 0) facts.push(['counters', countsText(status.counters)])
  return facts
}

function rowOf(cable: CableStatus, nowMs: number): string[] {
  return [
    cable.name,
    cable.driver,
    cable.cipher ?? '-',
    cable.remote === undefined ? '-' : formatRemote(cable.remote),
    handshakeText(cable, nowMs),
    mebibytes(cable.rxBytes),
    mebibytes(cable.txBytes),
    `${sumOf(cable.drops)}`,
  ]
}

function handshakeText(cable: CableStatus, nowMs: number): string {
  if (cable.driver === 'vxlan') return '-'
  if (cable.lastHandshakeMs === 0) return 'never'
  return `${Math.max(0, Math.round((nowMs - cable.lastHandshakeMs) / 1000))} s ago`
}

const offloadNames = {
  tunTso: 'tun-tso',
  tunUso: 'tun-uso',
  udpSegmentation: 'udp-segmentation',
  udpGro: 'udp-gro',
} as const

function offloadText(offloads: OffloadStatus): string {
  const names = Object.keys(offloadNames) as (keyof typeof offloadNames)[]
  return names
    .map(name => {
      const reason = offloads.reasons[name]
      const mode = offloads[name] ? 'on' : 'off'
      return `${offloadNames[name]} ${mode}${reason === undefined ? '' : ` (${reason})`}`
    })
    .join(', ')
}

function cipherText({ speeds, forms }: AeadStatus): string {
  if (speeds.length === 0) return 'not told'
  const texts = speeds.map(({ name, nsPerPacket }) => `${name} ${nsPerPacket} ns`)
  return `${texts.join(', ')} a packet (forms: ${forms.join(', ')})`
}

function countsText(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .sort(([nameA, a], [nameB, b]) => b - a || nameA.localeCompare(nameB))
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(2)
}

function ageText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`
}
