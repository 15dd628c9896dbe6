// Problems, cut to a size that a status, a log and a metric can bear: what is in them was written by
// other clusters.

import type { ObjectProblem } from '../kube/objects.ts'
import type { Problem } from './world.ts'

const textMost = 400
/** Of one plan. */
export const problemsMost = 200

export function problem(code: string, clusterId: string, object: string, message: string): Problem {
  return { code, clusterId, object: cut(object), message: cut(message) }
}

export function malformed({ kind, name, problem: what }: ObjectProblem): Problem {
  return problem('malformed-object', '', `${kind.toLowerCase()}s/${name}`, what)
}

/** The first ones, and how many more there are. */
export function bounded(problems: readonly Problem[]): readonly Problem[] {
  if (problems.length <= problemsMost) return problems
  const more = problems.length - problemsMost
  return [...problems.slice(0, problemsMost), problem('more', '', '', `and ${more} more problems`)]
}

export function cut(text: string, most = textMost): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`
}

const namedMost = 5

/** `a, b, c and 7 more`. */
export function listed(texts: readonly string[]): string {
  const named = texts.slice(0, namedMost).join(', ')
  return texts.length <= namedMost ? named : `${named} and ${texts.length - namedMost} more`
}
