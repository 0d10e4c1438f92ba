// The panel with the picture of a state: which of the kept states is shown, its layers, and one head in full.

import {$, el} from './dom.js';
import {Palette, Picture, brief, describeLayer, describeTile, drawTile, peakOf, sheet} from './picture.js';

const kept = 32; // pictures
const whole = 256; // more than any head has rows

// Panel shows the state after a point of a conversation. points returns the points there are, the last one last, each
// {key, label, look}; look asks for the picture with options and a signal. Points with the same key have the same state.
// ready is called when the panel opens, and its promise is waited for.
export class Panel {
  constructor(points, ready) {
    Object.assign(this, {points, ready});
    this.list = [];
    this.pictures = new Map(); // by what they show
    this.shown = null; // {point, picture}
    this.one = {layer: 0, head: 0};
    this.looking = Promise.resolve();
    this.grown = this.following = false; // whether an answer has more than was looked at, and whether it is followed
    this.dialog = $('memory');
    this.slider = $('memory-at');
    this.slider.oninput = () => this.#move(this.slider.valueAsNumber);
    $('memory-open').onclick = () => (this.dialog.open ? this.close() : this.open());
    $('memory-close').onclick = () => this.close();
    this.dialog.onclose = () => this.#closed();
    for (const name of ['memory-before', 'memory-after']) {
      $(name).onclick = () => this.#move(this.slider.valueAsNumber + (name === 'memory-after' ? 1 : -1));
    }
    $('memory-scale').onchange = () => this.#draw();
    for (const name of ['layer', 'head']) {
      $(`memory-${name}`).oninput = (event) => {
        if (event.target.validity.valid && event.target.value !== '') this.#choose({...this.one, [name]: event.target.valueAsNumber});
      };
    }
    $('memory-table').ontoggle = () => this.#tabulate();
    new ResizeObserver(() => this.#draw()).observe($('memory-layers'));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
    this.#watchPixels();
    this.beside = matchMedia('(min-width: 80rem)');
    this.beside.addEventListener('change', () => { // from beside the conversation to over it, or back
      if (this.dialog.open) {
        this.dialog.close();
        this.open();
      }
    });
  }

  // watchPixels draws anew when the screen's pixels get another size, each time.
  #watchPixels() {
    matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`).addEventListener('change', () => {
      this.#draw();
      this.#watchPixels();
    }, {once: true});
  }

  // open opens the panel, at the point of a key or at the last one. The focus goes there too, but for who went elsewhere with it
  // before the server answered.
  async open(key) {
    if (!this.dialog.open) {
      if (this.beside.matches) this.dialog.show();
      else this.dialog.showModal();
    }
    document.body.dataset.memory = '';
    $('memory-open').setAttribute('aria-expanded', 'true');
    const focused = document.activeElement;
    await this.ready().catch((err) => this.#failed(err));
    if (!this.dialog.open) return; // it was closed meanwhile
    this.update(true);
    const at = this.list.findIndex((p) => p.key === key);
    if (at >= 0) this.#move(at);
    if (document.activeElement === focused) (this.list.length ? this.slider : $('memory-close')).focus();
  }

  close() { this.dialog.close(); }

  #closed() {
    if (this.dialog.open) return; // it was opened again at once
    delete document.body.dataset.memory;
    $('memory-open').setAttribute('aria-expanded', 'false');
    $('memory-open').focus();
    this.asking?.abort();
  }

  // update tells that the conversation may have more or other points. Who looks at the last one goes on to the new last one.
  update(last = false) {
    if (!this.dialog.open) return;
    const before = this.list[this.slider.valueAsNumber], atEnd = last || !before || before === this.list.at(-1);
    this.list = this.points();
    const same = this.list.findIndex((p) => p.key === before?.key);
    this.slider.max = Math.max(this.list.length - 1, 0);
    $('memory-none').hidden = this.list.length > 0;
    $('memory-some').hidden = this.list.length === 0;
    if (this.list.length) this.#move(atEnd || same < 0 ? this.list.length - 1 : same);
  }

  // forget forgets the pictures: keys have another meaning from now on.
  forget() { this.pictures.clear(); }

  // grow tells that more of the answer has come that is being written. It is looked at again and again, but not so often that
  // the server has much to do for it.
  async grow() {
    this.grown = true;
    if (this.following) return;
    this.following = true;
    while (this.grown && this.dialog.open) {
      this.grown = false;
      await this.looking;
      const began = performance.now();
      this.update();
      await this.looking;
      const pause = Math.max(2000, 4 * (performance.now() - began));
      await new Promise((done) => { setTimeout(done, pause); });
    }
    this.following = false;
  }

  // move goes to a point.
  #move(to) {
    const at = Math.min(Math.max(to, 0), this.list.length - 1), point = this.list[at];
    this.slider.value = at;
    this.slider.setAttribute('aria-valuetext', `${point.label}, ${at + 1} of ${this.list.length}`);
    $('memory-where').textContent = point.label;
    $('memory-before').disabled = at === 0;
    $('memory-after').disabled = at === this.list.length - 1;
    this.looking = this.#look(point);
  }

  // look shows the picture of a point once it has come. A point that is passed meanwhile is not waited for.
  async #look(point) {
    this.asking?.abort();
    const asking = this.asking = new AbortController();
    $('memory').setAttribute('aria-busy', 'true');
    try {
      const picture = await this.#picture(point, {}, asking.signal);
      this.shown = {point, picture};
      this.#fit();
      this.#draw();
      const {layer, head} = this.one;
      const one = await this.#picture(point, picture.matrices ? {layer, head, size: whole} : {layer, size: whole}, asking.signal);
      this.shown.one = one;
      this.#drawOne();
      $('memory-problem').hidden = true;
    } catch (err) {
      if (err.name === 'AbortError') return;
      this.#failed(err);
    }
    if (this.asking === asking) $('memory').removeAttribute('aria-busy');
  }

  #failed(err) {
    $('memory-problem').textContent = err.advice === undefined ? `The page failed: ${err}` : `${err.message} ${err.advice}`;
    $('memory-problem').hidden = false;
  }

  async #picture(point, options, signal) {
    const key = JSON.stringify([point.key, options]);
    const picture = this.pictures.get(key) ?? new Picture(await point.look(options, signal));
    signal.throwIfAborted(); // also where nothing was waited for
    this.pictures.delete(key); // to be the last one
    this.pictures.set(key, picture);
    if (this.pictures.size > kept) this.pictures.delete(this.pictures.keys().next().value);
    return picture;
  }

  // fit has the fields for one head take what the model has.
  #fit() {
    const {picture} = this.shown;
    const most = {layer: picture.layers.length - 1, head: picture.matrices ? picture.layers[0].length - 1 : 0};
    for (const name of ['layer', 'head']) {
      this.one[name] = Math.min(this.one[name], most[name]);
      Object.assign($(`memory-${name}`), {max: most[name], value: this.one[name]});
    }
    $('memory-head').parentElement.hidden = !picture.matrices;
    $('memory-tokens').textContent = `${picture.tokens} token${picture.tokens === 1 ? '' : 's'} read`;
  }

  #choose(one) {
    this.one = one;
    this.#draw();
    const point = this.list[this.slider.valueAsNumber]; // its picture may not have come
    if (point) this.looking = this.#look(point);
  }

  #draw() {
    if (!this.shown || !this.dialog.open) return;
    const {picture} = this.shown, palette = new Palette(), list = $('memory-layers');
    const each = $('memory-scale').value === 'layer';
    while (list.children.length > picture.layers.length) list.lastChild.remove();
    picture.layers.forEach((layer, number) => {
      const row = list.children[number] ?? list.appendChild(this.#row(number));
      const peak = each ? peakOf(layer) : picture.peak;
      this.#drawLayer(row.querySelector('canvas'), layer, number, peak, palette);
      row.querySelector('.peak').textContent = each ? `±${brief(peak)}` : '';
    });
    $('memory-legend').textContent = each ? 'each row up to its own ± number' : `up to ±${brief(picture.peak)}`;
    const bar = sheet($('memory-bar'), 96, 10);
    for (let x = 0; x < 96; x++) {
      bar.fillStyle = `rgb(${palette.of(x / 47.5 - 1).join()})`;
      bar.fillRect(x, 0, 1, 10);
    }
    this.#drawOne();
    this.#tabulate();
  }

  #row(number) {
    const canvas = el('canvas', {role: 'img'});
    canvas.onclick = (event) => {
      const {picture} = this.shown, box = canvas.getBoundingClientRect();
      const head = Math.floor((event.clientX - box.left) / box.width * picture.layers[number].length);
      this.#choose({layer: number, head: picture.matrices ? Math.min(Math.max(head, 0), picture.layers[number].length - 1) : 0});
      this.#fit();
    };
    return el('li', {}, el('span', {className: 'fine', 'aria-hidden': 'true'}, number), canvas, el('span', {className: 'fine peak', 'aria-hidden': 'true'}));
  }

  // drawLayer draws the heads of a layer side by side, or RWKV-4's vectors one over the other.
  #drawLayer(canvas, layer, number, peak, palette) {
    const room = Math.max(canvas.parentElement.clientWidth - 88, 120), {picture} = this.shown;
    canvas.setAttribute('aria-label', describeLayer(layer, number));
    if (!picture.matrices) {
      const context = sheet(canvas, room, layer.length * 9 - 1);
      layer.forEach((tile, i) => drawTile(context, tile, tile.peak, palette, 0, i * 9, room, 8)); // which are no numbers of one kind
      return;
    }
    const side = Math.min(Math.max(Math.floor(room / layer.length), 7), 64), context = sheet(canvas, side * layer.length, side);
    layer.forEach((tile, i) => drawTile(context, tile, peak, palette, i * side, 0, side - 1, side - 1));
    if (number === this.one.layer) {
      context.strokeStyle = getComputedStyle(canvas).color;
      context.strokeRect(this.one.head * side + .5, .5, side - 2, side - 2);
    }
  }

  // drawOne draws one head, of which the picture of all has fewer cells until its own has come.
  #drawOne() {
    const {picture, one} = this.shown, {layer, head} = this.one, canvas = $('memory-one'), palette = new Palette();
    const own = one && one.first.layer === layer && (!one.matrices || one.first.head === head) ? one : null;
    const tiles = own ? own.layers[0] : picture.matrices ? [picture.layers[layer][head]] : picture.layers[layer];
    const room = Math.min(canvas.parentElement.clientWidth || 256, 320);
    if (picture.matrices) {
      const peak = $('memory-scale').value === 'layer' ? peakOf(picture.layers[layer]) : picture.peak;
      drawTile(sheet(canvas, room, room), tiles[0], peak, palette, 0, 0, room, room);
    } else {
      const context = sheet(canvas, room, tiles.length * 26 - 2);
      tiles.forEach((tile, i) => drawTile(context, tile, tile.peak, palette, 0, i * 26, room, 24));
    }
    const name = (tile) => (picture.matrices ? {...tile, name: `head ${head}`} : tile);
    const text = tiles.map((tile) => describeTile(name(tile), picture.width)).join(' ');
    canvas.setAttribute('aria-label', `Layer ${layer}, ${text}`);
    $('memory-text').textContent = `Layer ${layer}, ${text}`;
  }

  // tabulate writes the norms for those who do not see colours, once they ask.
  #tabulate() {
    const table = $('memory-table').querySelector('table');
    if (!$('memory-table').open || !this.shown) return;
    const {layers} = this.shown.picture;
    const cell = (name, text, extra = {}) => el(name, extra, text);
    table.replaceChildren(el('caption', {}, `Norms ${this.shown.point.label}`),
      el('thead', {}, el('tr', {}, cell('th', 'Layer', {scope: 'col'}), ...layers[0].map((t) => cell('th', t.name, {scope: 'col'})))),
      el('tbody', {}, ...layers.map((layer, i) => el('tr', {}, cell('th', i, {scope: 'row'}), ...layer.map((t) => cell('td', brief(t.norm)))))));
  }
}
