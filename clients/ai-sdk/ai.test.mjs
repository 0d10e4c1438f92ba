// Vercel's AI SDK, with its providers for compatible servers and for OpenAI's own, which asks for responses.
import assert from 'node:assert/strict'
import test from 'node:test'

import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { APICallError, embed, embedMany, generateObject, generateText, RetryError, stepCountIs, streamObject, streamText, tool } from 'ai'
import { z } from 'zod'

import * as served from '../served.mjs'

const { write } = served
const compatible = createOpenAICompatible({ name: 'rwkv', baseURL: served.double + '/v1', apiKey: served.key, includeUsage: true, supportsStructuredOutputs: true })
const openai = createOpenAI({ baseURL: served.double + '/v1', apiKey: served.key })
const demo = createOpenAICompatible({ name: 'rwkv', baseURL: served.demo + '/v1', supportsStructuredOutputs: true })
const models = { 'compatible': compatible('double'), 'openai, responses': openai('double'), 'openai, chats': openai.chat('double') }

const weather = tool({ inputSchema: z.object({ city: z.string(), days: z.number().int() }), execute: async ({ city, days }) => `${days} days of rain: ${city}` })
const Animal = z.object({ name: z.string().max(8), legs: z.number().int().min(0).max(8), kind: z.enum(['bird', 'fish', 'fox']) })

for (const [name, model] of Object.entries(models)) {
    test(name + ': texts', async () => {
        const got = await generateText({ model, prompt: write(' Grüße.'), maxRetries: 0 })
        assert.deepEqual([got.text, got.finishReason], ['Grüße.', 'stop'])
        assert.ok(got.usage.inputTokens > 0 && got.usage.outputTokens > 0)
        const messages = [{ role: 'system', content: 'Be kind.' }, { role: 'user', content: [{ type: 'text', text: 'Hi' }] }, { role: 'assistant', content: 'Hello.' }, { role: 'user', content: 'show' }]
        const shown = await generateText({ model, messages, maxRetries: 0, allowSystemInMessages: true })
        assert.equal(JSON.parse(shown.text), 'System: Be kind.\n\nUser: Hi\n\nAssistant: Hello.\n\nUser: show\n\nAssistant:')
        const cut = await generateText({ model, prompt: write(' one two three'), maxOutputTokens: 1, maxRetries: 0 })
        assert.deepEqual([cut.text, cut.finishReason], ['one', 'length'])
    })

    test(name + ': streams', async () => {
        const stream = streamText({ model, prompt: write(' One two three.'), maxRetries: 0 })
        const texts = []
        for await (const text of stream.textStream) texts.push(text)
        assert.equal(texts.join(''), 'One two three.')
        assert.ok(texts.length > 2)
        assert.equal(await stream.finishReason, 'stop')
        assert.ok((await stream.usage).outputTokens > 0)
    })

    test(name + ': objects', async () => {
        const got = await generateObject({ model, schema: Animal, prompt: 'A fox.', maxRetries: 0 })
        assert.deepEqual(Animal.parse(got.object), got.object)
        const stream = streamObject({ model, schema: Animal, prompt: 'A bird.', maxRetries: 0 })
        for await (const part of stream.partialObjectStream) assert.equal(typeof part, 'object')
        assert.deepEqual(await stream.object, got.object)
    })

    test(name + ': tools', async () => {
        const asked = { model, tools: { weather }, prompt: 'Oslo, 2 days', stopWhen: stepCountIs(3), maxRetries: 0 }
        const got = await generateText(asked)
        assert.equal(got.text, 'The tool says: 2 days of rain: Oslo, 2 days')
        assert.deepEqual(got.steps.map((step) => step.finishReason), ['tool-calls', 'stop'])
        const stream = streamText(asked)
        assert.equal(await stream.text, 'The tool says: 2 days of rain: Oslo, 2 days')
        const forced = await generateText({ ...asked, tools: { weather, clock: tool({ inputSchema: z.object({}) }) }, toolChoice: { type: 'tool', toolName: 'clock' }, stopWhen: stepCountIs(1) })
        assert.deepEqual(forced.toolCalls.map((call) => [call.toolName, call.input]), [['clock', {}]])
    })

    test(name + ': errors, retries and readers who leave', async () => {
        await assert.rejects(generateText({ model, prompt: 'Hi', temperature: -1, maxRetries: 0 }), (e) => APICallError.isInstance(e) && e.statusCode === 400 && e.message.includes('temperature'))
        const busy = 'busy 1 ai-sdk-' + name.replace(/\W/g, '')
        assert.equal((await generateText({ model, prompt: busy, maxRetries: 2 })).text, 'You said: ' + busy)
        const always = 'busy 9 ai-sdk-' + name.replace(/\W/g, '')
        await assert.rejects(generateText({ model, prompt: always, maxRetries: 1 }), (e) => RetryError.isInstance(e) && e.lastError.statusCode === 429)
        const leave = new AbortController()
        const stream = streamText({ model, prompt: 'hang "one two"', abortSignal: leave.signal, maxRetries: 0 })
        let text = ''
        for await (const part of stream.textStream) {
            if ((text += part) === 'one two') leave.abort()
        }
        assert.equal(text, 'one two')
        await served.eventually(async () => (await served.running(served.double)) === 0)
    })
}

