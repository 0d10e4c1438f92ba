// Text of a model as it comes, shown with the marks of Markdown that models use most: paragraphs, headings, lists,
// quotes, rules, fenced code, inline code, bold and italic. All else stays as it is written, links and HTML too.
//
// What is shown depends on the text alone, not on how it is cut into pieces. A block that is complete is never touched
// again, so a long answer costs no more for each piece than a short one.

import {copyButton, el} from './dom.js';

const longLine = 8000; // characters; what is longer has no marks
const longBlock = 16000;

export class Text {
  constructor(root) {
    this.root = root;
    this.half = ''; // the first half of a character that two pieces share
    this.rest = ''; // a line that is not complete
    this.lines = []; // complete lines of the block under way
    this.size = 0; // characters of them
    this.shown = []; // the nodes of the block under way
    this.fence = null; // {mark, text, tail, cut}: code under way
    this.long = null; // the text of a long line under way
  }

  // push adds a piece.
  push(piece) {
    piece = this.half + piece;
    this.half = /[\ud800-\udbff]$/.test(piece) ? piece.slice(-1) : '';
    this.rest += clean(this.half ? piece.slice(0, -1) : piece);
    let at = 0;
    for (;;) {
      const end = this.rest.indexOf('\n', at);
      if (end >= 0 && (this.long || this.fence || end - at <= longLine)) {
        this.#line(this.rest.slice(at, end));
        at = end + 1;
      } else if (this.long || this.rest.length - at > longLine) {
        const cut = this.long ? this.rest.length : at + longLine;
        this.#part(this.rest.slice(at, cut));
        at = cut;
        if (at === this.rest.length) break;
      } else break;
    }
    this.rest = this.rest.slice(at);
    this.#show(false);
  }

  // end tells that the text is complete.
  end() {
    if (this.half) this.rest += '\ufffd';
    this.half = '';
    if (this.rest) this.#line(this.rest);
    this.rest = '';
    this.#close();
    this.fence = this.long = null;
  }

  #line(line) {
    if (this.long) {
      this.long.appendData(line);
      this.long = null;
    } else if (this.fence) {
      this.fence.tail.data = '';
      if (!this.fence.cut && line.trim().startsWith(this.fence.mark) && /^\s*(`+|~+)\s*$/.test(line)) {
        this.fence = null;
        return;
      }
      this.fence.text.appendData(line + '\n');
      this.fence.cut = false;
    } else if (/^\s*(```|~~~)/.test(line) && !/^\s*```.*`/.test(line)) {
      this.#close();
      this.#code(line.trim());
    } else if (line.trim() === '') {
      this.#close();
    } else {
      this.lines.push(line);
      this.size += line.length;
      if (this.size > longBlock) this.#close();
    }
  }

  // part shows a piece of a long line.
  #part(piece) {
    if (this.fence) {
      this.fence.text.appendData(piece);
      this.fence.cut = true;
      return;
    }
    if (!this.long) {
      this.#close();
      this.long = document.createTextNode('');
      this.root.append(el('p', {}, this.long));
    }
    this.long.appendData(piece);
  }

  #code(line) {
    const mark = line.match(/^(`+|~+)/)[0], language = line.slice(mark.length).trim().split(/\s/)[0].slice(0, 40);
    const text = document.createTextNode(''), tail = document.createTextNode('');
    this.root.append(el('div', {className: 'code'},
      el('div', {}, el('span', {}, language || 'text'), copyButton('Copy the code', () => text.data + tail.data)),
      el('pre', {tabIndex: 0, role: 'group', 'aria-label': `Code, ${language || 'text'}`}, el('code', {}, text, tail))));
    this.fence = {mark, text, tail, cut: false};
  }

  #close() {
    this.#show(true);
    this.lines = [];
    this.size = 0;
    this.shown = [];
  }

  #show(whole) {
    if (this.fence) this.fence.tail.data = /^\s*[`~]*$/.test(this.rest) && !this.fence.cut ? '' : this.rest;
    const lines = whole || !this.rest || this.fence || this.long ? this.lines : [...this.lines, this.rest];
    for (const node of this.shown) node.remove();
    this.shown = lines.length ? blocks(lines) : [];
    this.root.append(...this.shown);
  }
}

