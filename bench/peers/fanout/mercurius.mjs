// Mercurius with its JIT and mqemitter-redis.

import Fastify from 'fastify'
import mercurius from 'mercurius'
import redis from 'mqemitter-redis'
import { event, typeDefs } from './schema.mjs'

const app = Fastify()
const emitter = redis({ path: process.env.REDIS })

const resolvers = {
  Query: { ok: () => true },
  Subscription: { news: { subscribe: (_root, _args, { pubsub }) => pubsub.subscribe('mercurius:news') } }
}

await app.register(mercurius, { schema: typeDefs, resolvers, jit: 1, subscription: { emitter } })

app.post('/publish', async (request, reply) => {
  const emit = () =>
    new Promise((resolve, reject) =>
      emitter.emit({ topic: 'mercurius:news', payload: { news: event() } }, error => (error ? reject(error) : resolve()))
    )
  await Promise.all(Array.from({ length: Number(request.query.events) }, emit))
  reply.send('')
})

await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })
