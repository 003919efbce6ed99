// The line on top: who is signed in, and what is left of the budget. The budget comes with each answer; asking for it
// alone is free.
import { useSyncExternalStore } from 'react';

const VIEWER = '{ viewer { user { displayName role } } }';
const BUDGET = '{ rateLimit { limit remaining resetAt } }';

let state = { viewer: undefined, problem: null, limit: null, remaining: null };
let timer;
const listeners = new Set();

function update(change) {
  state = { ...state, ...change };
  for (const listener of listeners) listener();
}

const subscribe = (listener) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export function createStatus(url) {
  async function ask(query) {
    const headers = { 'content-type': 'application/json', accept: 'application/json' };
    const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query }) });
    note(answer.headers);
    return answer.json();
  }

  function note(headers) {
    const [limit, remaining, reset] = ['limit', 'remaining', 'reset'].map((name) => {
      const value = headers.get(`x-ratelimit-${name}`);
      return value === null ? null : Number(value);
    });
    if (limit === null) return;
    update({ limit, remaining });
    again(reset * 1000);
  }

  function again(at) {
    clearTimeout(timer);
    if (at > Date.now()) timer = setTimeout(budget, at - Date.now() + 1000);
  }

  async function budget() {
    const found = (await ask(BUDGET).catch(() => null))?.data?.rateLimit;
    if (!found) return;
    update({ limit: found.limit, remaining: found.remaining });
    if (found.remaining < found.limit) again(Date.parse(found.resetAt));
  }

  async function viewer() {
    const found = await ask(VIEWER).catch(() => null);
    if (found?.data) update({ viewer: found.data.viewer?.user ?? null, problem: found.errors?.[0]?.message ?? null });
  }

  // A fetch that reads the budget off each answer, and looks again who is signed in after a mutation.
  async function watching(input, init) {
    const answer = await fetch(input, init);
    note(answer.headers);
    if (/\bmutation\b/.test(String(init?.body ?? ''))) answer.clone().text().then(viewer, () => {});
    return answer;
  }

  return { fetch: watching, viewer, budget };
}

export function Status() {
  const { viewer, problem, limit, remaining } = useSyncExternalStore(subscribe, () => state);
  return (
    <header className="status">
      <strong>graph</strong>
      <span className="who" title={problem ?? undefined}>
        {viewer === undefined ? '' : viewer ? `${viewer.displayName} · ${viewer.role}` : problem ? 'Not signed in (!)' : 'Not signed in'}
      </span>
      <span className="budget" title="What is left of the rate limit in the running window">
        {limit === null ? '' : `${remaining} of ${limit} left`}
      </span>
    </header>
  );
}