// clean makes what a browser would not show visible: control characters as the pictures that Unicode has for them, and
// halves of characters.
export function clean(text) {
  return text.toWellFormed().replace(/\r/g, '').replace(/[\0-\x08\x0b-\x1f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/\x7f/g, '\u2421');
}

const kinds = [
  ['heading', /^ {0,3}(#{1,6})\s+(.*)$/],
  ['rule', /^ {0,3}(?:-{3,}|\*{3,}|_{3,})\s*$/],
  ['quote', /^ {0,3}>\s?(.*)$/],
  ['item', /^(\s*)([-*+•]|\d{1,9}[.)])\s+(.*)$/],
];

function kindOf(line) {
  for (const [kind, pattern] of kinds) {
    const found = line.match(pattern);
    if (found) return [kind, found];
  }
  return ['', null];
}

// blocks returns the elements of lines without an empty one among them.
function blocks(lines) {
  const list = [];
  let paragraph = [], quote = [], items = [];
  const flush = () => {
    if (paragraph.length) list.push(inline(el('p'), paragraph.join('\n')));
    if (quote.length) list.push(inline(el('blockquote'), quote.join('\n')));
    if (items.length) list.push(...lists(items));
    [paragraph, quote, items] = [[], [], []];
  };
  for (const line of lines) {
    const [kind, found] = kindOf(line);
    if (kind === 'item') {
      if (!items.length) flush();
      items.push({indent: found[1].replace(/\t/g, '    ').length, mark: found[2], text: found[3]});
    } else if (kind === 'quote') {
      if (!quote.length) flush();
      quote.push(found[1]);
    } else if (kind === '' && items.length && /^\s{2,}/.test(line)) {
      items.at(-1).text += '\n' + line.trim();
    } else if (kind === '') {
      if (!paragraph.length) flush();
      paragraph.push(line);
    } else {
      flush();
      list.push(kind === 'rule' ? el('hr') : inline(el('h3', {className: `level-${found[1].length}`}), found[2]));
    }
  }
  flush();
  return list;
}

const deepest = 8; // lists in lists

function lists(items) {
  const roots = [], open = [];
  for (const item of items) {
    while (open.length && item.indent < open.at(-1).indent) open.pop();
    const ordered = /\d/.test(item.mark);
    let top = open.at(-1);
    const nested = top && item.indent > top.indent + 1 && open.length < deepest;
    if (!top || nested || (top.node.nodeName === 'OL') !== ordered) {
      const node = el(ordered ? 'ol' : 'ul');
      if (ordered) node.start = parseInt(item.mark, 10);
      if (!nested) open.pop();
      if (open.length) open.at(-1).node.lastChild.append(node);
      else roots.push(node);
      top = {node, indent: item.indent};
      open.push(top);
    }
    top.node.append(inline(el('li'), item.text));
  }
  return roots;
}

const marks = [['**', 'strong'], ['__', 'strong'], ['*', 'em'], ['_', 'em']];

// inline adds a text with inline code, bold and italic to an element. A mark without a partner is text.
function inline(parent, text, depth = 0) {
  const alone = new Set(); // marks that have no partner from here on
  let from = 0, at = 0;
  const add = (node, end) => {
    if (at > from) parent.append(text.slice(from, at));
    parent.append(node);
    from = at = end;
  };
  while (at < text.length) {
    const c = text[at];
    if (c === '`') {
      const run = text.slice(at).match(/^`+/)[0];
      const end = alone.has(run) ? -1 : partner(text, run, at + run.length);
      if (end < 0) {
        alone.add(run);
        at += run.length;
      } else add(el('code', {}, text.slice(at + run.length, end).replace(/^ (.*\S.*) $/s, '$1')), end + run.length);
    } else if ((c === '*' || c === '_') && depth < 4) {
      const [mark, name] = marks.find(([m]) => text.startsWith(m, at));
      const end = alone.has(mark) || !opens(text, at, mark) ? -1 : closing(text, mark, at + mark.length);
      if (end > 0) add(inline(el(name), text.slice(at + mark.length, end), depth + 1), end + mark.length);
      else {
        if (end === -2) alone.add(mark);
        at += mark.length;
      }
    } else at++;
  }
  parent.append(text.slice(from));
  return parent;
}

// partner returns where a run of backquotes of the same length begins, -1 if there is none.
function partner(text, run, from) {
  for (let i = text.indexOf(run, from); i >= 0; i = text.indexOf(run, i)) {
    let end = i + run.length;
    while (text[end] === '`') end++;
    if (end === i + run.length) return i;
    i = end;
  }
  return -1;
}

const word = /[\p{L}\p{N}]/u;

const opens = (text, at, mark) => /\S/.test(text[at + mark.length] ?? ' ') && !word.test(text[at - 1] ?? ' ');

// closing returns where a mark closes, -2 if nowhere, -1 if its next one does not close.
function closing(text, mark, from) {
  for (let i = text.indexOf(mark, from); i >= 0; i = text.indexOf(mark, i + 1)) {
    const end = i + mark.length;
    if (i === from || mark.length === 1 && (text[end] === mark || text[i - 1] === mark)) continue;
    return /\s/.test(text[i - 1]) || mark[0] === '_' && word.test(text[end] ?? ' ') ? -1 : i;
  }
  return -2;
}
