// OpenAI's client for Node: files and batches.
import assert from 'node:assert/strict'
import test from 'node:test'

import OpenAI, { toFile } from 'openai'

import * as served from '../served.mjs'

const demo = new OpenAI({ baseURL: served.demo + '/v1', apiKey: 'none', maxRetries: 0 })

test('batches', async () => {
    const line = (i, body) => JSON.stringify({ custom_id: 'i' + i, method: 'POST', url: '/v1/completions', body: { prompt: 'Once ' + i, max_tokens: 5, ...body } })
    const text = [line(0), line(1), line(2, { top_p: 2 })].join('\n')
    const file = await demo.files.create({ file: await toFile(Buffer.from(text), 'in.jsonl'), purpose: 'batch' })
    assert.deepEqual([file.filename, file.bytes, file.purpose], ['in.jsonl', text.length, 'batch'])
    assert.equal(await (await demo.files.content(file.id)).text(), text)
    let batch = await demo.batches.create({ input_file_id: file.id, endpoint: '/v1/completions', completion_window: '24h' })
    await served.eventually(async () => (batch = await demo.batches.retrieve(batch.id)).status === 'completed')
    assert.deepEqual(batch.request_counts, { total: 3, completed: 2, failed: 1 })
    const results = (await (await demo.files.content(batch.output_file_id)).text()).trim().split('\n').map(JSON.parse)
    assert.deepEqual(results.map((r) => [r.custom_id, r.response.status_code, r.response.body.object]), [['i0', 200, 'text_completion'], ['i1', 200, 'text_completion']])
    const [failure] = (await (await demo.files.content(batch.error_file_id)).text()).trim().split('\n').map(JSON.parse)
    assert.deepEqual([failure.custom_id, failure.response.status_code, failure.response.body.error.param], ['i2', 400, 'top_p'])
    const ids = []
    for await (const b of demo.batches.list({ limit: 1 })) ids.push(b.id)
    assert.ok(ids.includes(batch.id))
    await assert.rejects(demo.batches.cancel(batch.id), OpenAI.ConflictError)
    assert.ok((await demo.files.delete(file.id)).deleted)
    await assert.rejects(demo.files.retrieve(file.id), OpenAI.NotFoundError)
})
