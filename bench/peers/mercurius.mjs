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

const key = ({ arg }) => JSON.stringify(arg)
await app.register(cache, {
  ttl: TTL,
  storage: { type: 'redis', options: { client: redis } },
  policy: { Query: { products: { key }, product: { key } } }
})

await ready
await app.listen({ port, host: '127.0.0.1' })
