// `hawser datapath` with a scripted data path, as a process of its own that a test can signal.
// Argument: JSON of DatapathDaemonOptions. What the parts are asked for goes to stdout, a line each.
// A file named by HAWSER_TEST_END ends the data path as if its device had been deleted.

import { watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import { type DatapathDaemonOptions, runDatapathDaemon } from '../../src/daemon/datapath.ts'
import { processLog } from '../../src/daemon/log.ts'
import { ScriptedDatapath } from './scripted-datapath.ts'

const options = JSON.parse(process.argv[2]) as DatapathDaemonOptions
const endFile = process.env['HAWSER_TEST_END'] ?? ''
const failure = process.env['HAWSER_TEST_FAIL']
const say = (text: string) => process.stdout.write(`${text}\n`)

class LoggedDatapath extends ScriptedDatapath {
  override keepDevice(): void {
    say('device kept')
  }

  override async stop(): Promise<void> {
    say('datapath stopped')
  }
}

process.exitCode = await runDatapathDaemon(options, {
  log: processLog('info'),
  chooseOffloads: () => {
    say('chose offloads')
    return { tunTso: true, tunUso: true, udpSegmentation: true, udpGro: true, reasons: {} }
  },
  secureProcess: keep => say(`kept ${keep.join(' ')}`),
  peerCredentials: () => ({ uid: process.getuid?.() ?? 0, pid: 1 }),
  claimDevice: async () => ({ close: async () => {} }),
  async startDatapath({ interfaceName, persistent, mtuBytes, onEnd }) {
    say(`datapath ${interfaceName} persistent ${persistent} mtu ${mtuBytes}`)
    const watcher = watch(dirname(endFile), (_, name) => {
      if (name === basename(endFile)) onEnd('the device was deleted', failure === 'worker')
    })
    watcher.unref()
    return new LoggedDatapath()
  },
  async startUapi(datapath) {
    if (failure === 'uapi') throw new Error('no uapi')
    say(`uapi ${datapath.interfaceName}`)
    return {
      async close() {
        say('uapi stopped')
        if (failure === 'stop') throw new Error('uapi would not stop')
      },
    }
  },
})
say(`exit ${process.exitCode}`)
