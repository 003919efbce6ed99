// What all Node peers share: the schema, the data, the store, the session. Each gets its own keys (NAME) on one Redis.
//
// Redis is reached over the same unix socket as by everybody else, with auto-pipelining: what is asked in one turn of the
// event loop leaves in one write. What is not cached comes from SQL (sql.mjs), and a score is there before it is ranked.

import { readFileSync } from 'node:fs'
import Redis from 'ioredis'
import * as sql from './sql.mjs'

const { NAME, PORT, REDIS, BOARD } = process.env

export const name = NAME
export const port = Number(PORT)
export const LIMIT = { max: 1_000_000_000, window: 60 }
export const TTL = 300
const IDLE = 86_400

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
redis.defineCommand('top', {
  numberOfKeys: 2,
  lua: `
    local found = redis.call('ZREVRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1, 'WITHSCORES')
    local players = {}
    for i = 1, #found, 2 do players[#players + 1] = found[i] end
    return { found, redis.call('HMGET', KEYS[2], unpack(players)) }`
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

const entriesOf = (flat, shown, first) => shown.map((displayName, i) => ({
  rank: first + i + 1,
  score: Number(flat[2 * i + 1]),
  player: { displayName }
}))

async function around (_, { range }, { session }) {
  const found = await redis.around(board, names, session.player, range)
  if (found === null) return null
  const [place, first, flat, shown] = found
  const entries = entriesOf(flat, shown, first)
  const own = place - first
  return { entry: entries[own], above: entries.slice(0, own), below: entries.slice(own + 1) }
}

async function top (_, { first }) {
  const [flat, shown] = await redis.top(board, names, first)
  return { nodes: entriesOf(flat, shown, 0) }
}

export const resolvers = {
  Query: {
    product: (_, { by }) => sql.product(by),
    products: (_, args) => sql.products(args),
    viewer: async (_, __, { session }) => session && { user: await sql.user(session.player) },
    leaderboard: (_, { slug }) => (slug === BOARD ? { slug } : null)
  },
  Leaderboard: { around, top },
  Mutation: {
    submitScore: async (_, { input }, { session }) => {
      const improved = await sql.submit(session.player, input.score)
      const [, score, place] = await redis.submit(board, session.player, input.score)
      return { __typename: 'ScoreSubmitted', improved, score: Number(score), rank: place + 1 }
    },
    updateProduct: async (_, { input }, { session }) => {
      if (session?.user.role !== 'ADMIN') throw new Error('forbidden')
      const changed = await sql.setPrice(input.id, input.price.amount)
      return changed === null ? { __typename: 'NotFound', message: 'There is no such product.' } : { __typename: 'Product', ...changed }
    }
  }
}
