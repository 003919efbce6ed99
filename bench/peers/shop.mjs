// What all Node peers share: the schema, the data, the store, the session. Each gets its own keys (NAME) on one Redis.
//
// Redis is reached over the same unix socket as by everybody else, with auto-pipelining: what is asked in one turn of the
// event loop leaves in one write. The catalog is held in memory, so that a miss costs these servers no database.

import { readFileSync } from 'node:fs'
import Redis from 'ioredis'

const { NAME, PORT, REDIS, DATA } = process.env

export const name = NAME
export const port = Number(PORT)
export const LIMIT = { max: 1_000_000_000, window: 60 }
export const TTL = 300
const IDLE = 86_400

const data = JSON.parse(readFileSync(DATA, 'utf8'))

export const redis = new Redis({ path: REDIS, enableAutoPipelining: true })
export const ready = new Promise(resolve => redis.once('ready', resolve))

export const typeDefs = readFileSync(new URL('schema.graphql', import.meta.url), 'utf8')

// Place, score and neighbours in one trip, as the server beside does it.
redis.defineCommand('around', {
  numberOfKeys: 2,
  lua: `
    local place = redis.call('ZREVRANK', KEYS[1], ARGV[1])
    if not place then return nil end
    local first = math.max(0, place - tonumber(ARGV[2]))
    local found = redis.call('ZREVRANGE', KEYS[1], first, place + tonumber(ARGV[2]), 'WITHSCORES')
    local players = {}
    for i = 1, #found, 2 do players[#players + 1] = found[i] end
    return { place, first, found, redis.call('HMGET', KEYS[2], unpack(players)) }`
})
redis.defineCommand('submit', {
  numberOfKeys: 1,
  lua: `
    local changed = redis.call('ZADD', KEYS[1], 'GT', 'CH', ARGV[2], ARGV[1])
    return { changed, redis.call('ZSCORE', KEYS[1], ARGV[1]), redis.call('ZREVRANK', KEYS[1], ARGV[1]) }`
})

export const board = `${name}:board`
const names = `${name}:players`

export function bearer (authorization) {
  return authorization?.startsWith('Bearer ') ? authorization.slice(7) : undefined
}

// Starts at once; whoever needs the session awaits it.
export function session (authorization) {
  const token = bearer(authorization)
  return token === undefined ? Promise.resolve(null) : redis.getex(`session:${token}`, 'EX', IDLE).then(JSON.parse)
}

const bySku = new Map(data.products.map(product => [product.sku, product]))
const byId = new Map(data.products.map(product => [product.id, product]))

async function around (_, { range }, { session }) {
  const found = await redis.around(board, names, session.player, range)
  if (found === null) return null
  const [place, first, flat, shown] = found
  const entries = shown.map((displayName, i) => ({
    rank: first + i + 1,
    score: Number(flat[2 * i + 1]),
    player: { displayName }
  }))
  const own = place - first
  return { entry: entries[own], above: entries.slice(0, own), below: entries.slice(own + 1) }
}

export const resolvers = {
  Query: {
    product: (_, { by }) => (by.sku !== undefined ? bySku.get(by.sku) : byId.get(by.id)) ?? null,
    products: (_, { first, sort, filter }) => {
      const least = Number(filter?.minPrice ?? 0)
      const nodes = []
      for (const product of sort === 'PRICE_ASC' ? data.cheapest : data.products) {
        if (product.price.amount >= least && nodes.push(product) === first) break
      }
      return { nodes }
    },
    viewer: (_, __, { session }) => session && { user: session.user },
    leaderboard: (_, { slug }) => (slug === data.board ? { slug } : null)
  },
  Leaderboard: { around },
  Mutation: {
    submitScore: async (_, { input }, { session }) => {
      const [changed, score, place] = await redis.submit(board, session.player, input.score)
      return { __typename: 'ScoreSubmitted', improved: changed === 1, score: Number(score), rank: place + 1 }
    }
  }
}