test('thoughts', async () => {
    const prompt = write('>\nA greeting.\n</think>\n\nHello!')
    const got = await generateText({ model: compatible('double'), prompt, maxRetries: 0, providerOptions: { rwkv: { reasoningEffort: 'low' } } })
    assert.deepEqual([got.text, got.reasoningText.trim()], ['Hello!', 'A greeting.'])
    const stream = streamText({ model: compatible('double'), prompt, maxRetries: 0, providerOptions: { rwkv: { reasoningEffort: 'low' } } })
    assert.equal((await stream.reasoningText).trim(), 'A greeting.')
    assert.equal(await stream.text, 'Hello!')
})

test('a response goes on from an earlier one', async () => {
    const model = openai('double')
    const first = await generateText({ model, prompt: write(' Hello.'), maxRetries: 0 })
    const shown = await generateText({ model, prompt: 'show', maxRetries: 0, providerOptions: { openai: { previousResponseId: first.providerMetadata.openai.responseId } } })
    assert.ok(JSON.parse(shown.text).endsWith('Assistant: Hello.\n\nUser: show\n\nAssistant:'))
})

test('the demo model', async () => {
    const got = await generateObject({ model: demo('demo'), schema: Animal, prompt: 'A fox.', maxOutputTokens: 200, maxRetries: 0 })
    assert.deepEqual(Animal.parse(got.object), got.object)
    const text = await generateText({ model: demo('demo'), prompt: 'Tell me of a fox.', maxOutputTokens: 8, maxRetries: 0 })
    assert.ok(text.text.length > 0)
    assert.ok(text.usage.outputTokens <= 8)
    const whole = await generateText({ model: demo.completionModel('demo'), prompt: 'Once upon a time', maxOutputTokens: 8, maxRetries: 0 })
    assert.ok(whole.text.length > 0)
})

test('embeddings', async () => {
    const model = demo.textEmbeddingModel('demo')
    const { embeddings } = await embedMany({ model, values: ['The fox.', 'A hen.'], maxRetries: 0 })
    const one = await embed({ model, value: 'The fox.', maxRetries: 0 })
    assert.equal(embeddings.length, 2)
    one.embedding.forEach((x, i) => assert.ok(Math.abs(x - embeddings[0][i]) < 1e-5))
    const { embedding } = await embed({ model: createOpenAI({ baseURL: served.demo + '/v1', apiKey: 'none' }).embedding('demo'), value: 'The fox.', maxRetries: 0 })
    assert.equal(embedding.length, one.embedding.length)
})
