// Background jobs as they go on: progress, retry, discard.
import { count, duration, h, moment, percent, table, update } from '../common/dom.js';
import { confirm, expected } from './forms.js';

export const title = 'Jobs';

const JOBS = `subscription ConsoleJobs { jobsChanged(first: 30) {
  id name state done total error createdAt file seconds attempts
} }`;
const RETRY = 'mutation ConsoleRetry($id: ID!) { retryJob(id: $id) { __typename ... on UserError { code message } } }';
const DISCARD = 'mutation ConsoleDiscard($id: ID!) { discardJob(id: $id) }';

export function show(page) {
  let list = h('p', { class: 'empty' }, 'Waiting for the list …');
  page.root.append(list);
  page.follow(JOBS, {}, ({ jobsChanged: jobs }) => {
    list = update(list, table(
      'Jobs', ['Job', 'State', ['Took', 'number wide'], ['Attempts', 'number wide'], ['Made', 'wide'], ''],
      jobs.map((job) => [
        [h('div', {}, job.name), job.file && h('div', { class: 'faint' }, job.file), job.error && h('div', { class: 'bad' }, job.error)],
        state(job), duration(job.seconds), count(job.attempts), moment(job.createdAt), actions(job),
      ]), 'There are no jobs.'));
  });

  function actions(job) {
    const told = job.file ?? `${job.name} of ${moment(job.createdAt)}`;
    return h('div', { class: 'actions' },
      job.state === 'FAILED' && h('button', { type: 'button', 'aria-label': `Retry ${told}`, onclick: () => retry(job) }, 'Retry'),
      h('button', { type: 'button', class: 'danger', 'aria-label': `Discard ${told}`, onclick: () => discard(job, told) }, 'Discard'));
  }

  function retry({ id, name }) {
    page.run(async () => {
      expected((await page.ask(RETRY, { id })).retryJob);
      page.say(`${name} is queued again.`);
    });
  }

  function discard({ id, name, state: now }, told) {
    const text = now === 'RUNNING' ? `${told} stops at its next report; what it has written stays.` : `${told} is forgotten.`;
    confirm('Discard a job', text, 'Discard', async () => {
      await page.ask(DISCARD, { id });
      page.say(`${name} is discarded.`);
    });
  }
}

const STATES = { QUEUED: ['queued', ''], RUNNING: ['running', ''], SUCCEEDED: ['succeeded', 'good'], FAILED: ['failed', 'bad'] };

function state({ state: now, done, total, name }) {
  const [text, kind] = STATES[now];
  if (now !== 'RUNNING') return h('span', { class: kind || null }, text);
  if (!total) return `${text}, ${count(done)}`;
  return [h('progress', { max: total, value: Math.min(done, total), 'aria-label': `Progress of ${name}` }), ` ${percent(done / total)}`];
}
