// Watches: what is there, what comes, bookmarks, and what is too long ago.

import assert from 'node:assert/strict'
import type { Json, RawWatch } from '../raw-api.ts'
import { type ApiCheck, at, type ContractApi, collection, configMap, meta } from './check.ts'

async function seen(watch: RawWatch): Promise<string> {
  const frame = await watch.change()
  return `${frame?.type} ${meta(frame?.object)['name']}`
}

async function versionOf(api: ContractApi): Promise<string> {
  const list = await api.raw.ok('GET', `${collection(api, 'configmaps')}?limit=1`)
  return String(at(list, 'metadata', 'resourceVersion'))
}

const labelled = (name: string, value: string, data: Json = {}) =>
  configMap(name, data, { labels: { 'hawser.test/watched': value } })

export const watchChecks: readonly ApiCheck[] = [
  {
    name: 'a watch from a version sees what has come after it',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'configmaps')
      const version = await versionOf(api)
      const selector = 'labelSelector=hawser.test%2Fwatched%3Done'
      const query = `watch=true&${selector}&resourceVersion=${version}`
      await api.raw.ok('POST', path, labelled('watched-1', 'one'))
      const watch = await api.raw.watch(`${path}?${query}`)
      try {
        assert.equal(await seen(watch), 'ADDED watched-1')
        await api.raw.ok('POST', path, labelled('watched-2', 'two'))
        await api.raw.ok('PATCH', `${path}/watched-1`, { data: { a: '1' } })
        assert.equal(await seen(watch), 'MODIFIED watched-1')
        // It comes into the selection, and goes out of it.
        await api.raw.ok('PATCH', `${path}/watched-2`, metadataOf('one'))
        assert.equal(await seen(watch), 'ADDED watched-2')
        const out = await api.raw.ok('PATCH', `${path}/watched-2`, metadataOf('two'))
        const left = await watch.change()
        assert.deepEqual([left?.type, meta(left?.object)['name']], ['DELETED', 'watched-2'])
        assert.equal(meta(left?.object)['resourceVersion'], meta(out)['resourceVersion'])
        await api.raw.ok('DELETE', `${path}/watched-1`)
        const gone = await watch.change()
        assert.deepEqual([gone?.type, at(gone?.object, 'data', 'a')], ['DELETED', '1'])
        const last = Number(meta(out)['resourceVersion'])
        assert.ok(Number(meta(gone?.object)['resourceVersion']) > last)
      } finally {
        watch.close()
      }
    },
  },
  {
    name: 'a watch without a version begins with what is there',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'configmaps')
      await api.raw.ok('POST', path, configMap('first-1'))
      const watch = await api.raw.watch(`${path}?watch=1&fieldSelector=metadata.name%3Dfirst-1`)
      try {
        assert.equal(await seen(watch), 'ADDED first-1')
      } finally {
        watch.close()
      }
    },
  },
  {
    name: 'a streaming list ends its first part with a bookmark',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'configmaps')
      await api.raw.ok('POST', path, configMap('streamed-1'))
      const query = [
        ...['watch=true', 'sendInitialEvents=true', 'resourceVersionMatch=NotOlderThan'],
        ...['allowWatchBookmarks=true', 'fieldSelector=metadata.name%3Dstreamed-1'],
      ].join('&')
      const watch = await api.raw.watch(`${path}?${query}`)
      try {
        const first = await watch.next()
        assert.deepEqual([first?.type, meta(first?.object)['name']], ['ADDED', 'streamed-1'])
        const mark = await watch.next()
        assert.equal(mark?.type, 'BOOKMARK')
        const annotations = meta(mark?.object)['annotations']
        assert.equal(at(annotations, 'k8s.io/initial-events-end'), 'true')
        assert.match(String(meta(mark?.object)['resourceVersion']), /^\d+$/)
        await api.raw.ok('DELETE', `${path}/streamed-1`)
        assert.equal(await seen(watch), 'DELETED streamed-1')
      } finally {
        watch.close()
      }
    },
  },
  {
    name: 'a watch ends at its time, and one resumes from a bookmark',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'configmaps')
      const version = await versionOf(api)
      const query = `watch=true&allowWatchBookmarks=true&fieldSelector=metadata.name%3Dresumed`
      const short = await api.raw.watch(
        `${path}?${query}&timeoutSeconds=1&resourceVersion=${version}`,
      )
      let bookmark = version
      for (let frame = await short.next(); frame !== undefined; frame = await short.next()) {
        assert.equal(frame.type, 'BOOKMARK')
        bookmark = String(meta(frame.object)['resourceVersion'])
      }
      await api.raw.ok('POST', path, configMap('resumed'))
      const watch = await api.raw.watch(`${path}?${query}&resourceVersion=${bookmark}`)
      try {
        assert.equal(await seen(watch), 'ADDED resumed')
      } finally {
        watch.close()
      }
    },
  },
  {
    name: 'a watch as a table sends rows',
    needs: 'broker',
    async run(api) {
      const path = collection(api, 'configmaps')
      await api.raw.ok('POST', path, configMap('row-1', { a: '1' }))
      const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
      const query = 'watch=true&fieldSelector=metadata.name%3Drow-1'
      const watch = await api.raw.watch(`${path}?${query}`, { accept })
      try {
        const first = await watch.change()
        assert.deepEqual([first?.type, at(first?.object, 'kind')], ['ADDED', 'Table'])
        assert.equal(at(first?.object, 'rows', 0, 'cells', 0), 'row-1')
        assert.equal(at(first?.object, 'columnDefinitions', 0, 'name'), 'Name')
      } finally {
        watch.close()
      }
    },
  },
]

function metadataOf(value: string): Json {
  return { metadata: { labels: { 'hawser.test/watched': value } } }
}
