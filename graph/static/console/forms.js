// Forms and dialogs. A form says what was wrong below itself, where a screen reader hears it, and is not sent twice.
import { h } from '../common/dom.js';

let made = 0;

// A form of `fields` (elements) whose button is called `button`; `sent(values)` is awaited, and what it throws is shown.
export function form(fields, button, sent, ...beside) {
  const error = h('p', { class: 'error', role: 'alert' });
  const submit = h('button', { class: 'main', type: 'submit' }, button);
  const element = h('form', { noValidate: true }, fields, error, h('div', { class: 'actions' }, submit, beside));
  element.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    error.replaceChildren();
    const missing = [...element.elements].find((one) => one.willValidate && !one.checkValidity());
    if (missing) {
      error.replaceChildren(`${missing.labels?.[0]?.firstChild?.textContent ?? ''}: ${missing.validationMessage}`);
      missing.focus();
      return;
    }
    submit.disabled = true;
    try {
      await sent(values(element));
    } catch (problem) {
      error.replaceChildren(problem.message);
      if (problem.field) [...element.elements].find((one) => one.name === problem.field.split('.')[0])?.focus();
    } finally {
      submit.disabled = false;
    }
  });
  return element;
}

function values(element) {
  const named = [...element.elements].filter((one) => one.name && (one.type !== 'checkbox' || one.value === 'on'));
  const single = named.map((one) => [one.name, one.type === 'checkbox' ? one.checked : one.type === 'file' ? one.files[0] : one.value]);
  const several = [...element.querySelectorAll('input[type=checkbox][value]')];
  const lists = Object.fromEntries(several.map((one) => [one.name, several.filter((two) => two.name === one.name && two.checked).map((two) => two.value)]));
  return { ...Object.fromEntries(single), ...lists };
}

// One field with its label; `attributes` are the input's.
export function field(label, name, attributes = {}) {
  return h('label', {}, label, h('input', { name, ...attributes }));
}

export function tick(label, name, checked = false, value = null) {
  return h('label', { class: 'tick' }, h('input', { type: 'checkbox', name, checked, value }), label);
}

// `options` are texts, or [value, text].
export function choice(label, name, options, value) {
  const pairs = options.map((one) => (Array.isArray(one) ? one : [one, one]));
  return h('label', {}, label, h('select', { name }, pairs.map(([key, text]) => h('option', { value: key, selected: key === value }, text))));
}

// Opens a dialog titled `title` with what `fill(close)` makes; the focus goes back where it was when it closes.
export function dialog(title, fill) {
  const id = `dialog-${(made += 1)}`;
  const element = h('dialog', { 'aria-labelledby': id });
  const close = () => element.close();
  element.append(h('h2', { id }, title), ...[fill(close)].flat());
  element.addEventListener('close', () => element.remove());
  document.body.append(element);
  element.showModal();
  return close;
}

// Asks before something that cannot be undone; `action` is what the button says, and `act` is awaited.
export function confirm(title, text, action, act) {
  dialog(title, (close) => form([h('p', {}, text)], action, async () => {
    await act();
    close();
  }, h('button', { type: 'button', onclick: close }, 'Cancel')));
}

// The value of a mutation's result; throws the member of its union that says what was wrong.
export function expected(result) {
  if (!('message' in result && 'code' in result)) return result;
  throw Object.assign(new Error(), result, { message: result.field ? `${result.field}: ${result.message}` : result.message });
}
