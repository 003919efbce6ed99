// A page in headless Chromium against the address given, which a proxy may serve: node browser.mjs BASE/ [HOST].
// GraphiQL (at START, else where the front page leads), then what a page does by itself: fetch, WebSocket and EventSource
// with the cookie of a sign-in, and, unless START is set, a body of 50 MB. HOST is the name that the page is opened by;
// anything but 127.0.0.1 is no address that browsers trust, so they send no Sec-Fetch-Site. DIRECT, TOKEN, PRODUCT, EMAIL, PASSWORD: the endpoint itself, an ADMIN's token, an ID, an account.
// Prints one JSON object {check: what was seen}.
import { createHash } from 'node:crypto';
import net from 'node:net';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { launch } from '../support/chromium.mjs';

const [base, host = '127.0.0.1'] = process.argv.slice(2);
const { DIRECT: direct, TOKEN: token, PRODUCT: product, EMAIL: email, PASSWORD: password, SHOTS: shots, START: start = '' } = process.env;
const seen = { failures: [], errors: [] };

// Between browser and proxy, so that a connection can be cut: it refuses everybody while `cut`.
const lines = new Set();
let cut = false;
const relay = net.createServer((near) => {
  if (cut) return near.destroy();
  const far = net.connect(Number(new URL(base).port), '127.0.0.1');
  for (const [one, other] of [[near, far], [far, near]]) {
    lines.add(one);
    one.pipe(other);
    one.on('error', () => other.destroy());
    one.on('close', () => (lines.delete(one), other.destroy()));
  }
});
await new Promise((listening) => relay.listen(0, '127.0.0.1', listening));
const address = `http://${host}:${relay.address().port}${new URL(base).pathname}`;

