// Pictures of states: what each layer and head remembers, as numbers and as colours.

import {el} from './dom.js';
import {parse} from './safetensors.js';

// Picture is what a server tells of a state. Each of its layers has tiles: a matrix for each head, or RWKV-4's vectors,
// each {name, norm, rows, cols, values, peak}. A peak is the largest magnitude.
export class Picture {
  constructor(buffer) {
    const {tensors, about} = parse(buffer);
    this.tokens = Number(about.tokens);
    this.first = {layer: Number(about.layer), head: Number(about.head)};
    this.width = Number(about.width); // of what a tile shows
    this.matrices = 'cells.att_kv' in tensors;
    const names = Object.keys(tensors).filter((n) => n.startsWith('cells.')).map((n) => n.slice(6));
    const layers = tensors[`cells.${names[0]}`].shape[0];
    this.layers = Array.from({length: layers}, (_, layer) => names.flatMap((name) => tiles(name, layer, tensors)));
    this.peak = Math.max(...this.layers.map(peakOf));
  }
}

function tiles(name, layer, tensors) {
  const {shape, values} = tensors[`cells.${name}`], norms = tensors[`norms.${name}`].values;
  const [heads, rows, cols] = shape.length === 4 ? shape.slice(1) : [1, 1, shape[1]];
  return Array.from({length: heads}, (_, head) => {
    const at = layer * heads + head, own = values.subarray(at * rows * cols, (at + 1) * rows * cols);
    return {name: shape.length === 4 ? `head ${head}` : name, norm: norms[at], rows, cols, values: own,
      peak: own.reduce((most, v) => Math.max(most, Math.abs(v)), 0)};
  });
}

// peakOf returns the largest magnitude of a layer.
export const peakOf = (layer) => Math.max(...layer.map((tile) => tile.peak));

// scale says how large a number is among those up to a peak, from -1 to 1. Small ones are told apart as well as large ones.
const steep = 30;
export const scale = (value, peak) => (peak > 0 ? Math.sign(value) * Math.log1p(Math.min(Math.abs(value) / peak, 1) * steep) / Math.log1p(steep) : 0);

// Palette has the colours of the page for numbers from -1 to 1. Blue and orange, which are told apart with any kind of
// colour vision, stand for the signs, and the distance from the paper for the magnitude.
export class Palette {
  constructor() {
    const style = getComputedStyle(document.documentElement);
    const [low, zero, high] = ['--low', '--zero', '--high'].map((name) => style.getPropertyValue(name).trim().match(/[0-9a-f]{2}/gi).map((h) => parseInt(h, 16)));
    this.colours = Array.from({length: 511}, (_, i) => {
      const to = i < 255 ? low : high, part = Math.abs(i - 255) / 255;
      return zero.map((z, k) => Math.round(z + (to[k] - z) * part));
    });
  }

  // of returns [red, green, blue].
  of(x) { return this.colours[Math.round(x * 255) + 255]; }
}

// drawTile draws a tile into a rectangle of a canvas.
export function drawTile(context, tile, peak, palette, x, y, w, h) {
  const image = new ImageData(tile.cols, tile.rows);
  tile.values.forEach((v, i) => image.data.set([...palette.of(scale(v, peak)), 255], i * 4));
  const small = el('canvas', {width: tile.cols, height: tile.rows});
  small.getContext('2d').putImageData(image, 0, 0);
  context.imageSmoothingEnabled = w < tile.cols;
  context.drawImage(small, x, y, w, h);
}

// sheet makes a canvas of a size in the page's pixels ready to be drawn on, in those of the screen.
export function sheet(canvas, w, h) {
  const dense = window.devicePixelRatio || 1;
  canvas.width = Math.round(w * dense);
  canvas.height = Math.round(h * dense);
  canvas.style.width = `${w}px`;
  canvas.style.height = `${h}px`;
  const context = canvas.getContext('2d');
  context.setTransform(dense, 0, 0, dense, 0, 0);
  return context;
}

// brief writes a number in few characters.
export const brief = (x) => (x === 0 ? '0' : Number(x.toPrecision(3)).toString().replace('-', '−'));

// describeLayer says what a layer remembers, in a sentence.
export function describeLayer(layer, number) {
  const norms = layer.map((t) => t.norm), most = norms.indexOf(Math.max(...norms));
  if (layer.length === 1) return `Layer ${number}: norm ${brief(norms[0])}.`;
  return `Layer ${number}: norms from ${brief(Math.min(...norms))} to ${brief(norms[most])}, which is that of ${layer[most].name}.`;
}

// describeTile says what a head's matrix or a vector has. width is the number of its rows and columns when it is whole.
export function describeTile(tile, width) {
  const at = tile.values.findIndex((v) => Math.abs(v) === tile.peak);
  const text = `${tile.name}: norm ${brief(tile.norm)}`;
  if (!tile.peak) return `${text}. Nothing is remembered yet.`;
  const place = (i, n) => (n === width ? `${i}` : `${Math.ceil(i * width / n)} to ${Math.ceil((i + 1) * width / n) - 1}`);
  const where = tile.rows === 1 ? `at element ${place(at, tile.cols)}`
    : `for element ${place(Math.floor(at / tile.cols), tile.rows)} of the value and ${place(at % tile.cols, tile.cols)} of the key`;
  return `${text}. The largest number is ${brief(tile.values[at])}, ${where}.`;
}
