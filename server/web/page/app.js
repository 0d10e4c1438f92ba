// The page: which chat is shown, and what happens when somebody does something.

import {$, arrange, el, icon, iconButton} from './dom.js';
import {failed, read} from './answer.js';
import {answer, model, picture, statePicture} from './client.js';
import {Chat, isChat, load, remove, save, written} from './chats.js';
import {Messages, describe} from './messages.js';
import {askKey, download, notice, say, tell} from './notices.js';
import {Panel} from './panel.js';
import {Settings} from './settings.js';
import {States, called} from './states.js';

let chats = []; // the last changed one first
let chat = Chat.fresh();
let listed = new Map(); // the items of chats, by what they show
let live = null; // {chat, node, stop}: the answer that is being written

const settings = new Settings((system) => {
  if (system === chat.system) return;
  chat.system = system;
  if (!chat.empty) keep(chat);
});
const messages = new Messages({edit, edited, again, goOn, fork, go});
const panel = new Panel(points, () => states.refresh());
const states = new States({
  current: () => (chat.path().length || chat.from ? {body: {...settings.written(), ...after(chat.path().at(-1))}, name: chat.title} : null),
  goOn: (state) => open(Chat.fresh('', {id: state.id, name: called(state)})),
  look: (state) => panel.open(`state ${state.id}`),
  changed: () => panel.update(),
});
const input = $('input'), scroll = $('scroll');

// Showing.

function show() {
  document.title = chat.empty ? 'rwkv-gpu' : `${chat.title} – rwkv-gpu`;
  $('title').textContent = chat.title;
  $('export').disabled = chat.empty;
  $('empty').hidden = !chat.empty;
  $('begin').textContent = chat.from ? 'How does it go on?' : 'What shall we talk about?';
  $('ideas').hidden = Boolean(chat.from);
  $('from').hidden = !chat.from;
  $('from').textContent = chat.from ? `This chat goes on from the state ${chat.from.name}.` : '';
  const writing = live?.chat === chat ? live.node : null;
  messages.show(chat, writing ?? (live && {id: -1}));
  listed = new Map(chats.map((c) => {
    const key = JSON.stringify([c.id, c.title, c.id === chat.id]);
    return [key, listed.get(key) ?? listItem(c)];
  }));
  arrange($('chat-list'), [...listed.values()]);
  const send = $('send');
  send.replaceChildren(icon(live ? 'stop' : 'send'));
  send.title = live ? 'Stop' : 'Send';
  send.setAttribute('aria-label', send.title);
  panel.update();
}

function listItem({id, title}) {
  const now = id === chat.id, it = () => chats.find((c) => c.id === id);
  const item = el('li', {}, el('button', {type: 'button', className: 'name', title, onclick: () => open(it())}, title),
    iconButton('delete', `Delete ${title}`, () => drop(it())));
  if (now) {
    item.dataset.now = '';
    item.firstChild.setAttribute('aria-current', 'true');
  }
  return item;
}

// atEnd reports whether the end of the conversation is in sight, which then stays there.
const atEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 48;
const toEnd = () => { scroll.scrollTop = scroll.scrollHeight; };

// Chats.

function keep(c) {
  const {id} = c;
  if (!save(c)) notice('The browser has no room for more chats. Export this one, or delete others.');
  if (c.id !== id) {
    notice('Another tab has changed this chat too. What you write here goes on as a chat of its own.');
    panel.forget();
    refresh(c);
  }
  chats = [c, ...chats.filter((other) => other.id !== c.id)].sort((a, b) => b.changed - a.changed);
}

// refresh takes what other tabs have changed. Nothing here is newer, but for chats that are being written.
function refresh(...held) {
  if (live) held.push(live.chat);
  chats = load(held).chats;
  chat = chats.find((c) => c.id === chat.id) ?? chat;
  show();
}

function open(c) {
  chat = c;
  messages.editing = 0;
  if ($('chats').matches('[popover]:popover-open')) $('chats').hidePopover();
  show();
  toEnd();
  input.focus();
}

function drop(c) {
  if (live?.chat === c) live.stop.abort();
  remove(c);
  chats = chats.filter((other) => other !== c);
  if (c === chat) {
    chat = chats[0] ?? Chat.fresh();
    messages.editing = 0;
  }
  show();
  toEnd();
  notice(`“${c.title}” is deleted.`, 'Undo', () => {
    keep(c);
    open(c);
  });
}

function fork(node) {
  const other = chat.fork(node.id);
  keep(other);
  open(other);
  say('A new chat goes on from here.');
}

function exported() {
  const name = chat.title.replace(/[^\p{L}\p{N}]+/gu, '-').slice(0, 40);
  download(`${name || 'chat'}.json`, new Blob([JSON.stringify(chat, null, 2)], {type: 'application/json'}));
}

// Messages.

function send(text) {
  if (live || !text.trim()) return;
  input.value = '';
  const node = chat.add(chat.path().at(-1)?.id ?? 0, 'user', text);
  write(node.id);
}

function edit(node) {
  messages.editing = node.id;
  show();
}

// edited ends the editing of a message. A new text is a version of its own beside the old one.
function edited(node, text) {
  const same = text === null || text === node.text || !text.trim();
  if (live && !same) {
    notice('An answer is being written. Stop it or wait for its end, then send this message.');
    return;
  }
  messages.editing = 0;
  if (same) {
    show();
    messages.focus(node, 'edit');
    return;
  }
  const other = chat.add(node.parent, node.role, text);
  keep(chat);
  if (node.role === 'user') write(other.id);
  else {
    show();
    messages.focus(other, 'edit');
  }
}

