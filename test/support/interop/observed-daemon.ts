// `hawser wg` as it is, put together from the same parts, that also writes its status as a line of
// JSON whenever it gets SIGUSR2: what it dropped, and why, is not part of the UAPI.
// Argument: the interface's name. HAWSER_PAIRS is heeded as by the command.

import { writeSync } from 'node:fs'
import { processLog } from '../../../src/daemon/log.ts'
import { runWireguard } from '../../../src/daemon/wg.ts'
import { type Datapath, startDatapath } from '../../../src/datapath/datapath.ts'
import { loadNative } from '../../../src/native.ts'

const [, , interfaceName] = process.argv
const native = loadNative()
let datapath: Datapath | undefined

process.on('SIGUSR2', () => writeSync(1, `${JSON.stringify(datapath?.status())}\n`))
const pairs = Number(process.env['HAWSER_PAIRS'] ?? 0)
const options = {
  interfaceName,
  onReady() {},
  log: processLog('debug').debug,
  ...(pairs === 0 ? {} : { pairs }),
}
await runWireguard(options, {
  secureProcess: keep => native.secureProcess(keep),
  async startDatapath(wanted) {
    datapath = await startDatapath(wanted)
    return datapath
  },
})
