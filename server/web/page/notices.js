// What the page says to people beside the conversation, and what it asks them.

import {$, el, iconButton} from './dom.js';
import {setKey} from './client.js';

// say tells screen readers what has happened.
export const say = (text) => { $('said').textContent = text; };

// notice shows a line above the message box, with something to do about it.
export function notice(text, label, action) {
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

let asked = false;

// askKey asks for a key, and goes on when there is one. From the second time on it says that the key is wrong.
export function askKey(then) {
  const dialog = $('key'), field = dialog.querySelector('input');
  $('key-wrong').textContent = asked ? 'The server does not know this key.' : '';
  dialog.onclose = () => {
    if (dialog.returnValue === 'use') {
      asked = true;
      setKey(field.value.trim());
      then();
    } else notice('The server answers nobody without a key.', 'Give a key', () => askKey(then));
    field.value = '';
  };
  dialog.returnValue = '';
  if (!dialog.open) dialog.showModal();
  field.focus();
}

// tell shows an error, with a way to try again. A key that the server does not know is asked for.
export function tell(err, again) {
  if (err.status === 401) askKey(again);
  else notice(err.advice === undefined ? `The page failed: ${err}` : `${err.message} ${err.advice}`, 'Try again', again);
}

// download gives people a file to keep.
export function download(name, blob) {
  const url = URL.createObjectURL(blob);
  el('a', {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}
