// Label and field selectors, as they come in a query: `app=web,tier in (a,b),!old` and
// `metadata.name=x,status.phase!=Failed`.

import { type Body, recordAt } from './body.ts'
import { valueAt } from './columns.ts'
import type { Kind } from './kind.ts'
import { badRequest } from './refusal.ts'

export type Matcher = (body: Body) => boolean

interface Selector {
  readonly matches: Matcher
  /** Everything matches. */
  readonly isEmpty: boolean
}

/** Throws Refusal. */
export function parseSelectors(kind: Kind, labels: string, fields: string): Selector {
  const terms = parseFields(kind, fields)
  const matchers = [...parseLabels(labels), ...terms.map(({ matches }) => matches)]
  return {
    matches: body => matchers.every(matches => matches(body)),
    isEmpty: matchers.length === 0,
  }
}

/** The one name that a field selector lets through, or ''; roles may allow an object by its name. */
export function selectedName(kind: Kind, fields: string): string {
  const terms = parseFields(kind, fields)
  return terms.find(({ field, isEqual }) => isEqual && field === 'metadata.name')?.value ?? ''
}

const key = '[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,315}[A-Za-z0-9])?'
const value = '[A-Za-z0-9_.-]{0,63}'
const term = new RegExp(
  String.raw`^\s*(?:(?<not>!)\s*)?(?<key>${key})\s*` +
    String.raw`(?:(?<sign>==|!=|=)\s*(?<value>${value})|(?<word>in|notin)\s*\((?<set>[^()]*)\))?\s*(?:,|$)`,
)

export function parseLabels(text: string): Matcher[] {
  const matchers: Matcher[] = []
  let rest = text
  while (rest.trim() !== '') {
    const found = term.exec(rest)
    const groups = found?.groups
    if (
      found === null ||
      groups === undefined ||
      (groups['not'] && (groups['sign'] || groups['word']))
    ) {
      throw badRequest(`unable to parse requirement: found ${JSON.stringify(rest.trim())}`)
    }
    matchers.push(labelMatcher(groups))
    rest = rest.slice(found[0].length)
  }
  return matchers
}

function labelMatcher(groups: Readonly<Record<string, string | undefined>>): Matcher {
  const { key: name = '', sign, word, not } = groups
  const has = (body: Body) => Object.hasOwn(labelsOf(body), name)
  if (sign === undefined && word === undefined) {
    return not === undefined ? has : body => !has(body)
  }
  const values =
    word === undefined
      ? [groups['value'] ?? '']
      : (groups['set'] ?? '').split(',').map(part => part.trim())
  const isOneOf = (body: Body) => has(body) && values.includes(String(labelsOf(body)[name]))
  return sign === '!=' || word === 'notin' ? body => !isOneOf(body) : isOneOf
}

function labelsOf(body: Body): Body {
  return recordAt(body, 'metadata', 'labels')
}

interface FieldTerm {
  readonly field: string
  readonly value: string
  readonly isEqual: boolean
  readonly matches: Matcher
}

function parseFields(kind: Kind, text: string): FieldTerm[] {
  const known = ['metadata.name', 'metadata.namespace', ...kind.fields]
  return splitTerms(text).map(part => {
    const found = /^(?<field>[^=!]+)(?<sign>==|!=|=)(?<value>.*)$/s.exec(part)?.groups
    if (found === undefined) throw badRequest(`invalid selector: '${part}'; can't understand it`)
    const field = found['field'].trim()
    if (!known.includes(field)) throw badRequest(`field label not supported: ${field}`)
    const wanted = found['value'].replace(/\\(.)/gs, '$1')
    const isEqual = found['sign'] !== '!='
    const matches = (body: Body) => (textOf(valueAt(body, field)) === wanted) === isEqual
    return { field, value: wanted, isEqual, matches }
  })
}

/** At commas that no backslash stands before. */
function splitTerms(text: string): string[] {
  return (text.match(/(?:\\.|[^,\\])+/gs) ?? []).filter(part => part.trim() !== '')
}

function textOf(found: unknown): string {
  return typeof found === 'object' || found === undefined ? '' : String(found)
}
