// Apollo Client, urql and graphql-request against the URL given: query, variables, mutation, expected error, refused
// document, persisted documents. No option is set but those that a check is about.
// Prints one JSON line a check: {client, check, ok, detail}.
import { createHash } from 'node:crypto';
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { Client, cacheExchange, fetchExchange, gql as urqlGql } from '@urql/core';
import { persistedExchange } from '@urql/exchange-persisted';
import { GraphQLClient } from 'graphql-request';

const url = process.argv[2];
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

async function check(client, name, run) {
  try {
    const detail = await run();
    console.log(JSON.stringify({ client, check: name, ok: true, detail }));
  } catch (error) {
    console.log(JSON.stringify({ client, check: name, ok: false, detail: String(error?.stack ?? error) }));
  }
}

function expect(actual, wanted) {
  if (JSON.stringify(actual) !== JSON.stringify(wanted)) {
    throw new Error(`${JSON.stringify(actual)} instead of ${JSON.stringify(wanted)}`);
  }
  return actual;
}

async function failing(promise) {
  try {
    const result = await promise;
    return result.error;
  } catch (error) {
    return error;
  }
}

const codes = (error) => (error?.errors ?? error?.graphQLErrors ?? []).map((one) => one.extensions?.code);

// --- Apollo Client ---

const seen = [];
const watching = async (input, init) => {
  const response = await fetch(input, init);
  seen.push({ method: init?.method ?? 'GET', status: response.status, query: String(init?.body ?? input).includes('query ') });
  return response;
};

const apollo = (link) => new ApolloClient({ link, cache: new InMemoryCache() });
const plain = apollo(new HttpLink({ uri: url, fetch: watching }));

await check('apollo', 'query', async () =>
  expect((await plain.query({ query: gql`query A($t: String) { echo(text: $t) }`, variables: { t: 'é🏊' } })).data, {
    echo: 'é🏊',
  }),
);
await check('apollo', 'mutation', async () =>
  expect((await plain.mutate({ mutation: gql`mutation { note(text: "a") }` })).data, { note: 'a' }),
);
await check('apollo', 'expected error', async () =>
  expect(codes(await failing(plain.query({ query: gql`query B { forbidden }`, errorPolicy: 'none' }))), ['FORBIDDEN']),
);
await check('apollo', 'refused document', async () =>
  expect(codes(await failing(plain.query({ query: gql`query C { nothing }` }))), ['GRAPHQL_VALIDATION_FAILED']),
);

for (const useGETForHashedQueries of [false, true]) {
  const name = `apq${useGETForHashedQueries ? ' by GET' : ''}`;
  await check('apollo', name, async () => {
    const link = ApolloLink.from([
      new PersistedQueryLink({ sha256, useGETForHashedQueries }),
      new HttpLink({ uri: url, fetch: watching }),
    ]);
    const document = gql`query Apq${useGETForHashedQueries ? 'Get' : 'Post'}${process.pid} { hello }`;
    const rounds = [];
    for (let round = 0; round < 2; round += 1) {
      seen.length = 0;
      expect((await apollo(link).query({ query: document })).data, { hello: 'world' });
      rounds.push(seen.map((one) => one.query));
    }
    return expect(rounds, [[false, true], [false]]); // asked by hash, sent in full once, then by hash alone
  });
}

// --- urql ---

const urql = (options) => new Client({ url, exchanges: [cacheExchange, fetchExchange], fetch: watching, ...options });
const method = () => seen.at(-1).method;

await check('urql', 'query', async () => {
  expect((await urql().query(urqlGql`query D($t: String) { echo(text: $t) }`, { t: 'x' }).toPromise()).data, {
    echo: 'x',
  });
  return expect(method(), 'GET'); // its default for what fits an address
});
await check('urql', 'long query', async () => {
  const text = 'x'.repeat(3000);
  expect((await urql().query(urqlGql`query L($t: String) { echo(text: $t) }`, { t: text }).toPromise()).data, {
    echo: text,
  });
  return expect(method(), 'POST');
});
for (const preferGetMethod of ['force', false]) {
  await check('urql', `query, preferGetMethod: ${preferGetMethod}`, async () => {
    const client = urql({ preferGetMethod });
    expect((await client.query(urqlGql`query E { hello }`, {}).toPromise()).data, { hello: 'world' });
    return expect(method(), preferGetMethod ? 'GET' : 'POST');
  });
}
await check('urql', 'persisted', async () => {
  const exchanges = [cacheExchange, persistedExchange(), fetchExchange];
  const query = `query P${process.pid} { hello }`;
  const rounds = [];
  for (let round = 0; round < 2; round += 1) {
    seen.length = 0;
    expect((await urql({ exchanges }).query(query, {}).toPromise()).data, { hello: 'world' });
    rounds.push(seen.map((one) => one.method));
  }
  return expect(rounds, [['GET', 'GET'], ['GET']]); // by hash, in full once, then by hash alone
});
await check('urql', 'mutation', async () =>
  expect((await urql().mutation(urqlGql`mutation { note(text: "b") }`, {}).toPromise()).data, { note: 'b' }),
);
await check('urql', 'expected error', async () =>
  expect(codes((await urql().query(urqlGql`query F { forbidden }`, {}).toPromise()).error), ['FORBIDDEN']),
);
await check('urql', 'refused document', async () =>
  expect(codes((await urql().query(urqlGql`query G { nothing }`, {}).toPromise()).error), ['GRAPHQL_VALIDATION_FAILED']),
);

// --- graphql-request ---

for (const method of [undefined, 'GET']) {
  const client = new GraphQLClient(url, method && { method });
  const name = method ?? 'by default';
  await check('graphql-request', `query ${name}`, async () =>
    expect(await client.request('query R($t: String) { echo(text: $t) }', { t: 'é' }), { echo: 'é' }),
  );
  await check('graphql-request', `expected error ${name}`, async () =>
    expect((await failing(client.request('query S { forbidden }'))).response.errors[0].extensions.code, 'FORBIDDEN'),
  );
}
await check('graphql-request', 'mutation', async () =>
  expect(await new GraphQLClient(url).request('mutation { note(text: "d") }'), { note: 'd' }),
);
await check('graphql-request', 'batch', async () =>
  expect((await new GraphQLClient(url).batchRequests([{ document: '{ hello }' }, { document: '{ hello }' }])).length, 2),
);
