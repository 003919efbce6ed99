// Apollo Server on Fastify with its response cache on Redis, @fastify/rate-limit on Redis, and a session in Redis.

import { ApolloServer } from '@apollo/server'
import responseCache from '@apollo/server-plugin-response-cache'
import { ApolloServerPluginCacheControl } from '@apollo/server/plugin/cacheControl'
import { fastifyApolloHandler } from '@as-integrations/fastify'
import rateLimit from '@fastify/rate-limit'
import Fastify from 'fastify'
import { LIMIT, TTL, bearer, name, port, ready, redis, resolvers, session, typeDefs } from './shop.mjs'

const store = {
  get: async key => (await redis.get(`${name}:${key}`)) ?? undefined,
  set: (key, value, options) => redis.set(`${name}:${key}`, value, 'EX', options?.ttl ?? TTL),
  delete: key => redis.del(`${name}:${key}`)
}

const server = new ApolloServer({
  typeDefs,
  resolvers,
  cache: store,
  plugins: [ApolloServerPluginCacheControl({ defaultMaxAge: 0 }), responseCache.default?.() ?? responseCache()]
})
await server.start()

const app = Fastify()
app.decorateRequest('session', null)
app.addHook('onRequest', (request, _reply, done) => {
  request.session = session(request.headers.authorization) // leaves in one write with the limiter's script
  done()
})
await app.register(rateLimit, {
  redis,
  nameSpace: `${name}:limit:`,
  max: LIMIT.max,
  timeWindow: LIMIT.window * 1000,
  keyGenerator: request => bearer(request.headers.authorization) ?? request.ip
})
app.post('/graphql', fastifyApolloHandler(server, { context: async request => ({ session: await request.session }) }))

await ready
await app.listen({ port, host: '127.0.0.1' })
