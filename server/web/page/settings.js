// The settings: how answers are drawn, and how the conversation is written. An empty field is left to the server.

import {$, el} from './dom.js';
import {choices} from './client.js';

const name = 'rwkv-gpu.settings';
const numbers = ['temperature', 'top_p', 'top_k', 'min_p', 'presence_penalty', 'frequency_penalty', 'penalty_decay', 'seed', 'max_tokens'];

export class Settings {
  // changed is called with the system prompt when it may have changed.
  constructor(changed) {
    this.values = read();
    this.dialog = $('settings');
    this.form = this.dialog.querySelector('form');
    this.fields = this.form.elements;
    this.presets = [];
    for (const n of numbers) this.fields[n].placeholder ||= 'server\'s';
    this.form.oninput = this.form.onchange = () => this.#keep();
    this.fields.system.onchange = this.dialog.onclose = () => changed(this.fields.system.value);
    this.fields.preset.onchange = () => this.#fill();
    for (const n of numbers) this.fields[n].oninput = () => this.#match();
    $('reset-numbers').onclick = () => {
      for (const n of [...numbers, 'think', 'template', 'preset']) this.fields[n].value = '';
      this.#match();
      this.#keep();
    };
  }

  // load asks the server what there is to choose from.
  async load() {
    const found = await choices();
    this.presets = found.presets;
    const options = (list) => list.map((o) => el('option', {value: o.name, title: o.about ?? ''}, o.name));
    this.fields.think.replaceChildren(el('option', {value: ''}, 'server\'s'), ...found.thinks.map((o) => el('option', {value: o.name}, `${o.name}: ${o.about}`)));
    this.fields.template.replaceChildren(el('option', {value: ''}, 'server\'s'), ...options(found.templates));
    this.fields.preset.replaceChildren(el('option', {value: ''}, 'server\'s, or your own numbers'), ...options(found.presets));
    this.#set();
  }

  open(system) {
    this.#set();
    this.fields.system.value = system;
    this.dialog.showModal();
    this.fields.system.focus();
  }

  // body returns the fields of a request that the settings ask for.
  body() {
    const body = {};
    for (const n of numbers) if (Number.isFinite(this.values[n])) body[n] = this.values[n];
    return {...body, ...this.written()};
  }

  // written returns those of them that say how a conversation is written.
  written() {
    const fields = {};
    for (const n of ['think', 'template']) if (this.values[n]) fields[n] = this.values[n];
    return fields;
  }

  #set() {
    for (const n of [...numbers, 'think', 'template']) this.fields[n].value = this.values[n] ?? '';
    this.#match();
  }

  #keep() {
    const values = {};
    for (const n of numbers) if (this.fields[n].value !== '') values[n] = this.fields[n].valueAsNumber;
    for (const n of ['think', 'template']) values[n] = this.fields[n].length ? this.fields[n].value : this.values[n]; // until load is done
    this.values = values;
    try {
      localStorage.setItem(name, JSON.stringify(this.values));
    } catch { /* no room: they hold until the page is closed */ }
  }

  // fill writes the numbers of the preset into the fields.
  #fill() {
    const preset = this.presets.find((p) => p.name === this.fields.preset.value);
    for (const n of numbers) if (n !== 'seed' && n !== 'max_tokens') this.fields[n].value = preset?.[n] ?? '';
    this.#match();
  }

  // match chooses the preset whose numbers the fields have.
  #match() {
    const preset = this.presets.find((p) => ['temperature', 'top_p', 'top_k', 'presence_penalty', 'frequency_penalty', 'penalty_decay']
      .every((n) => this.fields[n].value !== '' && Number(this.fields[n].value) === p[n]) && this.fields.min_p.value === '');
    this.fields.preset.value = preset?.name ?? '';
    $('preset-about').textContent = preset ? `For ${preset.about}.` : '';
  }
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? {};
  } catch {
    return {};
  }
}
