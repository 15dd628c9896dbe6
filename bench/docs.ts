// The part of docs/performance.md that a whole run writes: the chart, and the report's tables, between
// two markers. What stands outside of them is written by people and stays. The chart lies beside the
// page, under its name with the ending .svg.

import { readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { renderChart } from './chart.ts'
import { renderReport } from './report.ts'
import type { Result } from './run-record.ts'

export const markers = {
  begin: '<!-- npm run bench writes from here -->',
  end: '<!-- to here -->',
} as const

/** Below the heading that stands in front of the first marker. */
const headingLevel = 4

/** Throws when a page cannot be written to: it is not there, or has not each marker once, in order. */
export function requireMarkers(file: string): void {
  replacePart(file, readFileSync(file, 'utf8'), '')
}

/** Writes a result into a page and beside it. Returns the files. */
export function writeDocs(file: string, result: Result): readonly string[] {
  const chart = file.replace(/(\.md)?$/, '.svg')
  const title = 'TCP with one stream: throughput, and CPU time of the daemons per Gbit'
  const part = `![${title}](${basename(chart)})\n\n${renderReport(result, headingLevel)}`
  const page = replacePart(file, readFileSync(file, 'utf8'), part)
  writeFileSync(file, page)
  writeFileSync(chart, renderChart(result))
  return [file, chart]
}

/** The page with another part between its markers. */
export function replacePart(file: string, page: string, part: string): string {
  const pieces = page.split(markers.begin)
  const rest = pieces.at(-1)?.split(markers.end) ?? []
  if (pieces.length !== 2 || rest.length !== 2 || pieces[0].includes(markers.end)) {
    throw new Error(
      `${file}: expected one line '${markers.begin}' and below it one '${markers.end}': ` +
        'put them in, or go without with --no-docs',
    )
  }
  return `${pieces[0]}${markers.begin}\n\n${part.trim()}\n\n${markers.end}${rest[1]}`
}
