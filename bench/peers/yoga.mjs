// GraphQL Yoga with its response cache on Redis, rate-limiter-flexible on Redis, and a session in Redis.

import { createServer } from 'node:http'
import { createRedisCache } from '@envelop/response-cache-redis'
import { useResponseCache } from '@graphql-yoga/plugin-response-cache'
import { createSchema, createYoga } from 'graphql-yoga'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import { LIMIT, TTL, bearer, name, port, ready, redis, resolvers, session, typeDefs } from './shop.mjs'

const limiter = new RateLimiterRedis({
  storeClient: redis,
  keyPrefix: `${name}:limit`,
  points: LIMIT.max,
  duration: LIMIT.window
})
const sessions = new WeakMap()

const admission = {
  async onRequest ({ request, endResponse, fetchAPI }) {
    const authorization = request.headers.get('authorization')
    const signedIn = session(authorization) // leaves in one write with the limiter's script
    try {
      await limiter.consume(bearer(authorization) ?? 'anonymous')
    } catch (verdict) {
      if (verdict instanceof Error) throw verdict
      endResponse(new fetchAPI.Response('{"errors":[{"message":"too many requests"}]}', { status: 429 }))
      return
    }
    sessions.set(request, await signedIn)
  }
}

const yoga = createYoga({
  schema: createSchema({ typeDefs, resolvers }),
  context: ({ request }) => ({ session: sessions.get(request) }),
  graphiql: false,
  landingPage: false,
  logging: false,
  plugins: [
    admission,
    useResponseCache({
      session: () => null,
      ttl: TTL * 1000,
      ttlPerSchemaCoordinate: { 'Query.viewer': 0, 'Query.leaderboard': 0 },
      cache: createRedisCache({ redis })
    })
  ]
})

await ready
createServer(yoga).listen(port, '127.0.0.1')