const { browser, close } = await launch(chromium, { host, viewport: { width: 1400, height: 900 } });
browser.setDefaultTimeout(120_000);
try {
  const page = await browser.newPage();
  page.on('requestfailed', (request) => seen.failures.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on('response', (response) => response.status() >= 400 && seen.failures.push(`${response.url()}: ${response.status()}`));
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  await page.goto(address + start);
  await page.locator('.graphiql-query-editor .monaco-editor').waitFor();
  await page.locator('button.graphiql-execute-button:enabled').waitFor();
  seen.page = page.url().replace(address, '');
  const answered = page.waitForResponse((response) => response.request().method() === 'POST');
  await page.click('button.graphiql-execute-button');
  seen.graphiql = Object.keys(await (await answered).json());
  await page.locator('.graphiql-response .view-lines').getByText('"data"').waitFor();
  page.removeAllListeners();
  if (shots) await page.screenshot({ path: path.join(shots, `${relay.address().port}.png`) });

  seen.login = await page.evaluate(async (input) => {
    const query = 'mutation ($input: LoginInput!) { login(input: $input) { __typename } }';
    const body = JSON.stringify({ query, variables: { input } });
    const headers = { 'content-type': 'application/json' };
    return (await (await fetch('graphql', { method: 'POST', headers, body })).json()).data.login.__typename;
  }, { email, password });

  const who = '{ viewer { user { email } } }';
  seen.viewer = await page.evaluate(async (query) => {
    const short = ({ data, errors }) => data?.viewer?.user?.email ?? errors?.[0].extensions.reason ?? JSON.stringify(data);
    const url = `graphql?${new URLSearchParams({ query })}`;
    const posted = fetch('graphql', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query }),
    });
    const got = fetch(url, { headers: { accept: 'application/json' } });
    const socket = new WebSocket(new URL('graphql', location.href.replace(/^http/, 'ws')), 'graphql-transport-ws');
    const said = new Promise((resolve) => {
      socket.onopen = () => socket.send('{"type":"connection_init"}');
      socket.onerror = () => resolve({ data: 'no WebSocket' });
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === 'connection_ack') socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload: { query } }));
        if (message.type === 'next') resolve(message.payload);
        if (message.type === 'complete') socket.close();
      };
    });
    const events = new EventSource(url);
    const streamed = new Promise((resolve) => {
      events.addEventListener('next', ({ data }) => resolve(JSON.parse(data)));
      events.addEventListener('complete', () => events.close());
    });
    return {
      post: short(await (await posted).json()), get: short(await (await got).json()),
      socket: short(await said), events: short(await streamed),
    };
  }, who);

  // Subscriptions: over a WebSocket, and by an EventSource that loses its connection and resumes.
  await page.evaluate((id) => {
    window.changes = { socket: [], events: [], persisted: [] };
    window.query = `subscription { productChanged(ids: ["${id}"]) { kind gap cursor product { stock } } }`;
    const add = (way, { data }) => window.changes[way].push(data.productChanged);
    const socket = new WebSocket(new URL('graphql', location.href.replace(/^http/, 'ws')), 'graphql-transport-ws');
    socket.onopen = () => socket.send('{"type":"connection_init"}');
    socket.onmessage = ({ data }) => {
      const { type, payload } = JSON.parse(data);
      if (type === 'connection_ack') socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload: { query: window.query } }));
      if (type === 'next') add('socket', payload);
    };
    window.events = new EventSource(`graphql?${new URLSearchParams({ query: window.query })}`);
    window.events.addEventListener('next', ({ data }) => add('events', JSON.parse(data)));
    window.add = add;
  }, product);
  const query = await page.evaluate(() => window.query);
  const extensions = JSON.stringify({ persistedQuery: { version: 1, sha256Hash: createHash('sha256').update(query).digest('hex') } });
  await page.evaluate(async ([told, text]) => { // its text goes once, then an EventSource names it by its hash
    await fetch(`graphql?${new URLSearchParams({ query: text, extensions: told })}`, { headers: { accept: 'text/event-stream' } })
      .then((answer) => answer.body.cancel());
    window.byHash = new EventSource(`graphql?${new URLSearchParams({ extensions: told })}`);
    window.byHash.addEventListener('next', ({ data }) => window.add('persisted', JSON.parse(data)));
  }, [extensions, query]);

  // What was published, as a client sees it whose connection is never cut.
  const published = [];
  const whole = await fetch(`${direct}?${new URLSearchParams({ query })}`, { headers: { accept: 'text/event-stream' } });
  (async () => {
    let text = '';
    for await (const piece of whole.body.pipeThrough(new TextDecoderStream())) {
      const parts = (text + piece).split('\n\n');
      text = parts.pop();
      for (const part of parts) if (part.startsWith('event: next')) published.push(part.match(/"cursor":"([^"]+)"/)[1]);
    }
  })().catch(() => {});

  const changes = () => page.evaluate(() => window.changes);
  const sockets = seen.viewer.socket.includes('no WebSocket') ? [] : ['socket'];
  const ways = [...sockets, 'events', 'persisted'];
  let stock = 0;
  do { await change(); } while (published.length === 0 || !ways.every((way) => seen.now[way].length > 0));
  const before = published.length;
  cut = true;
  lines.forEach((line) => line.destroy());
  for (let one = 0; one < 3; one += 1) await change();
  cut = false;
  const level = ({ cursor }) => cursor === published.at(-1);
  let followed;
  do {
    await page.waitForTimeout(50);
    followed = await changes();
  } while (published.length < before + 3 || !level(followed.events.at(-1)) || !level(followed.persisted.at(-1)));
  delete seen.now;
  seen.followed = Object.fromEntries(ways.map((way) => [way, followed[way].every(({ kind, gap }) => kind === 'UPDATED' && !gap)]));
  for (const way of ['events', 'persisted']) {
    const cursors = followed[way].map((one) => one.cursor);
    const first = cursors.find((one) => published.includes(one)); // whoever followed first saw more
    const [mine, all] = [cursors, published].map((list) => JSON.stringify(list.slice(list.indexOf(first))));
    seen[way] = mine === all ? 'each change once' : [cursors, published];
  }

  if (!start) seen.large = await page.evaluate(async () => {
    const answer = await fetch('graphql', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: new Blob([new Uint8Array(50_000_000)]),
    });
    const text = await answer.text();
    return [answer.status, text.startsWith('{') ? JSON.parse(text).errors[0].extensions.code : 'no JSON'];
  });

  async function change() {
    stock += 1;
    const update = 'mutation ($id: ID!, $stock: Int!) { updateProduct(input: { id: $id, stock: $stock }) { __typename } }';
    const body = JSON.stringify({ query: update, variables: { id: product, stock } });
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
    await (await fetch(direct, { method: 'POST', headers, body })).json();
    await page.waitForTimeout(200);
    seen.now = await changes();
  }
} finally {
  await close();
  relay.close();
  lines.forEach((line) => line.destroy());
}
console.log(JSON.stringify(seen));
process.exit(0);
