// GraphQL with the server that this page comes from, under whatever path a proxy has put it: `ask` over HTTP, `follow`
// over one WebSocket (graphql-transport-ws), which is opened with the first subscription, closed after the last one, and
// opened again, with all subscriptions, when it was lost. The session is a cookie that no script can read.
const endpoint = new URL('../../graphql', import.meta.url);

// Why an operation was refused. `code` is stable (docs/clients.md), `message` is for people.
export class Refused extends Error {
  constructor({ message, extensions = {} }) {
    super(message);
    this.code = extensions.code;
    this.reason = extensions.reason;
  }
}

const AWAY = { message: 'The server does not answer. Is the network there?', extensions: { code: 'AWAY' } };

// The data of an answer; throws `Refused` for its first error. With `files`, a map of variables' names to files, the
// operation goes as a form (GraphQL multipart request specification).
export async function ask(query, variables = {}, files = {}) {
  const operation = JSON.stringify({ query, variables });
  const headers = { accept: 'application/graphql-response+json, application/json' };
  let body = operation;
  const names = Object.keys(files);
  if (names.length) {
    body = new FormData();
    body.append('operations', operation);
    body.append('map', JSON.stringify(Object.fromEntries(names.map((name, n) => [n, [`variables.${name}`]]))));
    names.forEach((name, n) => body.append(n, files[name]));
    headers['graphql-require-preflight'] = 'yes';
  } else {
    headers['content-type'] = 'application/json';
  }
  let answer;
  try {
    answer = await (await fetch(endpoint, { method: 'POST', headers, body })).json();
  } catch {
    throw new Refused(AWAY);
  }
  if (answer.errors?.length) throw new Refused(answer.errors[0]);
  return answer.data;
}

const operations = new Map(); // by the id on the socket
let socket;
let acknowledged = false;
let failures = 0;
let timer;
let number = 0;
let tell = () => {};

// Calls `changed(connected)` when the connection of the subscriptions was lost, and when it is there again.
export function watchConnection(changed) {
  tell = changed;
}

// Calls `next(data)` with each result of a subscription or live query, and `failed(error)` when it was refused or the
// session has ended; returns a function that ends it. What is lost with a connection comes with the next first state.
export function follow(query, variables, next, failed = () => {}) {
  const id = String((number += 1));
  operations.set(id, { payload: { query, variables }, next, failed });
  if (acknowledged) send({ id, type: 'subscribe', payload: { query, variables } });
  else if (!socket && !timer) connect();
  return () => {
    if (!operations.delete(id)) return;
    if (acknowledged) send({ id, type: 'complete' });
    if (!operations.size) hangUp();
  };
}

// Ends every subscription, as when the user signs out: the next one begins with the cookie of then.
export function hangUp() {
  operations.clear();
  clearTimeout(timer);
  timer = undefined;
  failures = 0;
  tell(true);
  const open = socket;
  socket = undefined;
  acknowledged = false;
  open?.close(1000);
}

function send(message) {
  socket.send(JSON.stringify(message));
}

function connect() {
  timer = undefined;
  const address = new URL(endpoint);
  address.protocol = endpoint.protocol === 'https:' ? 'wss:' : 'ws:';
  const opened = new WebSocket(address, 'graphql-transport-ws');
  socket = opened;
  opened.onopen = () => opened === socket && send({ type: 'connection_init' });
  opened.onmessage = ({ data }) => opened === socket && received(JSON.parse(data));
  opened.onclose = ({ code, reason }) => opened === socket && lost(code, reason);
}

function received({ type, id, payload }) {
  if (type === 'ping') return send({ type: 'pong' });
  if (type === 'connection_ack') {
    acknowledged = true;
    failures = 0;
    tell(true);
    for (const [key, { payload: asked }] of operations) send({ id: key, type: 'subscribe', payload: asked });
    return undefined;
  }
  const operation = operations.get(id);
  if (!operation) return undefined;
  if (type === 'next' && !payload.errors?.length) return operation.next(payload.data);
  if (type !== 'complete') operation.failed(new Refused((type === 'next' ? payload.errors : payload)[0]));
  if (type !== 'next') operations.delete(id);
  return undefined;
}

function lost(code, reason) {
  socket = undefined;
  acknowledged = false;
  if (code === 4403 || code === 4401) {
    const ended = [...operations.values()];
    operations.clear();
    const error = new Refused({ message: reason || 'The session has ended.', extensions: { code: 'UNAUTHENTICATED' } });
    for (const one of ended) one.failed(error);
  } else if (operations.size) {
    failures += 1;
    tell(false);
    timer = setTimeout(connect, Math.random() * Math.min(30_000, 500 * 2 ** failures));
  }
}
