// Apollo Client, urql, Relay, graphql-sse and graphql-ws against the URL given: each reads an answer in pieces, the later
// of which wait until `letGo` is called after the first has come. No option is set but the handler that Apollo asks for.
// Prints one JSON line a check: {client, check, ok, detail}.
import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { Defer20220824Handler, GraphQL17Alpha9Handler } from '@apollo/client/incremental';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { Client, fetchExchange } from '@urql/core';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildClientSchema, getIntrospectionQuery, printSchema } from 'graphql';
import { createClient as createSse } from 'graphql-sse';
import { createClient as createWs } from 'graphql-ws';
import relay from 'relay-runtime';
import { WebSocket } from 'ws';

const url = process.argv[2];
const QUERY = `query Reading { book { id title ...Rest @defer(label: "rest") } }
fragment Rest on Book { review author { name } }`;
const STREAM = `query Shelf { shelf @stream(initialCount: 1) { id title } }`;
const FIRST = { id: 1, title: 'Bread' };
const REST = { ...FIRST, review: 'Bread is good', author: { name: 'Ann' } };
const SHELF = [0, 1, 2].map((id) => ({ id, title: `Book ${id}` }));

const letGo = () =>
  fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"query":"mutation { letGo }"}' });

async function check(client, name, run) {
  try {
    await run();
    console.log(JSON.stringify({ client, check: name, ok: true }));
  } catch (error) {
    console.log(JSON.stringify({ client, check: name, ok: false, detail: String(error?.stack ?? error) }));
  }
}

const sorted = (value) =>
  Array.isArray(value)
    ? value.map(sorted)
    : value && typeof value === 'object'
      ? Object.fromEntries(Object.entries(value).filter(([key]) => key !== '__typename').sort().map(([key, one]) => [key, sorted(one)]))
      : value;
const same = (one, other) => JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));

// Calls `letGo` when `first` is shown, and ends once `last` is.
const reading = (open, first, last) =>
  new Promise((resolve, reject) => {
    let begun = false;
    const shown = [];
    open((data) => {
      shown.push(data);
      if (!begun && same(data, first)) {
        begun = true;
        letGo().catch(reject);
      }
      if (same(data, last)) begun ? resolve() : reject(new Error('it came whole'));
    }, reject, () => reject(new Error(`it ended with ${JSON.stringify(shown)}`)));
  });

// --- Apollo Client ---

const socket = (connectionParams) =>
  createWs({ url: url.replace('http', 'ws'), webSocketImpl: WebSocket, retryAttempts: 0, connectionParams });
const sockets = socket();
const specified = socket({ incrementalSpec: 'v0.2' });
for (const [name, handler, link] of [
  ['apollo, 2022', new Defer20220824Handler(), new HttpLink({ uri: url })],
  ['apollo, graphql 17', new GraphQL17Alpha9Handler(), new HttpLink({ uri: url })],
  ['apollo over WebSocket, 2022', new Defer20220824Handler(), new GraphQLWsLink(sockets)],
  ['apollo over WebSocket, graphql 17', new GraphQL17Alpha9Handler(), new GraphQLWsLink(specified)],
]) {
  const follow = (query) => (next, error) => {
    const client = new ApolloClient({ link, cache: new InMemoryCache(), incrementalHandler: handler });
    client.watchQuery({ query: gql(query) }).subscribe({ next: (result) => (result.error ? error(result.error) : result.data && next(result.data)), error });
  };
  await check(name, 'defer', () => reading(follow(QUERY), { book: FIRST }, { book: REST }));
  await check(name, 'stream', () => reading(follow(STREAM), { shelf: SHELF.slice(0, 2) }, { shelf: SHELF }));
}
sockets.dispose();
specified.dispose();

// --- urql ---

const urql = (query) => (next, error) => {
  const client = new Client({ url, exchanges: [fetchExchange], preferGetMethod: false });
  client.query(query, {}).subscribe((result) => (result.error ? error(result.error) : next(result.data)));
};
await check('urql', 'defer', () => reading(urql(QUERY), { book: FIRST }, { book: REST }));
await check('urql', 'stream', () => reading(urql(STREAM), { shelf: SHELF.slice(0, 2) }, { shelf: SHELF }));

