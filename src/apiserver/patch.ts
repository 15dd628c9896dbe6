// The three patches: JSON merge patch (RFC 7386), JSON patch (RFC 6902), and strategic merge for the
// built-in kinds, by the table of lists that are merged and the fields that tell their items apart.

import { isRecord } from '../kube/errors.ts'
import type { Body } from './body.ts'
import { jsonPatched } from './json-patch.ts'
import type { Kind } from './kind.ts'
import { badRequest, Refusal } from './refusal.ts'
import { strategicMerge } from './strategic-merge.ts'

/** The object as the patch wants it; the given one is left as it is. Throws Refusal. */
export function patched(kind: Kind, body: Body, patch: unknown, contentType: string): Body {
  switch (contentType) {
    case 'application/merge-patch+json':
      return mergePatched(body, asBody(patch))
    case 'application/json-patch+json':
      return asBody(jsonPatched(body, patch))
    case 'application/strategic-merge-patch+json':
      if (kind.isCustom) break
      return asBody(strategicMerge(body, asBody(patch), kind.mergeKeys))
  }
  const taken = [
    'application/json-patch+json',
    'application/merge-patch+json',
    ...(kind.isCustom ? [] : ['application/strategic-merge-patch+json']),
  ]
  const why = 'the body of the request was in an unknown format - accepted media types include'
  throw new Refusal('UnsupportedMediaType', `${why}: ${taken.join(', ')}`)
}

/** RFC 7386: null takes a field out, a list replaces the list. */
function mergePatched(body: Body, patch: Body): Body {
  const result: Record<string, unknown> = { ...body }
  for (const [name, value] of Object.entries(patch)) {
    if (name === '__proto__') continue
    const old = result[name]
    if (value === null) delete result[name]
    else result[name] = isRecord(value) ? mergePatched(isRecord(old) ? old : {}, value) : value
  }
  return result
}

function asBody(value: unknown): Body {
  if (isRecord(value)) return value
  throw badRequest('the patch, or what it makes of the object, is no JSON object')
}
