// OpenAI's client for Node.
import assert from 'node:assert/strict'
import test from 'node:test'

import OpenAI from 'openai'
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod'
import { z } from 'zod'

import * as served from '../served.mjs'

const { write } = served
const demo = new OpenAI({ baseURL: served.demo + '/v1', apiKey: 'none', maxRetries: 0 })
const double = new OpenAI({ baseURL: served.double + '/v1', apiKey: served.key, maxRetries: 0 })
const user = (content) => [{ role: 'user', content }]
const chat = (content, more) => ({ model: 'double', messages: user(content), ...more })

const weather = { type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } } } } }
const Animal = z.object({ name: z.string().max(8), legs: z.number().int().min(0).max(8), kind: z.enum(['bird', 'fish', 'fox']) })

test('models', async () => {
    const names = []
    for await (const model of demo.models.list()) names.push(model.id)
    assert.deepEqual(names, ['demo'])
    assert.equal((await demo.models.retrieve('demo')).object, 'model')
    await assert.rejects(demo.models.retrieve('other'), OpenAI.NotFoundError)
})

test('chat', async () => {
    const got = await double.chat.completions.create(chat(write(' Grüße.')))
    assert.equal(got.choices[0].message.content, 'Grüße.')
    assert.equal(got.choices[0].finish_reason, 'stop')
    assert.equal(got.usage.total_tokens, got.usage.prompt_tokens + got.usage.completion_tokens)
    const stopped = await double.chat.completions.create(chat(write(' one two three'), { stop: [' three'] }))
    assert.equal(stopped.choices[0].message.content, 'one two')
    const cut = await double.chat.completions.create(chat(write(' one two three'), { max_completion_tokens: 1 }))
    assert.deepEqual([cut.choices[0].message.content, cut.choices[0].finish_reason], ['one', 'length'])
})

test('stream', async () => {
    const stream = await double.chat.completions.create(chat(write(' One two three.'), { stream: true, stream_options: { include_usage: true } }))
    let text = ''
    let usage
    for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? ''
        usage = chunk.usage ?? usage
    }
    assert.equal(text, 'One two three.')
    assert.ok(usage.completion_tokens > 0)
    const helper = double.chat.completions.stream(chat(write(' One two.')))
    assert.equal(await helper.finalContent(), 'One two.')
    assert.equal((await helper.finalChatCompletion()).choices[0].finish_reason, 'stop')
})

test('several answers with log-probabilities', async () => {
    const got = await demo.chat.completions.create({ model: 'demo', messages: user('A fox.'), n: 2, seed: 1, temperature: 1, max_tokens: 16, logprobs: true, top_logprobs: 2 })
    assert.notEqual(got.choices[0].message.content, got.choices[1].message.content)
    for (const choice of got.choices) {
        const bytes = choice.logprobs.content.flatMap((token) => token.bytes)
        assert.equal(Buffer.from(bytes).toString().trim(), choice.message.content.trim())
        assert.ok(choice.logprobs.content.every((token) => token.top_logprobs.length === 2 && token.logprob <= 0))
    }
})

test('thoughts', async () => {
    const got = await double.chat.completions.create(chat(write('>\nA greeting.\n</think>\n\nHello!'), { reasoning_effort: 'low' }))
    assert.equal(got.choices[0].message.content, 'Hello!')
    assert.equal(got.choices[0].message.reasoning_content.trim(), 'A greeting.')
})

test('schemas', async () => {
    const got = await demo.chat.completions.parse({ model: 'demo', messages: user('A fox.'), max_tokens: 200, response_format: zodResponseFormat(Animal, 'animal') })
    assert.deepEqual(Animal.parse(got.choices[0].message.parsed), got.choices[0].message.parsed)
    const stream = demo.chat.completions.stream({ model: 'demo', messages: user('A bird.'), max_tokens: 200, response_format: zodResponseFormat(Animal, 'animal') })
    assert.ok(Animal.safeParse((await stream.finalChatCompletion()).choices[0].message.parsed).success)
    const object = await double.chat.completions.create(chat('Any.', { response_format: { type: 'json_object' } }))
    assert.equal(object.choices[0].message.content, '{}')
})

test('tools', async () => {
    for (const tool_choice of ['auto', 'required', { type: 'function', function: { name: 'weather' } }]) {
        const got = await double.chat.completions.create(chat('Oslo, 2 days', { tools: [weather], tool_choice }))
        const [call] = got.choices[0].message.tool_calls
        assert.deepEqual([call.function.name, JSON.parse(call.function.arguments)], ['weather', { city: 'Oslo, 2 days', days: 2 }])
        assert.equal(got.choices[0].finish_reason, 'tool_calls')
    }
    const call = '{"name":"weather","arguments":{"city":"a","days":1}}'
    const two = chat(write(' ```json\n[' + call + ',' + call + ']\n```'), { tools: [weather] })
    assert.equal((await double.chat.completions.create(two)).choices[0].message.tool_calls.length, 2)
    assert.equal((await double.chat.completions.create({ ...two, parallel_tool_calls: false })).choices[0].message.tool_calls.length, 1)
    const none = await double.chat.completions.create(chat('Oslo', { tools: [weather], tool_choice: 'none' }))
    assert.equal(none.choices[0].message.content, 'You said: Oslo')
})

test('tools that the client runs', async () => {
    for (const stream of [false, true]) {
        const asked = []
        const run = (args) => (asked.push(args), 'rain')
        const tools = [{ type: 'function', function: { ...weather.function, parse: JSON.parse, function: run } }]
        const runner = double.chat.completions.runTools({ ...chat('Oslo, 2 days'), tools, stream })
        assert.equal(await runner.finalContent(), 'The tool says: rain')
        assert.deepEqual(asked, [{ city: 'Oslo, 2 days', days: 2 }])
    }
})

