import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProblemLog } from '../../../src/control/problem-log.ts'
import { testLog } from '../../support/test-log.ts'

test('a problem is said when it comes and when it goes, and not in between', () => {
  const log = testLog()
  const problems = new ProblemLog(log)
  const away = { code: 'api-away', clusterId: '', object: '', message: 'connection refused' }
  const foreign = { code: 'foreign-subnet', clusterId: 'c2', object: 'endpoints/x', message: 'no' }
  problems.look([away])
  problems.look([{ ...away, message: 'no answer within 15 s' }, foreign])
  problems.look([{ ...away }, foreign])
  problems.look([away])
  problems.look([])
  problems.look([away])
  assert.deepEqual(log.lines, [
    'error api-away: connection refused',
    'error foreign-subnet: no',
    'info foreign-subnet (endpoints/x of c2): it is over',
    'info api-away: it is over',
    'error api-away: connection refused',
  ])
})
