// The messages on the page: one item for each, with what can be done with it.

import {$, arrange, copyButton, el, iconButton} from './dom.js';
import {Text, clean} from './text.js';

// Messages shows a path of messages. do is {edit, edited, again, goOn, fork, go}, what the buttons of a message do.
export class Messages {
  constructor(actions) {
    this.do = actions;
    this.list = $('messages');
    this.items = new Map(); // by what they show
    this.editing = 0; // the id of the message that is being edited
    this.model = 'Model';
  }

  // show shows a conversation. live is the message that is being written, if there is one.
  show(chat, live) {
    const items = new Map();
    const path = chat.path();
    for (const node of path) {
      const last = node === path.at(-1);
      const versions = chat.siblings(node);
      // An editor stays, with what is written in it, whatever happens to the chat.
      const key = node.id === this.editing ? `editor ${node.id}` : JSON.stringify([chat.id, node.id, versions.map((n) => n.id),
        node.text.length, node.about, live?.id === node.id, Boolean(live), this.model, last]);
      items.set(key, this.items.get(key) ?? this.#item(node, versions, live, last));
    }
    arrange(this.list, [...items.values()]);
    this.items = items;
  }

  // focus puts the focus on a button of a message.
  focus(node, action) {
    const item = this.list.querySelector(`[data-id="${node.id}"]`);
    const button = item?.querySelector(`[data-do="${action}"]:enabled`) ?? item?.querySelector('button:enabled');
    button?.focus();
  }

  #item(node, versions, live, last) {
    const user = node.role === 'user';
    const item = el('li', {className: node.role}, el('h2', {}, user ? 'You' : this.model));
    item.dataset.id = node.id;
    if (node.id === this.editing) {
      item.classList.add('editing');
      item.append(this.#editor(node));
      return item;
    }
    const body = el('div', {className: 'body', dir: 'auto'});
    if (user) {
      body.append(clean(node.text));
      item.append(body, this.#foot(node, versions, live, last));
      return item;
    }
    const writing = live?.id === node.id;
    const thought = el('details', {className: 'thought', hidden: !node.thought}, el('summary', {}, summary(node, writing)), el('div', {dir: 'auto'}, clean(node.thought)));
    const text = new Text(body);
    text.push(node.text);
    if (writing && !node.text) body.append(el('span', {className: 'wait'}));
    if (!writing) text.end();
    item.append(thought, body);
    if (node.about.problem) {
      item.append(el('p', {className: 'problem'}, [node.about.problem, node.about.advice].filter(Boolean).join(' ')));
    }
    item.append(this.#foot(node, versions, live, last));
    item.writer = {text, thought, body, status: item.querySelector('.status'), shown: {text: node.text.length, thought: node.thought.length}};
    return item;
  }

  // more shows what the message that is being written has beyond what is shown of it.
  more(node, status) {
    const writer = this.list.querySelector(`[data-id="${node.id}"]`)?.writer;
    if (!writer) return;
    const content = node.text.slice(writer.shown.text), reasoning = node.thought.slice(writer.shown.thought);
    writer.shown = {text: node.text.length, thought: node.thought.length};
    if (reasoning) {
      writer.thought.hidden = false;
      writer.thought.lastChild.append(clean(reasoning));
    }
    if (content) {
      writer.body.querySelector(':scope > .wait')?.remove();
      writer.text.push(content);
    }
    if (reasoning || content) writer.thought.firstChild.textContent = summary(node, true);
    writer.status.textContent = status;
  }

  #foot(node, versions, live, last) {
    const at = versions.indexOf(node), busy = Boolean(live);
    const button = (name, action, label, extra = {}) => {
      const b = iconButton(name, label, () => this.do[action](node), {disabled: busy, ...extra});
      b.dataset.do = action;
      return b;
    };
    const foot = el('div', {className: 'foot', role: 'group', 'aria-label': node.role === 'user' ? 'Your message' : 'Answer'});
    if (versions.length > 1) {
      const go = (name, action, label, to) => {
        const b = iconButton(name, label, () => this.do.go(versions[to], action), {disabled: busy || !versions[to]});
        b.dataset.do = action;
        return b;
      };
      foot.append(go('back', 'back', 'Version before', at - 1),
        el('span', {className: 'fine which'}, el('span', {className: 'hidden'}, 'Version '), `${at + 1} / ${versions.length}`),
        go('next', 'next', 'Version after', at + 1));
    }
    foot.append(button('edit', 'edit', 'Edit'), button('again', 'again', node.role === 'user' ? 'Answer this again' : 'Write another answer'),
      ...(last && early.has(node.about.finish) && node.text ? [button('on', 'goOn', 'Go on with this answer')] : []), button('fork', 'fork', 'Fork: go on from here in a new chat'), copyButton('Copy', () => node.text));
    if (node.role === 'assistant') foot.append(el('span', {className: 'fine status'}, live?.id === node.id ? '' : describe(node.about)));
    return foot;
  }

  #editor(node) {
    const input = el('textarea', {value: node.text, rows: 3, 'aria-label': 'Edit the message'});
    const save = el('button', {type: 'submit', className: 'plain strong'}, node.role === 'user' ? 'Send' : 'Save');
    const form = el('form', {className: 'body edit'}, input, el('div', {className: 'foot'},
      el('button', {type: 'button', className: 'plain', onclick: () => this.do.edited(node, null)}, 'Cancel'), save));
    form.onsubmit = (event) => {
      event.preventDefault();
      this.do.edited(node, input.value);
    };
    form.onkeydown = (event) => {
      if (event.key === 'Escape') {
        event.stopPropagation(); // it ends the editing, not the answer that is being written
        this.do.edited(node, null);
      }
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && node.role === 'user') {
        event.preventDefault();
        form.requestSubmit();
      }
    };
    queueMicrotask(() => {
      input.focus();
      input.setSelectionRange(input.value.length, input.value.length);
    });
    return form;
  }
}

// early are the ways in which an answer ends before it is complete.
const early = new Set(['length', 'stopped', 'lost', 'failed']);

const summary = (node, writing) => (writing && !node.text ? 'Thinking…' : 'Thoughts');

const count = (n, one) => `${n} ${one}${n === 1 ? '' : 's'}`;

// describe says what an answer cost and how it ended.
export function describe(about) {
  const list = [];
  if (about.finish === 'stopped') list.push('stopped');
  if (about.finish === 'length') list.push('has the most tokens');
  if (about.finish === 'lost') list.push('interrupted');
  const nearly = about.counted ? '' : '≈ ';
  if (about.speed) list.push(`${nearly}${about.speed.toFixed(about.speed < 100 ? 1 : 0)} tokens/s`);
  if (about.drawn) list.push(nearly + count(about.drawn, 'token'));
  if (about.counted) list.push(`${about.cached} of ${count(about.prompt, 'prompt token')} cached`);
  return list.join(' · ');
}
