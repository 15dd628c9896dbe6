// The objects of test/vectors/submariner: as stock Submariner writes them, as a Hawser does, and as a
// Kubernetes server sends them. Each call reads them anew, so a test may change what it gets.

import assert from 'node:assert/strict'
import { parse, parseAllDocuments } from 'yaml'
import type { Resource, ResourceType } from '../../src/kube/resource-type.ts'
import { resourceTypes } from './resource-types.ts'
import { filesOf, textOf } from './tree.ts'

const folder = 'test/vectors/submariner/'

/** A raw object with the parts that tests look into. */
export interface RawObject extends Record<string, unknown> {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Record<string, unknown>
}

/** The one object of a file, without `.yaml`. */
export function goldenObject(name: string): RawObject {
  return parse(textOf(`${folder}${name}.yaml`)) as RawObject
}

/** An object of `core.yaml`. */
export function coreObject(kind: string): RawObject {
  const found = objectsOf(`${folder}core.yaml`).find(object => object.kind === kind)
  assert.ok(found, `core.yaml has no ${kind}`)
  return found
}

/** Every object of every file, by the file and, where there are more in one, the kind. */
export function goldenObjects(): readonly { readonly name: string; readonly raw: RawObject }[] {
  return filesOf('.yaml')
    .filter(file => file.startsWith(folder))
    .flatMap(file =>
      objectsOf(file).map(raw => ({ name: `${file.slice(folder.length)} ${raw.kind}`, raw })),
    )
}

/** What parses the object. */
export function typeOf(raw: RawObject): ResourceType<Resource> {
  const found = resourceTypes.find(
    ({ group, version, kind }) =>
      kind === raw.kind && raw.apiVersion === (group === '' ? version : `${group}/${version}`),
  )
  assert.ok(found, `nobody parses ${raw.apiVersion} ${raw.kind}`)
  return found
}

/** The value of an object that parses. */
export function parsed<T extends Resource>(type: ResourceType<T>, raw: unknown): T {
  const result = type.parse(raw)
  assert.ok(result.ok, result.ok ? '' : result.problem)
  return result.value
}

/** The problem of an object that does not. */
export function problemWith(type: ResourceType<Resource>, raw: unknown): string {
  const result = type.parse(raw)
  assert.ok(!result.ok, 'it parses')
  return result.problem
}

/** The object with a value at a path of names and indices; undefined takes it out. */
export function withValue(raw: unknown, path: string, value: unknown): RawObject {
  const copy = structuredClone(raw) as RawObject
  const steps = path.split('.')
  const last = steps.pop() ?? ''
  let parent: Record<string, unknown> = copy
  for (const step of steps) parent = parent[step] as Record<string, unknown>
  if (value === undefined) delete parent[last]
  else parent[last] = value
  return copy
}

function objectsOf(file: string): RawObject[] {
  return parseAllDocuments(textOf(file)).map(document => {
    assert.deepEqual(document.errors, [], file)
    return document.toJS() as RawObject
  })
}
