// graphql-ws, graphql-sse, Apollo Client (WebSocket and multipart) and urql (WebSocket and SSE) against the server at the
// URL given: query, mutation, expected error and subscription through each; through the first two a live query whose
// patches @n1ru4l's reader applies. TOKEN is an ADMIN's, PRODUCT an ID.
// Prints one JSON line a check: {client, check, ok, detail}.
import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { applyLiveQueryJSONPatch } from '@n1ru4l/graphql-live-query-patch-json-patch';
import { Client as UrqlClient, cacheExchange, fetchExchange, gql as urqlGql, subscriptionExchange } from '@urql/core';
import { createClient as createSse } from 'graphql-sse';
import { createClient as createWs } from 'graphql-ws';
import WebSocket from 'ws';

globalThis.WebSocket ??= WebSocket; // Apollo's link looks for a browser's
const url = process.argv[2];
const { TOKEN: token, PRODUCT: product } = process.env;
const wsUrl = url.replace(/^http/, 'ws');
const headers = { authorization: `Bearer ${token}` };
const PATIENCE = 40_000;

const QUERY = 'query Q($id: ID!) { node(id: $id) { __typename id } }';
const WANTED = { node: { __typename: 'Product', id: product } };
const SUBSCRIPTION = 'subscription S($ids: [ID!]) { productChanged(ids: $ids) { kind gap product { id stock } } }';
const LIVE = 'query L($id: ID!) @live(patch: true) { node(id: $id) { ... on Product { id sku name description stock createdAt } } }';
const MUTATION = 'mutation M($id: ID!, $stock: Int!) { updateProduct(input: {id: $id, stock: $stock}) { ... on Product { stock } } }';
const WRONG = 'query W { nothingOfTheKind }';

async function check(client, name, run) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error('no answer in time')), PATIENCE)));
  try {
    console.log(JSON.stringify({ client, check: name, ok: true, detail: await Promise.race([run(), late]) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ client, check: name, ok: false, detail: String(error?.stack ?? JSON.stringify(error)) }));
  } finally {
    clearTimeout(timer);
  }
}

function expect(actual, wanted) {
  if (JSON.stringify(actual) !== JSON.stringify(wanted)) {
    throw new Error(`${JSON.stringify(actual)} instead of ${JSON.stringify(wanted)}`);
  }
}

let stock = 1000;
async function changeStock() {
  stock += 1;
  const body = JSON.stringify({ query: MUTATION, variables: { id: product, stock } });
  const answer = await fetch(url, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body });
  expect((await answer.json()).data.updateProduct, { stock });
  return stock;
}

// Subscribes with `open(onNext, onError)`, changes the product until an event of that change comes, and closes.
async function follow(open) {
  let close;
  let ticking = true;
  try {
    await new Promise((resolve, reject) => {
      close = open((event, whole) => {
        if (!event) return reject(new Error(`no event in ${JSON.stringify(whole)} ${whole?.error}`));
        if (event?.kind !== 'UPDATED' || event.product?.id !== product) reject(new Error(JSON.stringify(event)));
        if (event.product.stock === stock) resolve();
      }, reject);
      (async () => {
        while (ticking) {
          await new Promise((next) => setTimeout(next, 250));
          if (ticking) await changeStock();
        }
      })().catch(reject);
    });
  } finally {
    ticking = false;
    close?.();
  }
}

const once = (client, query, variables) =>
  new Promise((resolve, reject) => {
    let last;
    client.subscribe({ query, variables }, { next: (value) => (last = value), error: reject, complete: () => resolve(last) });
  });
const refused = async (promise) => {
  try {
    const result = await promise;
    return (result?.errors ?? result?.error?.graphQLErrors ?? result?.error?.errors ?? []).map((one) => one.extensions.code);
  } catch (error) {
    return (Array.isArray(error) ? error : error.errors ?? error.graphQLErrors ?? []).map((one) => one.extensions.code);
  }
};

// Follows the product in patches through five changes; what the reader shows is what a query shows.
async function followLive(client) {
  const received = [];
  const noted = async function* (results) {
    for await (const result of results) {
      received.push(result);
      yield result;
    }
  };
  await changeStock();
  let changes = 0;
  for await (const { data } of applyLiveQueryJSONPatch(noted(client.iterate({ query: LIVE, variables: { id: product } })))) {
    if (data.node.stock !== stock) continue;
    const fresh = await once(client, LIVE.replace('@live(patch: true)', ''), { id: product });
    expect(data, fresh.data);
    if (++changes > 5) break;
    await changeStock();
  }
  expect(received[0].revision, 1);
  expect(received.slice(1).map(({ patch, revision }) => [patch.length, revision]), received.slice(1).map((_, i) => [1, i + 2]));
}

