// What must hold of names, labels, annotations and owners, in the words of a kube-apiserver.

import { isDnsLabel } from '../kube/names.ts'
import { type Body, listAt, metaOf, nameOf, recordAt, textAt } from './body.ts'
import type { Kind } from './kind.ts'
import { badValue, type Cause, forbiddenValue, required } from './refusal.ts'

const annotationBytesMost = 256 * 1024
const suffixLetters = 'bcdfghjklmnpqrstvwxz2456789'
const suffixLength = 5
const nameLengthMost = 63

/** `generateName` with five letters that spell no word. `random`: at least five bytes. */
export function generatedName(prefix: string, random: Uint8Array): string {
  const letters = [...random.subarray(0, suffixLength)].map(
    byte => suffixLetters[byte % suffixLetters.length],
  )
  return prefix.slice(0, nameLengthMost - suffixLength) + letters.join('')
}

export function metadataCauses(kind: Kind, body: Body): Cause[] {
  const meta = metaOf(body)
  const name = nameOf(body)
  return [
    ...(name === '' ? [required('metadata.name', 'name or generateName is required')] : []),
    ...(name === '' ? [] : nameCauses(kind, name)),
    ...labelCauses(recordAt(meta, 'labels')),
    ...annotationCauses(recordAt(meta, 'annotations')),
    ...listAt(meta, 'finalizers').flatMap((key, i) =>
      keyCauses(String(key), `metadata.finalizers[${i}]`),
    ),
    ...ownerCauses(listAt(meta, 'ownerReferences')),
  ]
}

function nameCauses(kind: Kind, name: string): Cause[] {
  const isLabel = kind.kind === 'Namespace' || kind.kind === 'Service'
  if (isLabel) {
    if (isDnsLabel(name)) return []
    return [badValue('metadata.name', name, dnsLabelWords)]
  }
  const label = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/
  const isSubdomain = name.length <= 253 && name.split('.').every(part => label.test(part))
  return isSubdomain ? [] : [badValue('metadata.name', name, subdomainWords)]
}

const dnsLabelWords =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must " +
  "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc')"
const subdomainWords =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', " +
  "and must start and end with an alphanumeric character (e.g. 'example.com')"

const labelPart = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$/

function labelCauses(labels: Body): Cause[] {
  return Object.entries(labels).flatMap(([key, value]) => {
    const text = String(value)
    const isValue = text === '' || (text.length <= 63 && labelPart.test(text))
    const why =
      'a valid label must be an empty string or consist of alphanumeric characters, ' +
      "'-', '_' or '.', and must start and end with an alphanumeric character"
    return [
      ...keyCauses(key, 'metadata.labels'),
      ...(isValue ? [] : [badValue('metadata.labels', text, why)]),
    ]
  })
}

function annotationCauses(annotations: Body): Cause[] {
  let bytes = 0
  const causes = Object.entries(annotations).flatMap(([key, value]) => {
    bytes += key.length + Buffer.byteLength(String(value))
    return keyCauses(key.toLowerCase(), 'metadata.annotations')
  })
  if (bytes <= annotationBytesMost) return causes
  const message = `Too long: may not be more than ${annotationBytesMost} bytes`
  return [...causes, { reason: 'FieldValueTooLong', message, field: 'metadata.annotations' }]
}

/** `prefix/name`, or a name alone. */
function keyCauses(key: string, field: string): Cause[] {
  const [name, prefix, ...more] = key.split('/').reverse()
  const isPrefix =
    prefix === undefined ||
    (prefix.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(prefix))
  const isKey = more.length === 0 && isPrefix && name.length <= 63 && labelPart.test(name)
  const why =
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end " +
    'with an alphanumeric character'
  return isKey ? [] : [badValue(field, key, why)]
}

function ownerCauses(owners: readonly unknown[]): Cause[] {
  const controllers = owners.filter(owner => recordAt(owner)['controller'] === true)
  const empty = owners.flatMap((owner, i) =>
    ['apiVersion', 'kind', 'name', 'uid']
      .filter(field => textAt(owner, field) === '')
      .map(field =>
        required(`metadata.ownerReferences[${i}].${field}`, `${field} must not be empty`),
      ),
  )
  if (controllers.length <= 1) return empty
  const why = 'Only one reference can have Controller set to true'
  return [...empty, badValue('metadata.ownerReferences', controllers.length, why)]
}

/** What a write may not change of an object that is there. */
export function changeCauses(before: Body, after: Body): Cause[] {
  const [old, new_] = [metaOf(before), metaOf(after)]
  if (old['deletionTimestamp'] === undefined) return []
  const had = new Set(listAt(old, 'finalizers'))
  const added = listAt(new_, 'finalizers').filter(entry => !had.has(entry))
  if (added.length === 0) return []
  const why = `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`
  return [forbiddenValue('metadata.finalizers', why)]
}

/** Uids of the objects that this one goes with. */
export function ownersOf(body: Body): readonly string[] {
  return listAt(body, 'metadata', 'ownerReferences').map(owner => textAt(owner, 'uid'))
}