test('completions', async () => {
    const got = await demo.completions.create({ model: 'demo', prompt: ['Once upon', 'The fox'], echo: true, logprobs: 1, max_tokens: 2, temperature: 0 })
    assert.ok(got.choices[0].text.startsWith('Once upon') && got.choices[1].text.startsWith('The fox'))
    for (const { text, logprobs } of got.choices) {
        assert.equal(logprobs.tokens.join(''), text)
        assert.deepEqual(logprobs.token_logprobs.map((p) => p === null), logprobs.tokens.map((_, i) => i === 0))
    }
    let text = ''
    for await (const chunk of await double.completions.create({ model: 'double', prompt: write(' one two'), stream: true })) text += chunk.choices[0].text
    assert.equal(text, ' one two')
})

test('embeddings', async () => {
    const packed = await demo.embeddings.create({ model: 'demo', input: ['The fox.', 'A hen.'], dimensions: 32 })
    const plain = await demo.embeddings.create({ model: 'demo', input: ['The fox.', 'A hen.'], dimensions: 32, encoding_format: 'float' })
    assert.equal(packed.data.length, 2)
    packed.data.forEach(({ embedding }, i) => {
        assert.equal(embedding.length, 32)
        embedding.forEach((x, k) => assert.ok(Math.abs(x - plain.data[i].embedding[k]) < 1e-5))
    })
})

test('responses', async () => {
    const first = await double.responses.create({ model: 'double', input: write(' Hello.'), instructions: 'Be kind.' })
    assert.equal(first.output_text, 'Hello.')
    const second = await double.responses.create({ model: 'double', input: 'show', previous_response_id: first.id })
    assert.ok(JSON.parse(second.output_text).endsWith('Assistant: Hello.\n\nUser: show\n\nAssistant:'))
    assert.equal((await double.responses.retrieve(first.id)).output_text, 'Hello.')
    await double.responses.delete(first.id)
    await assert.rejects(double.responses.retrieve(first.id), OpenAI.NotFoundError)
    const count = await double.responses.inputTokens.count({ model: 'double', input: 'show' })
    assert.equal(count.object, 'response.input_tokens')
    assert.ok(count.input_tokens > 0)
})

test('responses in a stream', async () => {
    const stream = double.responses.stream({ model: 'double', input: write(' One two.') })
    const kinds = []
    let text = ''
    for await (const event of stream) {
        kinds.push(event.type)
        if (event.type === 'response.output_text.delta') text += event.delta
    }
    assert.equal(text, 'One two.')
    assert.deepEqual([kinds[0], kinds.at(-1)], ['response.created', 'response.completed'])
    assert.equal((await stream.finalResponse()).output_text, 'One two.')
})

test('responses with tools and schemas', async () => {
    const tools = [{ type: 'function', strict: false, ...weather.function }]
    const asked = await double.responses.create({ model: 'double', input: 'Oslo, 2 days', tools })
    const call = asked.output.find((item) => item.type === 'function_call')
    assert.deepEqual(JSON.parse(call.arguments), { city: 'Oslo, 2 days', days: 2 })
    const output = { type: 'function_call_output', call_id: call.call_id, output: 'rain' }
    const told = await double.responses.create({ model: 'double', input: [output], tools, previous_response_id: asked.id })
    assert.equal(told.output_text, 'The tool says: rain')
    const got = await demo.responses.parse({ model: 'demo', input: 'A fox.', max_output_tokens: 200, text: { format: zodTextFormat(Animal, 'animal') } })
    assert.deepEqual(Animal.parse(got.output_parsed), got.output_parsed)
})

test('errors', async () => {
    const create = (more, options) => double.chat.completions.create(chat('Hi', more), options)
    await assert.rejects(create({ temperature: -1 }), (e) => e instanceof OpenAI.BadRequestError && e.param === 'temperature' && e.requestID.startsWith('req_'))
    await assert.rejects(create({ model: 'other', stream: true }), OpenAI.NotFoundError)
    await assert.rejects(create({ messages: user('busy 1 openai-node') }), (e) => e instanceof OpenAI.RateLimitError && e.code === 'queue_full')
    const stranger = new OpenAI({ baseURL: served.double + '/v1', apiKey: 'wrong', maxRetries: 0 })
    await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError)
})

test('retries', async () => {
    let tries = 0
    const counting = new OpenAI({ baseURL: served.double + '/v1', apiKey: served.key, maxRetries: 2, fetch: (...args) => (tries++, fetch(...args)) })
    const got = await counting.chat.completions.create(chat('busy 2 openai-node-again'))
    assert.deepEqual([tries, got.choices[0].message.content], [3, 'You said: busy 2 openai-node-again'])
})

test('readers who leave', async () => {
    const stream = await double.chat.completions.create(chat('hang "one two"', { stream: true }))
    let text = ''
    for await (const chunk of stream) if ((text += chunk.choices[0].delta.content ?? '') === 'one two') break
    assert.equal(text, 'one two')
    await served.eventually(async () => (await served.running(served.double)) === 0)
    const leave = new AbortController()
    const whole = double.chat.completions.create(chat('hang "one"'), { signal: leave.signal })
    const failure = assert.rejects(whole, OpenAI.APIUserAbortError)
    await served.eventually(async () => (await served.running(served.double)) === 1)
    leave.abort()
    await failure
    await assert.rejects(double.chat.completions.create(chat('hang "one"'), { timeout: 500 }), OpenAI.APIConnectionTimeoutError)
    await served.eventually(async () => (await served.running(served.double)) === 0)
})
