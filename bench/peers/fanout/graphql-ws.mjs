// The graphql-ws server on ws, with graphql-redis-subscriptions.

import { createServer } from 'node:http'
import { makeExecutableSchema } from '@graphql-tools/schema'
import { RedisPubSub } from 'graphql-redis-subscriptions'
import { useServer } from 'graphql-ws/use/ws'
import Redis from 'ioredis'
import { WebSocketServer } from 'ws'
import { event, typeDefs } from './schema.mjs'

const pubsub = new RedisPubSub({
  publisher: new Redis(process.env.REDIS),
  subscriber: new Redis(process.env.REDIS)
})

const resolvers = {
  Query: { ok: () => true },
  Subscription: { news: { subscribe: () => pubsub.asyncIterator('graphql-ws:news') } }
}

const server = createServer(async (request, response) => {
  const count = Number(new URL(request.url, 'http://localhost').searchParams.get('events') ?? 0)
  await Promise.all(Array.from({ length: count }, () => pubsub.publish('graphql-ws:news', { news: event() })))
  response.end()
})

const sockets = new WebSocketServer({ server, path: '/graphql' })
useServer({ schema: makeExecutableSchema({ typeDefs, resolvers }) }, sockets)
server.listen(Number(process.env.PORT), '127.0.0.1')
