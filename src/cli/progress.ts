// Steps on standard error: a line with a mark for each when it has ended. On a terminal one that takes a
// while shows itself before.

import type { Progress } from '../broker/progress.ts'
import { output } from './output.ts'

const slowMs = 300

export function terminalProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  const on = output(stream)
  const line = (kind: 'ok' | 'failed' | 'warning' | 'note', text: string) =>
    stream.write(`${on.mark(kind)} ${text}\n`)
  return {
    async step(what, work) {
      let isShown = false
      const timer = setTimeout(() => {
        isShown = stream.isTTY === true
        if (isShown) stream.write(`${on.mark('note')} ${what} …`)
      }, slowMs)
      const ended = () => {
        clearTimeout(timer)
        if (isShown) stream.write('\r\x1b[K')
      }
      try {
        const result = await work()
        ended()
        line('ok', what)
        return result
      } catch (error) {
        ended()
        line('failed', what)
        throw error
      }
    },
    warn: text => void line('warning', text),
    note: text => void line('note', text),
  }
}
