import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goals } from '../../../bench/goals.ts'
import { defaultWires, parseOptions } from '../../../bench/options.ts'
import { onlyTcp1, plans, secondsOf, stepsOf } from '../../../bench/plan.ts'
import { caseNames, contestantNames } from '../../../bench/run-record.ts'

test('a whole run, with all the waiting that it may do, takes less than 25 minutes', () => {
  const options = parseOptions([])
  const round = contestantNames.reduce(
    (sum, name) => sum + secondsOf(stepsOf(name, options), options),
    0,
  )
  const minutes = (options.rounds * round + options.patienceSeconds) / 60
  assert(minutes < 25, `${minutes} min`)
  assert(minutes > 15, `${minutes} min: is it all there?`)
})

test('the plan has what the goals need', () => {
  for (const claim of goals.flat()) {
    const names = [claim.of, ...claim.to, ...(claim.abovePlain === true ? ['plain' as const] : [])]
    for (const name of names) {
      for (const wire of claim.wires) {
        assert(plans[name][wire]?.includes(claim.case), `${name} ${wire} ${claim.case}`)
      }
    }
  }
})

test('a contestant of a single case takes part in that one only, whatever is asked for', () => {
  for (const name of onlyTcp1) {
    const steps = stepsOf(name, { wires: ['superpackets', 'gigabit'], cases: caseNames })
    assert.deepEqual(steps, [
      { wire: 'superpackets', cases: ['tcp1'] },
      { wire: 'gigabit', cases: ['tcp1'] },
    ])
    assert.deepEqual(stepsOf(name, { wires: defaultWires, cases: ['tcp4', 'udp64'] }), [])
  }
})

test('a case that is named is measured of those too whose plan is without it', () => {
  const choice = { wires: ['packets'], cases: ['tcp4'] } as const
  assert.deepEqual(stepsOf('boringtun', choice), [{ wire: 'packets', cases: ['tcp4'] }])
})

test('what an idle daemon costs is measured once, on the first wire', () => {
  const steps = stepsOf('hawser', { wires: defaultWires, cases: ['idle', 'rtt'] })
  assert.deepEqual(steps, [
    { wire: 'superpackets', cases: ['rtt', 'idle'] },
    { wire: 'packets', cases: ['rtt'] },
  ])
})
