// Apollo Client, urql, Relay, graphql-sse and graphql-ws against the URL given: each reads an answer in pieces, the later
// of which wait until `letGo` is called after the first has come. No option is set but the handler that Apollo asks for.
// Prints one JSON line a check: {client, check, ok, detail}.
import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { Defer20220824Handler, GraphQL17Alpha9Handler } from '@apollo/client/incremental';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { Client, fetchExchange } from '@urql/core';
import { createClient as createSse } from 'graphql-sse';
import { createClient as createWs } from 'graphql-ws';
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
process.exit(0);
