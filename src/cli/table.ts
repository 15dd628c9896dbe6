// Prints rows in columns, three spaces apart. Piped output is never shortened. On a terminal
// (`widthMax`) the widest columns give way: the middle of a cell is left out, since the ends of
// names and addresses tell them apart.

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
}

const gap = '   '
const narrowest = 8

export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  widthMax = Number.POSITIVE_INFINITY,
): string {
  const lines = [columns.map(column => column.title), ...rows]
  const widths = columns.map((_, index) => Math.max(...lines.map(line => lengthOf(line[index]))))
  shrink(widths, widthMax - gap.length * (columns.length - 1))
  const cell = (text: string, index: number) => {
    const shown = shorten(text, widths[index])
    const space = ' '.repeat(widths[index] - lengthOf(shown))
    return columns[index].align === 'right' ? space + shown : shown + space
  }
  return lines.map(line => `${line.map(cell).join(gap).trimEnd()}\n`).join('')
}

/** Leaves out the middle of a text that is longer than `width` characters. */
export function shorten(text: string, width: number): string {
  const characters = [...text]
  if (characters.length <= width) return text
  const head = Math.ceil((width - 1) / 2)
  const tail = width - 1 - head
  return [...characters.slice(0, head), '…', ...characters.slice(characters.length - tail)].join('')
}

/** Takes from the widest column, one character at a time, until the sum fits. */
function shrink(widths: number[], sum: number): void {
  while (widths.reduce((a, b) => a + b, 0) > sum) {
    const widest = widths.indexOf(Math.max(...widths))
    if (widths[widest] <= narrowest) return
    widths[widest]--
  }
}

function lengthOf(text: string): number {
  return [...text].length
}
