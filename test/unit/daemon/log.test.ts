import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { createLog, type LogLevel } from '../../../src/daemon/log.ts'

function logged(level: LogLevel, journal: boolean, line: string): string {
  const stream = new PassThrough()
  const log = createLog({ level, stream, journal, wallMs: () => 0 })
  log.debug(`debug ${line}`)
  log.info(`info ${line}`)
  log.error(`error ${line}`)
  return String(stream.read() ?? '')
}

const time = '1970-01-01T00:00:00.000Z'

test('each level shows itself and what is graver', () => {
  const rows: readonly [LogLevel, string][] = [
    ['silent', ''],
    ['error', `${time} error error x\n`],
    ['info', `${time} info info x\n${time} error error x\n`],
    ['debug', `${time} debug debug x\n${time} info info x\n${time} error error x\n`],
  ]
  for (const [level, expected] of rows) assert.equal(logged(level, false, 'x'), expected)
})

test('lines for the journal carry the syslog priority', () => {
  assert.equal(logged('debug', true, 'x'), '<7>debug x\n<6>info x\n<3>error x\n')
})

test('an event is one line, whatever is in it', () => {
  assert.equal(logged('error', true, 'a\nb\r\n\x1b[31mc\u0085d\n'), '<3>error a b [31mc d\n')
})

test('a stream that breaks is no reason to end', () => {
  const stream = new PassThrough()
  const log = createLog({ level: 'info', stream, journal: true, wallMs: () => 0 })
  stream.emit('error', new Error('EPIPE'))
  log.info('still here')
  assert.equal(String(stream.read()), '<6>still here\n')
})
