// Mercurius with its JIT, mercurius-cache on Redis, @fastify/rate-limit on Redis, and a session in Redis.
//
// mercurius-cache keeps what a resolver gave, so each answer is executed and printed anew; the session is asked for before
// the limiter, so that both leave in one write.

import rateLimit from '@fastify/rate-limit'
import Fastify from 'fastify'
import mercurius from 'mercurius'
import cache from 'mercurius-cache'
import { LIMIT, TTL, bearer, name, port, ready, redis, resolvers, session, typeDefs } from './shop.mjs'

const app = Fastify()

app.decorateRequest('session', null)
app.addHook('onRequest', (request, _reply, done) => {
  request.session = session(request.headers.authorization)
  done()
})

await app.register(rateLimit, {
  redis,
  nameSpace: `${name}:limit:`,
  max: LIMIT.max,
  timeWindow: LIMIT.window * 1000,
  keyGenerator: request => bearer(request.headers.authorization) ?? request.ip
})

await app.register(mercurius, {
  schema: typeDefs,
  resolvers,
  jit: 1,
  path: '/graphql',
  context: async request => ({ session: await request.session })
})

// With WRITES the cache is invalidated by what a write changes, as its documentation has it: a product by its id, and what
// is sorted or filtered by price as a whole, since a change of price moves products there. Elsewhere nothing is written
// to the catalog, and the references, which cost a set for each product on a page, are left out.
const key = ({ arg }) => JSON.stringify(arg)
const counts = { hit: 0, miss: 0, dedupe: 0 }
const shown = product => `product:${product.id}`
const byPrice = ({ sort, filter }) => sort === 'PRICE_ASC' || filter?.minPrice != null
const pages = (args, { nodes }) => byPrice(args) ? ['by price', ...nodes.map(shown)] : nodes.map(shown)
const writes = process.env.WRITES === 'true'

await app.register(cache, {
  ttl: TTL,
  storage: { type: 'redis', options: { client: redis, ...(writes && { invalidation: { referencesTTL: TTL } }) } },
  onHit: () => counts.hit++,
  onMiss: () => counts.miss++,
  onDedupe: () => counts.dedupe++,
  policy: {
    Query: {
      products: { key, ...(writes && { references: ({ args }, _key, result) => pages(args, result) }) },
      product: { key, ...(writes && { references: (_, _key, result) => result === null ? [] : [shown(result)] }) }
    },
    ...(writes && { Mutation: { updateProduct: { invalidate: (_self, { input }) => [shown(input), 'by price'] } } })
  }
})
app.get('/counts', async () => counts)

await ready
await app.listen({ port, host: '127.0.0.1' })
