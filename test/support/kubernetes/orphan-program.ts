// Starts servers for a test of what is left when their process is killed: prints what there is to look
// for, and waits for its end.

import { startServers } from './servers.ts'

const servers = await startServers(['orphan'])
const { kubeconfig } = servers.get('orphan')
process.stdout.write(`${JSON.stringify({ pids: servers.pids, kubeconfig })}\n`)
setInterval(() => undefined, 60_000)
