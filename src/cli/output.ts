// How commands write: stdout is data, stderr is progress and errors. Colour and marks are decided
// once, by main.ts, out of `--color`, `--plain` and the environment; commands ask `output(stream)`
// and never test for a terminal themselves.
//
// `--color auto` (the default) leaves the decision to util.styleText: NO_COLOR, FORCE_COLOR and
// whether the stream is a terminal. `--plain` turns marks into ASCII words.

import { styleText } from 'node:util'
import type { GatewayError } from '../net/errors.ts'

export type ColorWhen = 'auto' | 'always' | 'never'

export type Style = 'red' | 'green' | 'yellow' | 'cyan' | 'bold' | 'dim'

export interface OutputMode {
  readonly color: ColorWhen
  /** ASCII marks. */
  readonly plain: boolean
}

/** What a line is about: done, failed, worth a look, or just said. */
export type MarkKind = 'ok' | 'failed' | 'warning' | 'note'

export interface Output {
  style(style: Style, text: string): string
  /** One coloured sign that starts a line. */
  mark(kind: MarkKind): string
}

const marks: Readonly<Record<MarkKind, { sign: string; word: string; style: Style }>> = {
  ok: { sign: '✓', word: 'ok', style: 'green' },
  failed: { sign: '✗', word: 'FAIL', style: 'red' },
  warning: { sign: '⚠', word: 'warn', style: 'yellow' },
  note: { sign: '•', word: '-', style: 'dim' },
}

export function createOutput(stream: NodeJS.WritableStream, mode: OutputMode): Output {
  const style = (name: Style, text: string): string => {
    if (mode.color === 'never') return text
    if (mode.color === 'always') return styleText(name, text, { validateStream: false })
    return styleText(name, text, { stream })
  }
  return {
    style,
    mark: kind => style(marks[kind].style, mode.plain ? marks[kind].word : marks[kind].sign),
  }
}

let mode: OutputMode = { color: 'auto', plain: false }

/** Called once, before a command runs. */
export function setOutputMode(chosen: OutputMode): void {
  mode = chosen
}

/** The output that the user asked for, on this stream. */
export function output(stream: NodeJS.WritableStream): Output {
  return createOutput(stream, mode)
}

/** The lines of an error: what is wrong and where, then what to try. */
export function errorLines(error: Pick<GatewayError, 'message' | 'hint'>, on: Output): string {
  const first = `${on.style('red', 'hawser:')} ${oneLine(error.message)}\n`
  return error.hint === undefined ? first : `${first}${on.style('dim', 'try:')} ${error.hint}\n`
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').trim()
}
