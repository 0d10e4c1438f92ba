// The servers that tests of clients ask, and what these servers count.

export const demo = process.env.RWKV_DEMO // the demo model
export const double = process.env.RWKV_DOUBLE // the scripted model
export const key = process.env.RWKV_KEY // of the scripted model's server

// metric returns the value of a metric without labels.
export async function metric(url, name) {
    const answer = await fetch(url + '/metrics', { headers: { Authorization: 'Bearer ' + key } })
    const line = (await answer.text()).split('\n').find((line) => line.startsWith(name + ' '))
    if (!line) throw new Error(`no ${name} at ${url}`)
    return Number(line.slice(name.length + 1))
}

// running returns how many requests a server works on, but for the one that asks.
export async function running(url) {
    return (await metric(url, 'rwkv_requests_running')) - 1
}

// eventually waits until what() is true, and fails if it does not become so.
export async function eventually(what, seconds = 60) {
    for (const end = Date.now() + 1000 * seconds; !(await what()); ) {
        if (Date.now() > end) throw new Error(`not within ${seconds} s`)
        await new Promise((done) => setTimeout(done, 50))
    }
}

// write returns the message that the scripted model answers with a text.
export function write(text) {
    return 'write ' + JSON.stringify(text)
}
