// GraphQL Yoga with @envelop/live-query over graphql-ws, and the usual bridge: who writes publishes the identifier on a
// Redis channel, and every process invalidates what it hears of. The items, and what the driver may ask, are those of
// bench/peers/live_app.py.

import { createServer } from 'node:http'
import { GraphQLLiveDirectiveSDL, useLiveQuery } from '@envelop/live-query'
import { InMemoryLiveQueryStore } from '@n1ru4l/in-memory-live-query-store'
import { useServer } from 'graphql-ws/use/ws'
import { createSchema, createYoga } from 'graphql-yoga'
import { Redis } from 'ioredis'
import { WebSocketServer } from 'ws'

const KEYS = Number(process.env.KEYS ?? 100)
const TITLE = 'x'.repeat(60)
const redis = new Redis(process.env.REDIS)
const bridge = new Redis(process.env.REDIS)
const liveQueryStore = new InMemoryLiveQueryStore()
let number = 0
let executions = 0

await bridge.subscribe('changed')
bridge.on('message', (_channel, identifier) => liveQueryStore.invalidate(identifier))

const yoga = createYoga({
  schema: createSchema({
    typeDefs: `${GraphQLLiveDirectiveSDL}
      type Author { name: String! }
      type Item { id: ID! number: Int! title: String! author: Author! }
      type Query { item(id: ID!): Item! }`,
    resolvers: {
      Query: {
        async item (_root, { id }) {
          executions += 1
          const found = JSON.parse(await redis.get(`db:${id}`) ?? '{}')
          return { id, number: found.number ?? 0, title: found.title ?? TITLE, author: { name: 'Ann' } }
        }
      }
    }
  }),
  plugins: [useLiveQuery({ liveQueryStore })],
  logging: false
})

async function write (key) {
  await redis.set(`db:${key}`, JSON.stringify({ number, title: TITLE }))
  await redis.publish('changed', `Item:${key}`)
}

const server = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost')
  if (pathname === '/publish') {
    for (let round = Number(searchParams.get('events')); round > 0; round -= 1) {
      number += 1
      await Promise.all(Array.from({ length: KEYS }, (_, key) => write(key)))
    }
  } else if (pathname === '/random') {
    for (let left = Number(searchParams.get('writes')); left > 0; left -= 1) {
      number += 1
      await write(Math.floor(Math.random() * KEYS))
      await new Promise((resolve) => setTimeout(resolve, 1000 * Number(searchParams.get('pace'))))
    }
  }
  response.end(JSON.stringify({ number, executions }))
})

useServer(
  {
    execute: (args) => args.rootValue.execute(args),
    subscribe: (args) => args.rootValue.subscribe(args),
    onSubscribe: async (context, _id, params) => {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
        ...context, req: context.extra.request, socket: context.extra.socket, params
      })
      const document = parse(params.query)
      const errors = validate(schema, document)
      if (errors.length) return errors
      return {
        schema,
        document,
        operationName: params.operationName,
        variableValues: params.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe }
      }
    }
  },
  new WebSocketServer({ server, path: '/graphql' })
)
server.listen(Number(process.env.PORT), '127.0.0.1')
