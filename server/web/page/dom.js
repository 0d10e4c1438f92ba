// Elements without HTML: whatever text they get stays text.

export const $ = (id) => document.getElementById(id);

// el makes an element with properties, attributes (names with a dash, and role) and children.
export function el(name, properties = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes('-') || key === 'role') e.setAttribute(key, value);
    else e[key] = value;
  }
  e.append(...children);
  return e;
}

// arrange has a parent have these children, and leaves those where they are that are in their places: one with the focus
// keeps it.
export function arrange(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  let before = parent.firstChild;
  for (const child of children) {
    if (child === before) before = before.nextSibling;
    else parent.insertBefore(child, before);
  }
}

// icon makes one of the page's icons.
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.classList.add('icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

// iconButton makes a button that is an icon with a name.
export function iconButton(name, label, onclick, properties = {}) {
  return el('button', {type: 'button', className: 'square', title: label, 'aria-label': label, onclick, ...properties}, icon(name));
}

// copyButton makes a button that copies a text, where the browser permits that.
export function copyButton(label, text) {
  if (!navigator.clipboard) return '';
  return iconButton('copy', label, async (event) => {
    await navigator.clipboard.writeText(text());
    event.target.closest('button').title = 'Copied';
  });
}
