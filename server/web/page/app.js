// The page: which chat is shown, and what happens when somebody does something.

import {$, el, icon, iconButton} from './dom.js';
import {Fault, answer, model, setKey} from './client.js';
import {Chat, isChat, load, remove, save} from './chats.js';
import {Messages, describe} from './messages.js';
import {Settings} from './settings.js';

let chats = []; // the last changed one first
let chat = Chat.fresh();
let live = null; // {chat, node, stop}: the answer that is being written

const settings = new Settings((system) => {
  if (system === chat.system) return;
  chat.system = system;
  if (!chat.empty) keep(chat);
});
const messages = new Messages({edit, edited, again, fork, go});
const input = $('input'), scroll = $('scroll');

// Showing.

function show() {
  document.title = chat.empty ? 'rwkv-gpu' : `${chat.title} – rwkv-gpu`;
  $('title').textContent = chat.title;
  $('export').disabled = chat.empty;
  $('empty').hidden = !chat.empty;
  const writing = live?.chat === chat ? live.node : null;
  messages.show(chat, writing ?? (live && {id: -1}));
  $('chat-list').replaceChildren(...chats.map(listItem));
  const send = $('send');
  send.replaceChildren(icon(live ? 'stop' : 'send'));
  send.title = live ? 'Stop' : 'Send';
  send.setAttribute('aria-label', send.title);
}

function listItem(c) {
  const now = c.id === chat.id;
  const item = el('li', {}, el('button', {type: 'button', className: 'name', title: c.title, onclick: () => open(c)}, c.title),
    iconButton('delete', `Delete ${c.title}`, () => drop(c)));
  if (now) {
    item.dataset.now = '';
    item.firstChild.setAttribute('aria-current', 'true');
  }
  return item;
}

// atEnd reports whether the end of the conversation is in sight, which then stays there.
const atEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 48;
const toEnd = () => { scroll.scrollTop = scroll.scrollHeight; };

const say = (text) => { $('said').textContent = text; };

// notice shows a line above the message box, with something to do about it.
function notice(text, label, action) {
  const close = () => { $('notice').hidden = true; };
  const buttons = [iconButton('close', 'Close', close)];
  if (label) {
    buttons.unshift(el('button', {type: 'button', className: 'plain', onclick: () => {
      close();
      action();
    }}, label));
  }
  $('notice').replaceChildren(el('span', {}, text), ...buttons);
  $('notice').hidden = false;
}

// Chats.

