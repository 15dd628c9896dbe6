// `hawser drops`: every drop counter that is not zero, the largest first, and for each reason what
// it means and what to do. Following shows what was added since the last look.

import type { DatapathStatus } from '../tables/status.ts'
import { explainDrop } from './drop-reasons.ts'
import { formatTable } from './table.ts'

export interface DropCount {
  /** Absent: it belongs to no known cable. */
  readonly cable?: string
  readonly reason: string
  readonly count: number
}

/** The counters of a status: the largest first, then by cable and reason. */
export function dropsOf(status: DatapathStatus): DropCount[] {
  const drops: DropCount[] = []
  for (const [reason, count] of Object.entries(status.drops)) drops.push({ reason, count })
  for (const cable of status.cables)
    for (const [reason, count] of Object.entries(cable.drops))
      drops.push({ cable: cable.name, reason, count })
  return drops.filter(drop => drop.count > 0).sort(compare)
}

/** What came in between. A counter that went back was started anew: all of it is new. */
export function dropsSince(before: readonly DropCount[], after: readonly DropCount[]): DropCount[] {
  const known = new Map(before.map(drop => [keyOf(drop), drop.count]))
  return after
    .map(drop => {
      const earlier = known.get(keyOf(drop)) ?? 0
      return { ...drop, count: drop.count >= earlier ? drop.count - earlier : drop.count }
    })
    .filter(drop => drop.count > 0)
    .sort(compare)
}

export function dropsText(drops: readonly DropCount[], widthMax?: number): string {
  if (drops.length === 0) return 'no drops\n'
  const table = formatTable(
    [{ title: 'CABLE' }, { title: 'REASON' }, { title: 'COUNT', align: 'right' }],
    drops.map(drop => [drop.cable ?? '-', drop.reason, `${drop.count}`]),
    widthMax,
  )
  const reasons = [...new Set(drops.map(drop => drop.reason))]
  const notes = reasons.map(reason => {
    const { meaning, action } = explainDrop(reason)
    return `${reason}: ${meaning}\n  try: ${action}\n`
  })
  return `${table}\n${notes.join('')}`
}

/** One line for each increment, for following. */
export function incrementLines(drops: readonly DropCount[], time: Date): string {
  const clock = time.toISOString().slice(11, 19)
  return drops
    .map(drop => `${clock}  ${drop.cable ?? '-'}  ${drop.reason}  +${drop.count}\n`)
    .join('')
}

export function explainedDrops(drops: readonly DropCount[]): object[] {
  return drops.map(drop => ({ ...drop, ...explainDrop(drop.reason) }))
}

function keyOf(drop: DropCount): string {
  return `${drop.cable ?? ''} ${drop.reason}`
}

function compare(a: DropCount, b: DropCount): number {
  return (
    b.count - a.count ||
    (a.cable ?? '').localeCompare(b.cable ?? '') ||
    a.reason.localeCompare(b.reason)
  )
}