// --- graphql-ws and graphql-sse, the reference clients ---

const ws = () => createWs({ url: wsUrl, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${token}` }, retryAttempts: 0 });
const sse = () => createSse({ url, headers, retryAttempts: 0 });
for (const [name, make] of [['graphql-ws', ws], ['graphql-sse', sse]]) {
  const client = make();
  await check(name, 'query', async () => expect((await once(client, QUERY, { id: product })).data, WANTED));
  await check(name, 'mutation', async () => {
    stock += 1;
    expect((await once(client, MUTATION, { id: product, stock })).data, { updateProduct: { stock } });
  });
  await check(name, 'refused document', async () => expect(await refused(once(client, WRONG)), ['GRAPHQL_VALIDATION_FAILED']));
  await check(name, 'subscription', () =>
    follow((next, error) =>
      client.subscribe(
        { query: SUBSCRIPTION, variables: { ids: [product] } },
        { next: (value) => next(value.data?.productChanged), error, complete: () => {} },
      ),
    ),
  );
  await check(name, 'live query', () => followLive(client));
  client.dispose();
}

// --- Apollo Client ---

const apollo = (link) => new ApolloClient({ link, cache: new InMemoryCache() });
const socket = ws();
for (const [name, link] of [
  ['apollo over WebSocket', new GraphQLWsLink(socket)],
  ['apollo over HTTP and multipart', new HttpLink({ uri: url, headers })],
]) {
  const client = apollo(link);
  await check(name, 'query', async () => expect((await client.query({ query: gql(QUERY), variables: { id: product } })).data, WANTED));
  await check(name, 'mutation', async () => {
    stock += 1;
    expect((await client.mutate({ mutation: gql(MUTATION), variables: { id: product, stock } })).data.updateProduct.stock, stock);
  });
  await check(name, 'refused document', async () =>
    expect(await refused(client.query({ query: gql(WRONG) })), ['GRAPHQL_VALIDATION_FAILED']),
  );
  await check(name, 'subscription', () =>
    follow((next, error) => {
      const following = client
        .subscribe({ query: gql(SUBSCRIPTION), variables: { ids: [product] } })
        .subscribe({ next: (value) => next(value.data?.productChanged, value), error });
      return () => following.unsubscribe();
    }),
  );
}
socket.dispose();

// --- urql ---

const urqlSocket = ws();
for (const [name, exchanges, more] of [
  [
    // As its documentation has it. (With `enableAllOperations` urql unsubscribes from a query at its result, and graphql-ws
    // counts that operation as ended twice when `complete` comes on its heels; then it closes the socket under the next.)
    'urql over HTTP and WebSocket',
    [
      cacheExchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: (request) => ({
          subscribe: (sink) => ({ unsubscribe: urqlSocket.subscribe({ ...request, query: request.query || '' }, sink) }),
        }),
      }),
    ],
    {},
  ],
  ['urql over HTTP and SSE', [cacheExchange, fetchExchange], { fetchSubscriptions: true }],
]) {
  const client = new UrqlClient({ url, exchanges, fetchOptions: { headers }, ...more });
  await check(name, 'query', async () => {
    const { data, error } = await client.query(urqlGql(QUERY), { id: product }).toPromise();
    if (error) throw error;
    expect({ node: { __typename: data.node.__typename, id: data.node.id } }, WANTED);
  });
  await check(name, 'mutation', async () => {
    stock += 1;
    const { data } = await client.mutation(urqlGql(MUTATION), { id: product, stock }).toPromise();
    expect(data.updateProduct.stock, stock);
  });
  await check(name, 'refused document', async () =>
    expect(await refused(client.query(urqlGql(WRONG), {}).toPromise()), ['GRAPHQL_VALIDATION_FAILED']),
  );
  await check(name, 'subscription', () =>
    follow((next, error) => {
      const { unsubscribe } = client.subscription(urqlGql(SUBSCRIPTION), { ids: [product] }).subscribe((result) => {
        if (result.error) error(result.error);
        else if (result.data) next(result.data.productChanged);
      });
      return unsubscribe;
    }),
  );
}
urqlSocket.dispose();
process.exit(0);
