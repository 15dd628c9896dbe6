// A page server that proves what arrived: GET answers with a file, PUT with the SHA-256 of what was
// sent. Arguments: port, file. Says `listening` when it does.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { pipeline } from 'node:stream/promises'

const [, , port, file] = process.argv
const content = readFileSync(file)

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.end(content)
    return
  }
  const hash = createHash('sha256')
  pipeline(request, hash).then(
    () => response.end(hash.digest('hex')),
    () => response.destroy(),
  )
})
server.listen(Number(port), '::', () => process.stdout.write('listening\n'))
