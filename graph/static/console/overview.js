// What the server does now: rates and percentiles, kept answers, refusals, clients, Redis and SQL; every two seconds.
import { bytes, count, duration, h, moment, percent, svg, table, update } from '../common/dom.js';

export const title = 'Overview';

const STATE = `subscription ConsoleServer { serverChanged(seconds: 2) {
  requestsPerSecond inProgress keptRatio sockets subscriptions liveQueries liveFollowers processes
  fleet { host pid kind version startedAt heardSecondsAgo requestsPerSecond inProgress sockets memoryBytes }
  operations { name perSecond errorsPerSecond p50 p99 } refusals { code perSecond }
  redis { health name milliseconds usedBytes maxBytes } sql { health name milliseconds usedBytes maxBytes }
} }`;
const SILENT = 8; // seconds: a process says something every three
const POINTS = 120; // of the graph: the last four minutes

export function show(page) {
  const points = [];
  const graph = svg('svg', { class: 'graph', viewBox: `0 0 ${POINTS - 1} 40`, preserveAspectRatio: 'none', role: 'img' });
  const line = svg('polyline', { points: '' });
  graph.append(line);
  const told = h('span', { class: 'faint' });
  const tiles = h('dl', { class: 'tiles' });
  let operations = h('p', { class: 'empty' }, 'Waiting for the first figures …');
  let refusals = h('p', { class: 'empty' }, '');
  let engines = h('p', { class: 'empty' }, '');
  let fleet = h('p', { class: 'empty' }, '');
  page.root.append(
    tiles,
    h('section', { class: 'card' }, h('h2', {}, 'Requests a second'), graph, told),
    h('h2', {}, 'Operations'), operations,
    h('h2', {}, 'Refused'), refusals,
    h('h2', {}, 'Engines'), engines,
    h('h2', {}, 'Processes'), fleet,
  );
  page.follow(STATE, {}, ({ serverChanged: state }) => {
    points.push(state.requestsPerSecond);
    if (points.length > POINTS) points.shift();
    const most = Math.max(...points);
    const top = Math.max(1, most);
    line.setAttribute('points', points.map((value, n) => `${POINTS - points.length + n},${40 - (38 * value) / top}`).join(' '));
    graph.setAttribute('aria-label', `Requests a second: ${count(state.requestsPerSecond)} now, ${count(most)} at most`);
    told.replaceChildren(`At most ${count(most)} in the last minutes`);
    tiles.replaceChildren(...[
      ['Requests a second', count(state.requestsPerSecond)],
      ['Kept answers', percent(state.keptRatio)],
      ['Under way', count(state.inProgress)],
      ['WebSockets', count(state.sockets)],
      ['Subscriptions', count(state.subscriptions)],
      ['Live queries', `${count(state.liveQueries)} for ${count(state.liveFollowers)}`],
      ['Server processes', count(state.processes)],
    ].map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
    operations = update(operations, table(
      'Operations', ['Name', ['A second', 'number'], ['Half within', 'number'], ['99 % within', 'number'], ['Errors a second', 'number wide']],
      state.operations.map((one) => [one.name, count(one.perSecond), duration(one.p50), duration(one.p99),
        h('span', { class: one.errorsPerSecond ? 'bad' : null }, count(one.errorsPerSecond))]),
      'Nothing was asked.'));
    refusals = update(refusals, table(
      'Refused', ['Code', ['A second', 'number']], state.refusals.map((one) => [one.code, count(one.perSecond)]), 'Nothing was refused.'));
    engines = update(engines, table(
      'Engines', ['Engine', 'State', ['Answers in', 'number'], ['Size', 'number']],
      [['Redis', state.redis], ['SQL', state.sql]].map(([kind, one]) => [
        one.name ?? kind, h('span', { class: one.health === 'OK' ? 'good' : 'bad' }, { OK: 'answers', REFUSES: 'refuses', AWAY: 'is away' }[one.health]),
        one.milliseconds === null ? '–' : duration(one.milliseconds / 1000),
        one.maxBytes ? `${bytes(one.usedBytes)} of ${bytes(one.maxBytes)}` : bytes(one.usedBytes),
      ])));
    fleet = update(fleet, table(
      'Processes', ['Process', ['Since', 'wide'], ['Requests a second', 'number'], ['WebSockets', 'number wide'], ['Memory', 'number']],
      (state.fleet ?? []).map((one) => [
        [h('div', {}, `${one.kind === 'SERVER' ? 'server' : 'worker'} ${one.pid}`), h('div', { class: 'faint' }, `${one.host}, ${one.version}`),
          one.heardSecondsAgo > SILENT && h('div', { class: 'bad' }, `silent for ${duration(one.heardSecondsAgo)}`)],
        moment(one.startedAt), count(one.requestsPerSecond), count(one.sockets), bytes(one.memoryBytes),
      ]), state.fleet ? 'No process has said anything yet.' : 'Nobody knows while Redis is away.'));
  });
}
