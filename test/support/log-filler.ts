// A child for the test of a full disk: writes to a store until the limit on file sizes, which its parent has
// set, refuses; then reads, deletes, and says what it saw.

import { SqliteLog } from '../../src/apiserver/sqlite-log.ts'
import { LogError, Store } from '../../src/apiserver/store.ts'

const [, , directory] = process.argv
const store = new Store(['configmaps'], new SqliteLog(directory))
const value = 'x'.repeat(4000)
let written = 0
let why = ''
while (why === '' && written < 10_000) {
  const name = `n-${written}`
  try {
    store.put('configmaps', `ns/${name}`, { metadata: { name, namespace: 'ns' }, data: { value } })
    written++
  } catch (error) {
    if (!(error instanceof LogError)) throw error
    why = error.message
  }
}
const listed = store.list('configmaps').length
// The process ends as if it were killed: nothing is tidied up.
process.stdout.write(JSON.stringify({ written, listed, version: store.version, why }), () =>
  process.kill(process.pid, 'SIGKILL'),
)