function keep(c) {
  if (!save(c)) notice('The browser has no room for more chats. Export this one, or delete others.');
  chats = [c, ...chats.filter((other) => other.id !== c.id)].sort((a, b) => b.changed - a.changed);
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
  if (c === chat) chat = chats[0] ?? Chat.fresh();
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

function download() {
  const url = URL.createObjectURL(new Blob([JSON.stringify(chat, null, 2)], {type: 'application/json'}));
  const name = chat.title.replace(/[^\p{L}\p{N}]+/gu, '-').slice(0, 40);
  el('a', {href: url, download: `${name || 'chat'}.json`}).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
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
  messages.editing = 0;
  if (text === null || text === node.text || !text.trim()) {
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

function go(node, action) {
  chat.show(node);
  keep(chat);
  show();
  messages.focus(node, action);
  const versions = chat.siblings(node);
  say(`Version ${versions.indexOf(node) + 1} of ${versions.length}`);
}

// write asks for an answer to the message of an id and shows it as it comes.
async function write(id) {
  if (live) return;
  const body = {...settings.body(), messages: chat.messages(id)};
  const job = {chat, node: chat.add(id, 'assistant'), stop: new AbortController()};
  live = job;
  job.node.about = {finish: 'lost'};
  keep(job.chat);
  $('notice').hidden = true;
  show();
  toEnd();
  input.focus({preventScroll: true});
  say('The answer is being written.');
  try {
    await read(job, answer(body, job.stop.signal));
    say('The answer is complete.');
  } catch (err) {
    failed(job, err);
  }
  live = null;
  if (chats.includes(job.chat)) keep(job.chat);
  const end = atEnd();
  show();
  if (end && job.chat === chat) toEnd();
}

function failed({node, chat}, err) {
  if (err.name === 'AbortError') {
    node.about.finish = 'stopped';
    say('The answer is stopped.');
    return;
  }
  node.about.finish = 'failed';
  node.about.problem = err instanceof Fault ? err.message : `The page failed: ${err}`;
  node.about.advice = err.advice ?? '';
  say(`${node.about.problem} ${node.about.advice}`);
  if (err.status === 401) askKey(() => again(node), 'The server does not know this key.');
}

// read takes what comes of an answer, and shows it once a frame.
async function read({chat: of, node}, pieces) {
  let content = '', reasoning = '', frame = 0, first = 0, last = 0, count = 0, kept = Date.now();
  const about = node.about;
  const draw = () => {
    frame = 0;
    if (of === chat) {
      const end = atEnd();
      messages.more(node, content, reasoning, describe({drawn: count, speed: about.speed}));
      if (end) toEnd();
    }
    content = reasoning = '';
  };
  try {
    for await (const piece of pieces) {
      if (piece.content || piece.reasoning) {
        last = performance.now();
        first ||= last;
        count++;
        if (last - first > 300) about.speed = (count - 1) / (last - first) * 1000;
        about.drawn = count;
      }
      node.text += piece.content;
      node.thought += piece.reasoning;
      content += piece.content;
      reasoning += piece.reasoning;
      if (piece.finish) about.finish = piece.finish;
      if (piece.usage) Object.assign(about, counted(piece.usage, last - first));
      frame ||= requestAnimationFrame(draw);
      if (Date.now() - kept > 3000) {
        keep(of);
        kept = Date.now();
      }
    }
  } finally {
    cancelAnimationFrame(frame);
    draw();
  }
}

// counted returns what an answer cost by the server's count, and its speed over so many milliseconds.
function counted(usage, time) {
  const drawn = usage.completion_tokens;
  return {counted: true, drawn, prompt: usage.prompt_tokens, cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
    speed: drawn > 1 && time > 0 ? (drawn - 1) / time * 1000 : 0};
}

// The server.

async function meet() {
  try {
    messages.model = await model();
    $('model').textContent = messages.model;
    show();
  } catch (err) {
    if (err.status === 401) askKey(meet, 'The server does not know this key.');
    else notice(`${err.message} ${err.advice}`, 'Try again', meet);
  }
}

let asked = false;

// askKey asks for a key, and goes on when there is one. wrong is said from the second time on.
function askKey(then, wrong) {
  const dialog = $('key'), field = dialog.querySelector('input');
  $('key-wrong').textContent = asked ? wrong : '';
  dialog.onclose = () => {
    if (dialog.returnValue === 'use') {
      asked = true;
      setKey(field.value.trim());
      then();
    } else notice('The server answers nobody without a key.', 'Give a key', () => askKey(then, wrong));
    field.value = '';
  };
  dialog.returnValue = '';
  if (!dialog.open) dialog.showModal();
  field.focus();
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
  if (event.key === 'Escape' && live && !document.querySelector('dialog[open], [popover]:popover-open')) live.stop.abort();
});
$('new').onclick = () => open(Chat.fresh());
$('export').onclick = download;
$('settings-open').onclick = () => settings.open(chat.system);
addEventListener('pagehide', () => { if (live) save(live.chat); });
addEventListener('storage', (event) => { // another tab
  if (!isChat(event.key)) return;
  const held = [live?.chat, chat].filter(Boolean);
  chats = load().chats.map((c) => held.find((h) => h.id === c.id && (h === live?.chat || h.changed >= c.changed)) ?? c);
  chat = chats.find((c) => c.id === chat.id) ?? chat;
  show();
});

// Beside the conversation on wide screens the chats are always there, else they lie over it.
const narrow = matchMedia('(max-width: 50rem)');
narrow.onchange = () => { $('chats').popover = narrow.matches ? 'auto' : null; };
narrow.onchange();

const ideas = ['Tell me a story about a fox who finds a lantern', 'Explain to a child why the sky is blue', 'Write a poem about rain'];
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
