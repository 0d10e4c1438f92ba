// Anthropic's client for Node.
import assert from 'node:assert/strict'
import test from 'node:test'

import Anthropic from '@anthropic-ai/sdk'

import * as served from '../served.mjs'

const { write } = served
const demo = new Anthropic({ baseURL: served.demo, apiKey: 'none', maxRetries: 0 })
const double = new Anthropic({ baseURL: served.double, apiKey: served.key, maxRetries: 0 })
const user = (content) => ({ role: 'user', content })
const says = (content, more) => ({ model: 'double', max_tokens: 2000, messages: [user(content)], ...more })
const text = (message) => message.content.map((block) => (block.type === 'text' ? block.text : '')).join('')

const weather = { name: 'weather', input_schema: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } }, required: ['city', 'days'] } }

test('messages', async () => {
    const got = await double.messages.create(says(write(' Grüße.'), { system: 'Be kind.' }))
    assert.deepEqual([text(got), got.stop_reason, got.role, got.type], ['Grüße.', 'end_turn', 'assistant', 'message'])
    const shown = await double.messages.create(says('', { system: 'Be kind.', messages: [user('Hi'), { role: 'assistant', content: 'Hello.' }, user('show')] }))
    assert.equal(JSON.parse(text(shown)), 'System: Be kind.\n\nUser: Hi\n\nAssistant: Hello.\n\nUser: show\n\nAssistant:')
    const cut = await double.messages.create(says(write(' one two three'), { max_tokens: 1 }))
    assert.deepEqual([text(cut), cut.stop_reason], ['one', 'max_tokens'])
    const stopped = await double.messages.create(says(write(' one two three'), { stop_sequences: [' three'] }))
    assert.deepEqual([text(stopped), stopped.stop_reason, stopped.stop_sequence], ['one two', 'stop_sequence', ' three'])
})

test('streams', async () => {
    const stream = double.messages.stream(says(write(' One two three.')))
    const texts = []
    stream.on('text', (delta) => texts.push(delta))
    const final = await stream.finalMessage()
    assert.equal(texts.join(''), 'One two three.')
    assert.ok(texts.length > 2)
    assert.deepEqual([text(final), final.stop_reason], ['One two three.', 'end_turn'])
    const kinds = []
    for await (const event of await double.messages.create(says(write(' One.'), { stream: true }))) kinds.push(event.type)
    assert.deepEqual([kinds[0], kinds.at(-1)], ['message_start', 'message_stop'])
})

test('the demo model', async () => {
    const got = await demo.messages.create({ model: 'demo', max_tokens: 8, messages: [user('A fox.')] })
    assert.ok(got.usage.output_tokens > 0 && got.usage.output_tokens <= 8)
    const stream = demo.messages.stream({ model: 'demo', max_tokens: 8, messages: [user('A hen.')] })
    assert.equal(await stream.finalText(), text(await stream.finalMessage()))
})

test('thoughts', async () => {
    const asked = says(write('>\nA greeting.\n</think>\n\nHello!'), { thinking: { type: 'enabled', budget_tokens: 1024 } })
    const got = await double.messages.create(asked)
    assert.deepEqual(got.content.map((block) => block.type), ['thinking', 'text'])
    assert.equal(got.content[0].thinking.trim(), 'A greeting.')
    const stream = double.messages.stream(asked)
    let thought = ''
    stream.on('thinking', (delta) => (thought += delta))
    assert.equal(text(await stream.finalMessage()), 'Hello!')
    assert.equal(thought.trim(), 'A greeting.')
})

test('tools', async () => {
    for (const tool_choice of [{ type: 'auto' }, { type: 'any' }, { type: 'tool', name: 'weather' }]) {
        const asked = says('Oslo, 2 days', { tools: [weather], tool_choice })
        const got = await double.messages.create(asked)
        const call = got.content.at(-1)
        assert.deepEqual([call.type, call.name, call.input, got.stop_reason], ['tool_use', 'weather', { city: 'Oslo, 2 days', days: 2 }, 'tool_use'])
        const streamed = await double.messages.stream(asked).finalMessage()
        assert.deepEqual(streamed.content.at(-1).input, call.input)
        const result = { type: 'tool_result', tool_use_id: call.id, content: 'rain' }
        const told = await double.messages.create({ ...asked, tool_choice: { type: 'auto' }, messages: [...asked.messages, { role: 'assistant', content: got.content }, user([result])] })
        assert.equal(text(told), 'The tool says: rain')
    }
    const call = '{"name":"weather","arguments":{"city":"a","days":1}}'
    for (const [single, calls] of [[false, 2], [true, 1]]) {
        const got = await double.messages.create(says(write(' ```json\n[' + call + ',' + call + ']\n```'), { tools: [weather], tool_choice: { type: 'auto', disable_parallel_tool_use: single } }))
        assert.equal(got.content.filter((block) => block.type === 'tool_use').length, calls)
    }
})

test('counts of tokens', async () => {
    const asked = { model: 'double', messages: [user('How long is this?')], system: 'Be kind.', tools: [weather] }
    const counted = await double.messages.countTokens(asked)
    const got = await double.messages.create({ ...asked, max_tokens: 1 })
    assert.equal(counted.input_tokens, got.usage.input_tokens)
})

test('errors', async () => {
    const create = (more) => double.messages.create(says('Hi', more))
    const names = (part) => (e) => e.error.type === 'error' && e.error.error.message.includes(part)
    await assert.rejects(create({ temperature: -1 }), (e) => e instanceof Anthropic.BadRequestError && names('temperature')(e))
    await assert.rejects(create({ model: 'other', stream: true }), (e) => e instanceof Anthropic.NotFoundError && names('other')(e))
    await assert.rejects(create({ messages: [user('busy 1 anthropic-node')] }), (e) => e instanceof Anthropic.RateLimitError && names('try again')(e))
    const stranger = new Anthropic({ baseURL: served.double, apiKey: 'wrong', maxRetries: 0 })
    await assert.rejects(stranger.messages.create(says('Hi')), Anthropic.AuthenticationError)
})

test('retries', async () => {
    let tries = 0
    const counting = new Anthropic({ baseURL: served.double, apiKey: served.key, maxRetries: 2, fetch: (...args) => (tries++, fetch(...args)) })
    const got = await counting.messages.create(says('busy 2 anthropic-node-again'))
    assert.deepEqual([tries, text(got)], [3, 'You said: busy 2 anthropic-node-again'])
})

test('readers who leave', async () => {
    const stream = double.messages.stream(says('hang "one two"'))
    const left = assert.rejects(stream.done(), Anthropic.APIUserAbortError)
    await new Promise((done) => stream.on('text', (_, so_far) => so_far === 'one two' && done()))
    assert.equal(await served.running(served.double), 1)
    stream.abort()
    await left
    await assert.rejects(double.messages.create(says('hang "one"'), { timeout: 500 }), Anthropic.APIConnectionTimeoutError)
    await served.eventually(async () => (await served.running(served.double)) === 0)
})
