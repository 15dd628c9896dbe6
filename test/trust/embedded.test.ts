// The trust suite on the embedded API, over TLS. It has no Roles as objects, and no stock members: its
// roles are fixed.

import { test } from 'node:test'
import { ensureAccount } from '../../src/apiserver/running.ts'
import { memberAccountName } from '../../src/kube/names.ts'
import { serveApi } from '../support/embedded-api.ts'
import { attempts, titleOf } from '../support/trust/attempts.ts'
import { ServerBroker } from '../support/trust/server-broker.ts'
import {
  brokerNamespace,
  memberIds,
  stockMemberId,
  type TrustUser,
} from '../support/trust/world.ts'

test('on the embedded API', async context => {
  const served = await serveApi(context, 'broker')
  const account = (name: string) => ensureAccount(served.api, brokerNamespace, name)
  const tokens = new Map<TrustUser, string>([
    ['admin', served.token],
    ['nobody', account('somebody')],
  ])
  for (const id of memberIds) tokens.set(id, account(memberAccountName(id)))
  const broker = new ServerBroker(served, tokens)
  context.after(() => broker.close())
  await broker.fill()
  for (const attempt of attempts.filter(({ as }) => as !== stockMemberId)) {
    await context.test(titleOf(attempt), () => broker.check(attempt))
  }
})
