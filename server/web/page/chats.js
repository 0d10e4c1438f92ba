// Conversations as trees of messages, and where the browser keeps them.

const prefix = 'rwkv-gpu.chat.';

// Chat is a conversation: a tree of messages. A message is {id, parent, role, text, thought, about}; the parent of the
// first ones is 0. What is shown is the path from the root by way of the child that was last looked at. from is the state
// that the conversation goes on from, {id, name}, or null.
export class Chat {
  constructor({id, name = '', system = '', from = null, changed = Date.now(), nodes = [], last = {}}) {
    Object.assign(this, {id, name, system, from, changed, nodes, last});
  }

  static fresh(system = '', from = null) { return new Chat({id: newID(), system, from}); }

  get title() {
    const first = this.name || this.path()[0]?.text || '';
    return first.trim().replace(/\s+/g, ' ').slice(0, 80) || 'New chat';
  }

  get empty() { return this.nodes.length === 0; }

  node(id) { return this.nodes.find((n) => n.id === id); }

  children(parent) { return this.nodes.filter((n) => n.parent === parent); }

  // siblings returns the versions of a message, itself among them.
  siblings(node) { return this.children(node.parent).filter((n) => n.role === node.role); }

  // path returns the messages that are shown, the first one first.
  path() {
    const list = [];
    for (let at = 0; ;) {
      const children = this.children(at);
      const next = children.find((n) => n.id === this.last[at]) ?? children.at(-1);
      if (!next) return list;
      list.push(next);
      at = next.id;
    }
  }

  // above returns the messages from the first one to the one of an id, which is among them.
  above(id) {
    const list = [];
    for (let n = this.node(id); n; n = this.node(n.parent)) list.unshift(n);
    return list;
  }

  // add adds a message below another one and shows it.
  add(parent, role, text = '') {
    const node = {id: 1 + Math.max(0, ...this.nodes.map((n) => n.id)), parent, role, text, thought: '', about: {}};
    this.nodes.push(node);
    this.show(node);
    return node;
  }

  show(node) {
    this.last[node.parent] = node.id;
    this.changed = Date.now();
  }

  // fork returns a conversation of its own that goes as far as a message.
  fork(id) {
    const other = Chat.fresh(this.system, this.from);
    other.name = `${this.title} (fork)`;
    let parent = 0;
    for (const n of this.above(id)) {
      const copy = other.add(parent, n.role, n.text);
      Object.assign(copy, {thought: n.thought, about: {...n.about}});
      parent = copy.id;
    }
    return other;
  }

  // messages returns what a server is asked with, up to the message of an id.
  messages(id) { return written(this.system, this.above(id)); }
}

// written returns messages as a server is asked with them. An answer that never began is left out.
export function written(system, nodes) {
  const list = system.trim() ? [{role: 'system', content: system}] : [];
  for (const n of nodes) {
    if (n.role === 'user' || n.text) list.push({role: n.role, content: n.text});
  }
  return list.map((m) => ({...m, content: m.content.toWellFormed()}));
}

function newID() {
  const bytes = crypto.getRandomValues(new Uint8Array(12)); // randomUUID is for HTTPS and this computer alone
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

const seen = new Map(); // what is kept of each conversation, as it was last read or written in this tab

// load returns the kept conversations, the last changed one first, and how many could not be read. Those that are
// held, since they are being written here, stay as they are here.
export function load(held = []) {
  const chats = [];
  let damaged = 0;
  for (const key of Object.keys(localStorage)) {
    if (!key.startsWith(prefix)) continue;
    const own = held.find((c) => key === prefix + c.id);
    if (own) {
      chats.push(own);
      continue;
    }
    const json = localStorage.getItem(key), chat = read(json);
    if (chat) {
      chats.push(chat);
      seen.set(chat.id, json);
    } else damaged++;
  }
  return {chats: chats.sort((a, b) => b.changed - a.changed), damaged};
}

function read(json) {
  try {
    const data = JSON.parse(json);
    const good = typeof data.id === 'string' && Array.isArray(data.nodes) && data.nodes.every((n) => Number.isInteger(n.id) &&
      Number.isInteger(n.parent) && n.parent < n.id && typeof n.text === 'string' && (n.role === 'user' || n.role === 'assistant'));
    return good ? new Chat(data) : null;
  } catch {
    return null;
  }
}

// save keeps a conversation. It returns whether there was room. If another tab has changed the conversation since it was
// read, the one of this tab becomes a conversation of its own.
export function save(chat) {
  const stored = localStorage.getItem(prefix + chat.id);
  if (stored !== null && stored !== seen.get(chat.id)) {
    chat.name = `${chat.title} (other tab)`;
    chat.id = newID();
  }
  const json = JSON.stringify(chat);
  try {
    localStorage.setItem(prefix + chat.id, json);
    seen.set(chat.id, json);
    return true;
  } catch {
    return false;
  }
}

export function remove(chat) { localStorage.removeItem(prefix + chat.id); }

// isChat reports whether a key of the storage is that of a conversation.
export const isChat = (key) => key === null || key.startsWith(prefix);
