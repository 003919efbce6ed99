// Elements without HTML: text is text, so nothing that a user or a product is called can become a tag.

// h('p', { class: 'note', onclick }, 'text', otherElement): what is null or false is left out.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== 'string') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// The same for SVG.
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const numbers = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const small = new Intl.NumberFormat('en', { maximumSignificantDigits: 2 });
const moments = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });

export const count = (value) => (value === null || value === undefined ? '–' : numbers.format(value));
export const moment = (text) => (text ? moments.format(new Date(text)) : '–');
export const percent = (part) => (part === null || part === undefined ? '–' : `${numbers.format(100 * part)} %`);

// A duration in seconds as people say it.
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  if (seconds < 1) return `${small.format(1000 * seconds)} ms`;
  if (seconds < 120) return `${small.format(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${count(seconds / 3600)} h`;
}

export function bytes(size) {
  if (size === null || size === undefined) return '–';
  const step = Math.min(4, Math.floor(Math.log2(Math.max(1, size)) / 10));
  return `${count(size / 1024 ** step)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][step]}`;
}

// A table that scrolls by itself where it is too wide: `columns` are headings, or [heading, class].
export function table(label, columns, rows, empty = 'Nothing.') {
  if (!rows.length) return h('p', { class: 'empty' }, empty);
  const named = columns.map((one) => (Array.isArray(one) ? one : [one, null]));
  const cells = (row) => row.map((cell, n) => h('td', { class: named[n][1] }, ...[cell ?? ''].flat()));
  return h('div', { class: 'scroll', tabIndex: 0, role: 'region', 'aria-label': label },
    h('table', {},
      h('thead', {}, h('tr', {}, named.map(([name, kind]) => h('th', { scope: 'col', class: kind }, name || h('span', { class: 'hidden' }, 'Actions'))))),
      h('tbody', {}, rows.map((row) => h('tr', {}, cells(row))))));
}

// Shows `next` in place of `old`, and returns what is shown. A table keeps its box, so that nobody who scrolls it or has
// the focus in it is thrown out: what had the focus has it again, if something of that label is still there.
export function update(old, next) {
  const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute('aria-label') : null;
  let shown = next;
  if (old.matches('.scroll') && next.matches('.scroll')) {
    old.replaceChildren(...next.childNodes);
    shown = old;
  } else old.replaceWith(next);
  if (focused && document.activeElement === document.body) {
    [...shown.querySelectorAll('[aria-label]')].find((one) => one.getAttribute('aria-label') === focused)?.focus();
  }
  return shown;
}
