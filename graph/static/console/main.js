// The console: who may see it, its sections, and which of them is shown (the address after #). A section is a module
// with a `title` and `show(page)`; what it follows ends when another one is shown.
import { h } from '../common/dom.js';
import { ask, follow, hangUp, watchConnection } from '../common/link.js';
import * as boards from './boards.js';
import * as categories from './categories.js';
import * as jobs from './jobs.js';
import * as keys from './keys.js';
import * as overview from './overview.js';
import * as products from './products.js';
import { changePassword, refused, signIn, signOut, viewer } from './session.js';
import * as users from './users.js';

// The server says which of them the application has (`graph/api/console.py`).
const present = document.body.dataset.sections.split(' ');
const sections = Object.fromEntries(Object.entries({ overview, products, categories, boards, jobs, users, keys })
  .filter(([name]) => present.includes(name)));
const first = Object.keys(sections)[0];

const ENDED = 'Your session has ended: sign in again.';

const root = document.getElementById('console');
const notice = document.getElementById('notice');
let main; // where a section is shown; none while nobody may see one
let leave = () => {};
let email = ''; // whose password may have to be changed
let hiding;

function say(text) {
  clearTimeout(hiding);
  notice.replaceChildren(text);
  hiding = setTimeout(() => notice.replaceChildren(), 8000);
}

// Shows whatever may be shown to whoever is there; `why` says why nobody is.
async function enter(why = '') {
  end();
  let user;
  try {
    user = await viewer();
    email = user?.email ?? '';
  } catch (problem) {
    if (problem.reason !== 'SESSION_ENDED') {
      put(h('main', {}, h('section', { class: 'card narrow' },
        h('h1', { tabIndex: -1 }, 'Console'), h('p', { class: 'bad' }, problem.message),
        h('button', { type: 'button', class: 'main', onclick: () => enter() }, 'Try again'))));
      return;
    }
    why ||= ENDED; // the cookie outlived the session
  }
  if (!user) {
    put(signIn((passwordDue, typed) => {
      email = typed;
      return passwordDue ? due() : enter();
    }, why));
  } else if (user.role !== 'ADMIN') put(refused(user, out));
  else {
    frame(user);
    route();
  }
}

function due() {
  end();
  put(changePassword(email, () => enter()));
}

async function out() {
  try {
    await signOut();
  } catch (problem) {
    say(problem.message);
    return;
  }
  await enter();
}

function end() {
  leave();
  leave = () => {};
  main = undefined;
  hangUp();
  for (const open of document.querySelectorAll('dialog')) open.close();
}

function put(...elements) {
  root.replaceChildren(...elements);
  (root.querySelector('input') ?? root.querySelector('h1'))?.focus();
}

function frame(user) {
  const links = Object.entries(sections).map(([name, { title }]) => h('a', { href: `#${name}` }, title));
  main = h('main', { id: 'section' });
  const lost = h('p', { class: 'lost', role: 'status' });
  watchConnection((connected) => lost.replaceChildren(connected ? '' : 'The server does not answer: what is shown is old. Connecting again …'));
  root.replaceChildren(
    h('a', { class: 'skip', href: '#section', onclick: skip }, 'Skip to the content'),
    h('header', {},
      h('span', { class: 'brand' }, 'graph'),
      h('nav', { 'aria-label': 'Sections' }, links),
      h('div', { class: 'who' }, h('span', { title: user.email }, user.displayName), h('button', { type: 'button', onclick: out }, 'Sign out'))),
    lost,
    main,
  );
}

function skip(event) {
  event.preventDefault();
  main.querySelector('h1')?.focus();
}

// Shows the section that the address names.
function route() {
  if (!main) return;
  const [asked, ...rest] = decodeURIComponent(location.hash.slice(1)).split('/');
  const name = asked in sections ? asked : first;
  leave();
  const ends = [];
  let left = false;
  leave = () => {
    left = true;
    for (const stop of ends) stop();
  };
  const content = h('div', {});
  const heading = h('h1', { tabIndex: -1 }, sections[name].title);
  main.replaceChildren(heading, content);
  document.title = `${sections[name].title} · graph`;
  for (const link of root.querySelectorAll('nav a')) {
    if (link.hash === `#${name}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  heading.focus();

  // What is refused because of the session leads to where a session begins; anything else is said, or shown in place of
  // what cannot be shown.
  const failed = (problem, shown = say) => {
    if (left) return;
    if (problem.reason === 'PASSWORD_DUE') due();
    else if (problem.code === 'UNAUTHENTICATED') enter(ENDED);
    else if (problem.code === 'FORBIDDEN') enter();
    else shown(problem.message);
  };
  const broken = (problem) => failed(problem, (text) => content.replaceChildren(
    h('p', { class: 'bad', role: 'alert' }, text), h('button', { type: 'button', onclick: route }, 'Try again')));
  const guarded = async (...asking) => {
    try {
      return await ask(...asking);
    } catch (problem) {
      if (problem.code === 'UNAUTHENTICATED' || problem.code === 'FORBIDDEN') failed(problem);
      throw problem;
    }
  };
  const page = {
    root: content,
    rest,
    has: (section) => section in sections,
    say,
    ask: guarded,
    follow: (query, variables, next) => {
      const stop = follow(query, variables, (data) => left || next(data), broken);
      ends.push(stop);
      return stop;
    },
    onLeave: (stop) => ends.push(stop),
    // Runs `work` at once; what it throws is said.
    run: (work) => Promise.resolve().then(work).catch(failed),
  };
  Promise.resolve().then(() => sections[name].show(page)).catch(broken);
}

addEventListener('hashchange', route);
enter();
