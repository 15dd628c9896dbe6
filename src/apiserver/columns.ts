// Cells of tables, as kubectl shows them: ages, counts, and the fields that a CRD's columns name.

import { isRecord } from '../kube/errors.ts'
import { parseTime } from '../kube/time.ts'
import { type Body, listAt, recordAt, textAt } from './body.ts'
import type { Column } from './kind.ts'

type Cell = Column['cell']

export const nameColumn: Column = column('Name', body => textAt(body, 'metadata', 'name'))

export const ageColumn: Column = column('Age', (body, nowMs) =>
  age(textAt(body, 'metadata', 'creationTimestamp'), nowMs),
)

export function column(name: string, cell: Cell, priority = 0): Column {
  return { name, type: 'string', description: '', priority, cell }
}

export function count(name: string, cell: Cell): Column {
  return { ...column(name, cell), type: 'integer' }
}

/** `90s`, `5m10s`, `3d4h`: the same steps as everywhere in kubectl. */
export function age(time: string, nowMs: number): string {
  const since = parseTime(time)
  if (since === undefined) return '<unknown>'
  const seconds = Math.floor((nowMs - since) / 1000)
  if (seconds < -1) return '<invalid>'
  if (seconds <= 0) return '0s'
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return joined(minutes, 'm', seconds % 60, 's')
  if (minutes < 180) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  if (hours < 8) return joined(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  const days = Math.floor(hours / 24)
  if (days < 8) return joined(days, 'd', hours % 24, 'h')
  if (days < 2 * 365) return `${days}d`
  const years = Math.floor(days / 365)
  return years < 8 ? joined(years, 'y', days % 365, 'd') : `${years}y`
}

function joined(most: number, unit: string, rest: number, restUnit: string): string {
  return rest === 0 ? `${most}${unit}` : `${most}${unit}${rest}${restUnit}`
}

/** `additionalPrinterColumns` of a CRD, behind the name. */
export function customColumns(given: readonly unknown[]): Column[] {
  const columns = given.filter(isRecord).map((raw): Column => {
    const path = textAt(raw, 'jsonPath')
    const type = textAt(raw, 'type')
    return {
      name: textAt(raw, 'name'),
      type: type === 'date' || type === 'integer' ? type : 'string',
      description: textAt(raw, 'description'),
      priority: Number(raw['priority'] ?? 0),
      cell: (body, nowMs) => {
        const value = valueAt(body, path)
        if (value === undefined) return ''
        if (type === 'date') return age(String(value), nowMs)
        if (typeof value === 'string' || typeof value === 'number') return value
        return JSON.stringify(value)
      },
    }
  })
  // Without columns of its own a kind has this one.
  return columns.length === 0 ? [nameColumn, ageColumn] : [nameColumn, ...columns]
}

/** A JSON path of plain steps: `.status.haStatus`. */
export function valueAt(body: Body, path: string): unknown {
  const steps = path.split('.').slice(path.startsWith('.') ? 1 : 0)
  return recordAt(body, ...steps.slice(0, -1))[steps.at(-1) ?? '']
}

export function countAt(...path: readonly string[]): Cell {
  return body => {
    const value = recordAt(body, ...path.slice(0, -1))[path.at(-1) ?? '']
    if (Array.isArray(value)) return value.length
    return isRecord(value) ? Object.keys(value).length : 0
  }
}

export function textCell(...path: readonly string[]): Cell {
  return body => textAt(body, ...path)
}

export function otherwise(text: string, otherText: string): string {
  return text === '' ? otherText : text
}

/** Whether a condition is `True`. */
export function hasCondition(body: Body, type: string): boolean {
  return listAt(body, 'status', 'conditions').some(
    condition => textAt(condition, 'type') === type && textAt(condition, 'status') === 'True',
  )
}