// again asks for another answer, beside the one there is.
function again(node) { write(node.role === 'user' ? node.id : node.parent); }

// goOn has the model write more of an answer that ended early.
function goOn(node) { write(node.parent, node); }

function go(node, action) {
  chat.show(node);
  keep(chat);
  show();
  messages.focus(node, action);
  const versions = chat.siblings(node);
  say(`Version ${versions.indexOf(node) + 1} of ${versions.length}`);
}

// retry asks once more for the answer of a job that had no key.
function retry(job) {
  const c = chats.find(({id}) => id === job.chat.id), node = c?.node(job.node.id);
  if (!node) return; // the chat is deleted
  if (c !== chat) open(c);
  goOn(node);
}

// write asks for an answer to the message of an id, or for the rest of one, and shows it as it comes.
async function write(id, begun) {
  if (live) return;
  const body = {...settings.body(), messages: chat.messages(begun?.id ?? id), ...(chat.from && {state: chat.from.id})};
  const job = {chat, node: begun ?? chat.add(id, 'assistant'), stop: new AbortController()};
  const keepJob = () => { if (chats.includes(job.chat)) keep(job.chat); }; // unless another tab has deleted the chat
  live = job;
  job.node.about = {finish: 'lost'};
  $('notice').hidden = true;
  keep(job.chat);
  show();
  toEnd();
  input.focus({preventScroll: true});
  say('The answer is being written.');
  try {
    await read(job.node, answer(body, job.stop.signal), () => more(job), keepJob);
    say('The answer is complete.');
  } catch (err) {
    say(failed(job.node, err));
    if (err.status === 401) askKey(() => retry(job));
  }
  live = null;
  keepJob();
  const end = atEnd();
  show();
  if (end && job.chat === chat) toEnd();
}

// more shows more of the answer that is being written.
function more({chat: of, node}) {
  if (of !== chat) return;
  const end = atEnd();
  messages.more(node, describe({drawn: node.about.drawn, speed: node.about.speed}));
  if (end) toEnd();
  panel.grow();
}

// after returns what the server is asked with for the state after a message, or before the first one.
const after = (node) => ({...(node && {messages: chat.messages(node.id)}), ...(chat.from && {from: chat.from.id})});

// points returns the states that can be looked at: those that the server keeps, the one that the chat begins with, and those
// after its messages.
function points() {
  const list = states.list.map((state) => ({label: `kept state ${called(state)}`, key: `state ${state.id}`,
    look: (options, signal) => statePicture(state.id, options, signal)}));
  const {system, from} = chat, fields = {...settings.written(), ...after()};
  if (from && !states.list.some((state) => state.id === from.id)) {
    list.push({label: 'before the first message', key: `from ${from.id}`, look: (options, signal) => picture({from: from.id}, options, signal)});
  }
  const path = chat.path().map(({id, role, text}) => ({id, role, text})); // as they are now: an answer may grow
  let number = 0, size = 0;
  path.forEach(({id, role, text}, i) => {
    size += text.length;
    if (!text) return;
    const start = text.slice(0, 200).trim().replace(/\s+/g, ' '), whose = role === 'user' ? 'yours' : 'an answer';
    const growing = live?.chat === chat && live.node.id === id;
    list.push({label: `after message ${++number}, ${whose}${growing ? ' so far' : ''}: “${start.slice(0, 40)}${start.length > 40 ? '…' : ''}”`,
      key: JSON.stringify([chat.id, system, fields, id, size]),
      look: (options, signal) => picture({...fields, messages: written(system, path.slice(0, i + 1))}, options, signal)});
  });
  return list;
}

// The server.

async function meet() {
  try {
    messages.model = await model();
    $('model').textContent = messages.model;
    show();
  } catch (err) {
    tell(err, meet);
  }
}

// What people do.

$('composer').onsubmit = (event) => {
  event.preventDefault();
  if (live) live.stop.abort();
  else send(input.value);
};
const coarse = matchMedia('(pointer: coarse)');
input.onkeydown = (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing || coarse.matches) return;
  event.preventDefault();
  if (!live) send(input.value);
};
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && live && !document.querySelector('dialog:modal, [popover]:popover-open')) live.stop.abort();
});
$('new').onclick = () => open(Chat.fresh());
$('export').onclick = exported;
$('settings-open').onclick = () => settings.open(chat.system);
addEventListener('pagehide', () => { if (live && chats.includes(live.chat)) save(live.chat); });
addEventListener('storage', (event) => {
  if (isChat(event.key)) refresh();
});

// Beside the conversation on wide screens the chats are always there, else they lie over it.
const narrow = matchMedia('(max-width: 50rem)');
narrow.onchange = () => { $('chats').popover = narrow.matches ? 'auto' : null; };
narrow.onchange();

const ideas = ['Tell me a story about a fox who finds a lantern', 'Tell me a story about a girl, a boat and a storm', 'Tell me a short story about a bear who cannot sleep'];
$('ideas').append(...ideas.map((idea) => el('li', {}, el('button', {type: 'button', className: 'plain', onclick: () => send(idea)}, idea))));

const here = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);
$('about').textContent = here ? 'What you write stays on this computer.' : `What you write goes to ${location.host} and nowhere else.`;

const found = load();
chats = found.chats;
if (found.damaged) notice(`${found.damaged} kept chat(s) could not be read. They were left as they are.`);
show();
input.focus();
settings.load().catch((err) => notice(`${err.message} ${err.advice}`));
meet();
document.documentElement.dataset.ready = '';