// --- graphql-sse and graphql-ws hand on what comes ---

for (const [name, client] of [
  ['graphql-sse', createSse({ url, retryAttempts: 0 })],
  ['graphql-ws', socket()],
]) {
  await check(name, 'defer', () =>
    reading(
      (next, error, ended) => {
        let book;
        client.subscribe(
          { query: QUERY },
          {
            next: (piece) => {
              if (piece.data) book = piece.data.book;
              for (const one of piece.incremental ?? []) book = { ...book, ...one.data };
              next({ book });
            },
            error,
            complete: ended,
          },
        );
      },
      { book: FIRST },
      { book: REST },
    ),
  );
  await client.dispose();
}

// --- Relay: its compiler makes the documents, its network hands on each fragment and each item of a list ---

const SHOP = [0, 1, 2].map((id) => ({ node: { id, title: `Book ${id}` } }));

async function compiled(folder) {
  const asked = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: getIntrospectionQuery() }),
  });
  writeFileSync(join(folder, 'schema.graphql'), printSchema(buildClientSchema((await asked.json()).data)));
  mkdirSync(join(folder, 'src'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(
    join(folder, 'src', 'Reading.js'),
    `graphql\`query ReadingQuery { book { id title ...Reading_rest @defer(label: "rest") } }\`;
     graphql\`fragment Reading_rest on Book { review author { name } }\`;
     graphql\`query ReadingShopQuery { shop(first: 3) @stream_connection(key: "Reading_shop", initial_count: 1) {
       edges { node { id title } }
     } }\`;`,
  );
  const config = { src: './src', schema: './schema.graphql', language: 'javascript', eagerEsModules: true };
  writeFileSync(join(folder, 'relay.config.json'), JSON.stringify(config));
  execFileSync(join(import.meta.dirname, 'node_modules/.bin/relay-compiler'), [], { cwd: folder, stdio: 'pipe' });
}

const folder = mkdtempSync(join(tmpdir(), 'relay-')); // the compiler adds what it writes to a repository that it is in
try {
  await compiled(folder);
  const made = async (name) => (await import(join(folder, 'src/__generated__', `${name}.graphql.js`))).default;
  const sse = createSse({ url, retryAttempts: 0 });
  // Relay's store takes one item of a list at a time, as it takes one fragment.
  const entries = ({ items, path, ...one }) =>
    items ? items.map((data, n) => ({ ...one, data, path: [...path.slice(0, -1), path.at(-1) + n] })) : [{ ...one, path }];
  const ask = ({ text }, variables) =>
    relay.Observable.create((sink) =>
      sse.subscribe(
        { query: text, variables },
        {
          next: ({ incremental = [], hasNext, ...first }) => {
            if (first.data) sink.next(first);
            for (const piece of incremental.flatMap(entries)) sink.next({ ...piece, extensions: { is_final: !hasNext } });
          },
          error: (error) => sink.error(error),
          complete: () => sink.complete(),
        },
      ),
    );
  const follow = (query, shown) => (next, error, ended) => {
    const store = new relay.Store(new relay.RecordSource());
    const getDataID = ({ id }, type) => id && `${type}:${id}`; // the schema's ids are numbers
    const environment = new relay.Environment({ network: relay.Network.create(ask), store, getDataID });
    relay.fetchQuery(environment, query, {}).subscribe({ next: (data) => next(shown(data, environment)), error, complete: ended });
  };
  await check('relay', 'defer', async () => {
    const rest = await made('Reading_rest');
    const shown = ({ book }, environment) => {
      const { data, isMissingData } = environment.lookup(relay.getSingularSelector(rest, book));
      return { book: { id: book.id, title: book.title, ...(isMissingData ? {} : data) } };
    };
    await reading(follow(await made('ReadingQuery'), shown), { book: FIRST }, { book: REST });
  });
  await check('relay', 'stream', async () => {
    const shown = ({ shop }) => shop.edges.map(({ node: { id, title } }) => ({ node: { id, title } }));
    await reading(follow(await made('ReadingShopQuery'), shown), SHOP.slice(0, 2), SHOP);
  });
  sse.dispose();
} finally {
  rmSync(folder, { recursive: true });
}
process.exit(0);
