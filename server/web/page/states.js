// The states that the server keeps: saving that of the chat, going on from one, files of them, deleting.

import {$, el, iconButton} from './dom.js';
import {deleteState, listStates, saveState, stateFile, uploadState} from './client.js';
import {askKey, download, say} from './notices.js';

const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const date = new Intl.DateTimeFormat(undefined, {dateStyle: 'medium', timeStyle: 'short'});

// called returns what a state is called.
export const called = (state) => (state.name ? `“${state.name}”` : 'without a name');

// States is the list of kept states. current returns what of the chat can be saved, {body, name}, or null. goOn and look
// are what is done with a state, and changed is called when there may be others.
export class States {
  constructor({current, goOn, look, changed}) {
    Object.assign(this, {current, goOn, look, changed});
    this.list = [];
    this.leaving = ''; // the id of the one that is about to be deleted
    this.dialog = $('states');
    this.save = $('states-save');
    $('states-open').onclick = () => this.open();
    $('states-close').onclick = () => this.dialog.close();
    this.save.onsubmit = (event) => {
      event.preventDefault();
      this.#do(async () => {
        const {body} = this.current(), name = this.save.elements.name.value.trim();
        await saveState({...body, name});
        return `The state ${called({name})} is saved.`;
      });
    };
    const file = $('states-upload').querySelector('input');
    file.onchange = () => {
      const [one] = file.files;
      file.value = '';
      this.#do(async () => {
        await uploadState(one.name.replace(/\.(st|safetensors)$/, '').slice(0, 100), one);
        return `${one.name} is uploaded.`;
      });
    };
  }

  open() {
    const now = this.current();
    for (const e of this.save.querySelectorAll('input, button')) e.disabled = !now;
    this.save.elements.name.value = now?.name ?? '';
    $('states-problem').hidden = true;
    this.leaving = '';
    this.dialog.showModal();
    this.save.elements.name.focus(); // if there is something to save
    this.save.elements.name.select();
    this.#do(async () => '');
  }

  // refresh asks the server for the list.
  async refresh() {
    this.list = await listStates();
    return this.list;
  }

  // do does something with states, says what was done, and shows the list anew. What is asked for meanwhile, such as by a second
  // click, is not done.
  async #do(action) {
    if (this.dialog.hasAttribute('aria-busy')) return;
    $('states-problem').hidden = true;
    this.dialog.setAttribute('aria-busy', 'true');
    try {
      const done = await action();
      await this.#renew();
      if (done) say(done);
      $('states-done').textContent = done;
    } catch (err) {
      $('states-problem').textContent = err.advice === undefined ? `The page failed: ${err}` : `${err.message} ${err.advice}`;
      $('states-problem').hidden = false;
      if (err.status === 401) {
        this.dialog.close();
        askKey(() => this.open());
      } else await this.#renew().catch(() => {}); // the error that is shown tells more
    }
    this.dialog.removeAttribute('aria-busy');
  }

  // renew reads the list and shows it.
  async #renew() {
    await this.refresh();
    this.#show();
    this.changed();
  }

  #show() {
    $('states-none').hidden = this.list.length > 0;
    $('states-list').replaceChildren(...this.list.map((state) => this.#item(state)));
  }

  #item(state) {
    const button = (icon, label, action) => iconButton(icon, `${label} the state ${called(state)}`, action);
    const then = (action) => () => {
      this.dialog.close();
      action(state);
    };
    const item = el('li', {}, el('p', {className: 'name'}, state.name || 'Without a name',
      el('span', {className: 'fine'}, `${state.tokens} token${state.tokens === 1 ? '' : 's'} · ${size(state.bytes)} · ${date.format(state.created * 1000)}`)));
    if (this.leaving === state.id) {
      const keep = el('button', {type: 'button', className: 'plain', onclick: () => this.#leave('', state)}, 'Keep it');
      item.append(el('div', {className: 'doings', role: 'group', 'aria-label': `Delete the state ${called(state)} for good?`}, keep,
        el('button', {type: 'button', className: 'plain strong', onclick: () => this.#do(async () => {
          await deleteState(state.id);
          return `The state ${called(state)} is deleted.`;
        })}, 'Delete')));
      return item;
    }
    item.append(el('div', {className: 'doings'}, button('fork', 'Go on in a new chat from', then(this.goOn)), button('look', 'Look at', then(this.look)),
      button('export', 'Download', () => this.#do(async () => {
        download(`${state.name.replace(/[^\p{L}\p{N}]+/gu, '-').slice(0, 40) || 'state'}.safetensors`, await stateFile(state.id));
        return `The state ${called(state)} is downloaded.`;
      })), button('delete', 'Delete', () => this.#leave(state.id, state))));
    return item;
  }

  // leave asks whether a state is to be deleted, or asks no longer.
  #leave(id, state) {
    this.leaving = id;
    this.#show();
    const item = $('states-list').children[this.list.indexOf(state)];
    item?.querySelector(id ? '.plain' : '.square:last-child').focus();
  }
}
