// Whatever stands in an object, parsing gives a value or a problem that names the object. What parses
// is written so that it parses to the same again, alone and over its base.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Parsed, Resource, ResourceType } from '../../../../src/kube/resource-type.ts'
import { readCidrBook } from '../../../../src/kube/resources/cidr-book.ts'
import { configMapType } from '../../../../src/kube/resources/config-map.ts'
import { gatewayOverrides, nodeType } from '../../../../src/kube/resources/node.ts'
import { coreObject, goldenObject, goldenObjects, typeOf } from '../../../support/golden-objects.ts'
import { mutated } from '../../../support/json-mutation.ts'
import { resourceTypes } from '../../../support/resource-types.ts'
import { seededRandom, testSeed } from '../../../support/rng.ts'

const runsPerObject = 500

function nameIn(raw: unknown): string {
  const metadata = (raw as { metadata?: { name?: unknown } } | null)?.metadata
  return typeof metadata?.name === 'string' ? metadata.name : ''
}

function checkProblem(parsed: Parsed<unknown>, raw: unknown): void {
  assert.ok(!parsed.ok)
  assert.equal(parsed.name, nameIn(raw))
  assert.ok(parsed.problem.includes(parsed.name), parsed.problem)
  assert.ok(parsed.problem.length < 10_000 + parsed.name.length)
}

function checkValue(type: ResourceType<Resource>, value: Resource, raw: unknown): void {
  assert.equal(value.meta.name, nameIn(raw))
  const written = type.serialize(value, raw)
  // A server would send it back with the fields that only a server writes.
  const again = type.parse(JSON.parse(JSON.stringify(written)))
  assert.ok(again.ok, again.ok ? '' : again.problem)
  assert.deepEqual(again.value, value)
  assert.ok(type.parse(type.serialize(value)).ok)
}

test('a changed object gives a value or a problem', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const objects = goldenObjects()
  for (const { name, raw } of objects) {
    const type = typeOf(raw)
    let problems = 0
    for (let run = 0; run < runsPerObject; run++) {
      const changed = mutated(raw, random)
      try {
        const result = type.parse(changed)
        if (result.ok) checkValue(type, result.value, changed)
        else checkProblem(result, changed)
        problems += result.ok ? 0 : 1
      } catch (error) {
        const what = `HAWSER_SEED=${seed} ${name}: ${JSON.stringify(changed)}`
        throw new Error(what, { cause: error })
      }
    }
    assert.ok(problems > runsPerObject / 20, `${name}: ${problems} problems`)
    assert.ok(problems < runsPerObject, `${name}: nothing parsed`)
  }
  const kinds = new Set(objects.map(({ raw }) => raw.kind))
  assert.deepEqual([...kinds].sort(), resourceTypes.map(({ kind }) => kind).sort())
})

test('so do the books and the overrides that are read out of an object', () => {
  const seed = testSeed()
  const random = seededRandom(seed)
  const golden = { book: goldenObject('globalnet-info'), node: coreObject('Node') }
  let problems = 0
  for (let run = 0; run < 4 * runsPerObject; run++) {
    const raw = mutated(golden.book, random)
    const configMap = configMapType.parse(raw)
    const book = configMap.ok ? readCidrBook('globalnet', configMap.value) : undefined
    const node = nodeType.parse(mutated(golden.node, random))
    const overrides = node.ok ? gatewayOverrides(node.value) : undefined
    if (book?.ok === false) checkProblem(book, raw)
    if (overrides?.ok === false)
      assert.match(overrides.problem, /^Node .*gateway\.submariner\.io\//s)
    problems += [book, overrides].filter(result => result?.ok === false).length
  }
  assert.ok(problems > 50, `HAWSER_SEED=${seed}: ${problems} problems`)
})
