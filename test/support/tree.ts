// The repository as the tidy tests see it: the files that a clone holds, their text, and their code
// without comments and strings. What is built, installed or measured here is not looked at.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** With a slash at its end. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** The directories of .gitignore, and git's own. */
const ignored = /^(?:.*\/)?(?:node_modules|\.git|dist|\.cache)$|^native\/build[^/]*$/

/** Every file, as a path from the root, in order; of these endings only, if any are given. */
export function filesOf(...endings: readonly string[]): string[] {
  return walk('').filter(
    file => endings.length === 0 || endings.some(ending => file.endsWith(ending)),
  )
}

export function textOf(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

function walk(directory: string): string[] {
  return readdirSync(join(root, directory), { withFileTypes: true })
    .flatMap(entry => {
      const path = directory === '' ? entry.name : `${directory}/${entry.name}`
      if (ignored.test(path) || path.endsWith('.log')) return []
      return entry.isDirectory() ? walk(path) : entry.isFile() ? [path] : []
    })
    .sort()
}

const comment = /\/\/[^\n]*|\/\*[\s\S]*?\*\//y
const string = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/y
/** A template, or a part of one from the end of an expression in it to the begin of the next. */
const template = /[`}](?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)/y
const regex = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y
/** Where a slash begins a regular expression and is no division. */
const beforeRegex = /(?:^|[(,=:[!&|?{};+*%<>~^-]|\breturn|=>)\s*$/

/**
 * The text with its comments and templates blanked, and with the contents of strings and regular
 * expressions too unless they are to be kept. Lines and columns stay what they were.
 */
export function codeOf(text: string, strings: 'blank' | 'keep' = 'blank'): string {
  let code = ''
  // Braces that are open within each `${` of the templates around.
  const expressions: number[] = []
  for (let at = 0; at < text.length; ) {
    const isComment = match(comment, text, at)
    const isTemplate = text[at] === '`' || (text[at] === '}' && expressions.at(-1) === 0)
    const piece =
      isComment ??
      match(string, text, at) ??
      (isTemplate ? match(template, text, at) : undefined) ??
      (text[at] === '/' && beforeRegex.test(code.slice(-80)) ? match(regex, text, at) : undefined)
    if (piece === undefined) {
      if (expressions.length > 0) count(expressions, text[at])
      code += text[at++]
      continue
    }
    if (isTemplate && text[at] === '}') expressions.pop()
    if (isTemplate && piece.endsWith('${')) expressions.push(0)
    const isKept = isComment === undefined && !isTemplate && strings === 'keep'
    // A string stays visible as one: what stands behind it is no begin of an expression.
    code += isKept ? piece : isComment === undefined ? quoted(piece) : blank(piece)
    at += piece.length
  }
  return code
}

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

function count(expressions: number[], character: string): void {
  if (character === '{') expressions[expressions.length - 1]++
  if (character === '}') expressions[expressions.length - 1]--
}

function blank(piece: string): string {
  return piece.replace(/[^\n]/g, ' ')
}

function quoted(piece: string): string {
  return piece.length < 2 ? piece : `'${blank(piece.slice(1, -1))}'`
}

/** The line number of a place in a text, from 1. */
export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}
