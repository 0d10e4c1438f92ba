// The program of docs/clients.md in JavaScript.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'

import { demo } from '../served.mjs'

test('programs of docs/clients.md', () => {
    const page = readFileSync(process.env.RWKV_PAGES + '/clients.md', 'utf8')
    const programs = [...page.matchAll(/^```js\n(.*?)^```/gms)].map((match) => match[1])
    assert.equal(programs.length, 1)
    for (const program of programs) {
        writeFileSync('program.mjs', program.replaceAll('http://127.0.0.1:8080', demo).replaceAll('model: "rwkv"', 'model: "demo"'))
        assert.notEqual(execFileSync(process.execPath, ['program.mjs'], { encoding: 'utf8', timeout: 600_000 }).trim(), '')
    }
})
