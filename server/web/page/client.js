// What the server is asked for, and its answers and errors.

// Fault is an error to show: what happened, and what to do.
export class Fault extends Error {
  constructor(message, advice = '', status = 0) {
    super(message);
    this.advice = advice;
    this.status = status;
  }
}

const keyName = 'rwkv-gpu.key';
export const setKey = (key) => sessionStorage.setItem(keyName, key);

function head() {
  const key = sessionStorage.getItem(keyName);
  return key ? {Authorization: `Bearer ${key}`} : {};
}

// ask sends a request and returns its answer, or throws a Fault.
export async function ask(path, init = {}) {
  let answer;
  try {
    answer = await fetch(path, {...init, headers: {...head(), ...init.headers}});
  } catch (err) {
    if (err.name === 'AbortError') throw err;
    throw new Fault('The server cannot be reached.', 'See whether rwkv-gpu serve still runs, then try again.');
  }
  if (!answer.ok) throw await failed(answer);
  return answer;
}

// advice says what to do about a status.
const advice = {
  401: 'Give a key, then try again.',
  404: 'Load this page anew: the server may have another model now.',
  413: 'Begin a new chat, or start the server with a larger --max-body.',
  429: 'Try again in a moment.',
  503: 'Try again in a moment. The server\'s terminal says more.',
  504: 'Ask for fewer tokens, or start the server with a longer --timeout.',
};

async function failed(answer) {
  let error = {};
  try {
    error = (await answer.json()).error ?? {};
  } catch { /* an answer of something between here and the server */ }
  return fault(error, answer.status, answer.headers.get('Retry-After'));
}

function fault(error, status, wait) {
  const message = error.message || `The server answered with status ${status}.`;
  let what = advice[status] ?? (status >= 500 ? 'The server\'s terminal says more.' : '');
  if (status === 429 && wait > 1) what = `Try again in ${wait} seconds.`;
  if (error.code === 'states_full') what = 'Delete states that you need no more.';
  if (error.code === 'state_not_found') what = 'Upload it again, or begin a new chat.';
  if (error.param === 'content') what = 'Choose the file of a state of this model.';
  else if (status === 400) what = error.param?.startsWith('messages') ? 'Edit the message.' : 'Change it in the settings, then try again.';
  return new Fault(message, what, status);
}

// model returns the name of the server's model.
export async function model() { return (await (await ask('v1/models')).json()).data[0].id; }

// choices returns the presets, templates and modes of thinking that the server knows.
export async function choices() { return (await ask('web/choices.json')).json(); }

const json = (body) => ({method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)});

// picture returns the picture of the state after a conversation.
export async function picture(body, options, signal) {
  return (await ask('v1/states/picture', {...json({...body, ...options}), signal})).arrayBuffer();
}

const statePath = (id, rest = '') => `v1/states/${encodeURIComponent(id)}${rest}`;

// statePicture returns that of a kept state.
export async function statePicture(id, options, signal) {
  return (await ask(statePath(id, `/picture?${new URLSearchParams(options)}`), {signal})).arrayBuffer();
}

// listStates returns the states that the server keeps, the newest first.
export async function listStates() { return (await (await ask('v1/states')).json()).data; }

// saveState has the server keep the state after a conversation, or after nothing.
export async function saveState(body) { return (await ask('v1/states', json(body))).json(); }

export async function deleteState(id) { await ask(statePath(id), {method: 'DELETE'}); }

// stateFile returns the file of a state.
export async function stateFile(id) { return (await ask(statePath(id, '/content'))).blob(); }

// uploadState has the server keep the state of a file.
export async function uploadState(name, file) {
  const {id} = await saveState({name});
  try {
    await ask(statePath(id, '/content'), {method: 'PUT', headers: {'Content-Type': 'application/octet-stream'}, body: file});
  } catch (err) {
    await deleteState(id).catch(() => {}); // the first error tells more
    throw err;
  }
}

// answer asks for an answer and yields what comes of it: {content, reasoning, finish, usage}, each if it is there.
export async function* answer(body, signal) {
  const response = await ask('v1/chat/completions', {...json({...body, stream: true, stream_options: {include_usage: true}}), signal});
  for await (const data of events(response.body)) {
    if (data === '[DONE]') return;
    const event = JSON.parse(data);
    if (event.error) throw fault(event.error, event.error.type === 'invalid_request_error' ? 400 : 503, null);
    const choice = event.choices?.[0];
    yield {content: choice?.delta?.content ?? '', reasoning: choice?.delta?.reasoning_content ?? '',
      finish: choice?.finish_reason ?? '', usage: event.usage};
  }
  throw new Fault('The connection ended before the answer did.', 'See whether rwkv-gpu serve still runs, then try again.');
}

// events yields the data of server-sent events (the HTML standard, section 9.2) whose lines end with a line feed.
async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '', data = [];
  try {
    for (;;) {
      const {done, value} = await reader.read();
      if (done) return;
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
        if (line === '' && data.length) {
          yield data.join('\n');
          data = [];
        }
      }
    }
  } catch (err) {
    if (err.name === 'AbortError') throw err;
    throw new Fault('The connection broke.', 'See whether rwkv-gpu serve still runs, then try again.');
  } finally {
    reader.cancel().catch(() => {}); // of a stream that has failed or ended
  }
}
