// The catalog, the users and the scores in SQL, for the Node peers: in the very SQLite file or PostgreSQL database that the
// server beside them reads and writes, one transaction for each score, as safe on disk as there.

const { SQL, BOARD, NAME } = process.env
const SLUG = process.env.SCORES ?? `${BOARD}-${NAME}` // a board of its own, where the database is shared
const IS_POSTGRES = SQL.startsWith('postgresql:')

const SHOWN = `
  SELECT product.id, sku, product.name, description, price, currency, stock, active, category.id AS category_id,
         category.slug AS shelf, category.name AS shelf_name, name_key
  FROM product LEFT JOIN category ON category.id = product.category_id`
const ORDERS = { NAME_ASC: 'name_key', PRICE_ASC: 'price' }
const FOUND = IS_POSTGRES
  ? word => `SELECT id FROM product WHERE array_to_tsvector(string_to_array(search, ' ')) @@ to_tsquery('simple', ${word}) OFFSET 0`
  : word => `SELECT rowid FROM product_search WHERE product_search MATCH ${word}`
const WORDS = IS_POSTGRES
  ? search => search.toLowerCase().split(/\s+/).map(word => `'${word}':*`).join(' & ')
  : search => search.toLowerCase().split(/\s+/).map(word => `"${word}"*`).join(' ')
const USER = 'SELECT id, email, display_name, role FROM users WHERE id = $1'
const SEASON = `SELECT seasons.id FROM seasons JOIN boards ON boards.id = board_id WHERE slug = $1 AND state = 'OPEN'`
const SUBMIT = `
  INSERT INTO scores (season_id, player_id, score, achieved_at, version) VALUES ($1, $2, $3, $4, $4)
  ON CONFLICT (season_id, player_id) DO UPDATE
  SET score = excluded.score, achieved_at = excluded.achieved_at, version = excluded.version, former = scores.score
  WHERE excluded.score > scores.score`

const PRICE = 'UPDATE product SET price = $2, updated_at = $3 WHERE id = $1'

export const globalId = (kind, number) => Buffer.from(`${kind}:${number}`).toString('base64')

function productOf (row) {
  return row && {
    id: globalId('Product', row.id),
    sku: row.sku,
    name: row.name,
    description: row.description,
    category: { id: globalId('Category', row.category_id), slug: row.shelf, name: row.shelf_name },
    price: { amount: (Number(row.price) / 10_000).toFixed(2), currency: row.currency },
    stock: row.stock,
    active: Boolean(row.active)
  }
}

function userOf (row) {
  return row && { id: globalId('User', row.id), email: row.email, displayName: row.display_name, role: row.role }
}

async function sqlite (path) {
  const { default: Database } = await import('better-sqlite3')
  const database = new Database(path)
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  const prepared = new Map()
  const all = async (text, values) => {
    let statement = prepared.get(text)
    if (statement === undefined) prepared.set(text, (statement = database.prepare(text.replace(/\$(\d)/g, '?$1'))))
    return statement.all({ ...[null, ...values] })
  }
  const written = new Map([SUBMIT, PRICE].map(text => [text, database.prepare(text.replace(/\$(\d)/g, '?$1'))]))
  return { all, write: async (text, values) => written.get(text).run({ ...[null, ...values] }).changes }
}

async function postgres (url) {
  const { default: pg } = await import('pg')
  const pool = new pg.Pool({ connectionString: url, max: 10 })
  const names = new Map() // a statement that has a name is prepared once by each connection
  const query = (text, values) => {
    let name = names.get(text)
    if (name === undefined) names.set(text, (name = `s${names.size}`))
    return pool.query({ name, text, values })
  }
  return {
    all: async (text, values) => (await query(text, values)).rows,
    write: async (text, values) => (await query(text, values)).rowCount
  }
}

const database = await (IS_POSTGRES ? postgres(SQL) : sqlite(SQL))
const [{ id: season }] = await database.all(SEASON, [SLUG])

const one = async (text, value) => (await database.all(text, [value]))[0] ?? null
const numberOf = id => Number(Buffer.from(id, 'base64').toString().split(':')[1])

export const product = async ({ id, sku }) => productOf(
  await (sku === undefined ? one(`${SHOWN} WHERE product.id = $1`, numberOf(id)) : one(`${SHOWN} WHERE sku = $1`, sku)))

const decoded = cursor => JSON.parse(Buffer.from(cursor, 'base64url').toString()).slice(2)
const encoded = (sort, row) => Buffer.from(
  JSON.stringify([1, sort, sort === 'NAME_ASC' ? row.name_key : Number(row.price), Number(row.id)])).toString('base64url')

// A page by keyset: one row more than asked for tells whether there is another one.
export async function products ({ first = 20, after, sort, filter = {} }) {
  const values = []
  const given = value => `$${values.push(value)}`
  const where = ['active']
  if (filter.minPrice != null) where.push(`price >= ${given(Math.ceil(Number(filter.minPrice) * 10_000))}`)
  if (filter.category != null) where.push(`category_id = (SELECT id FROM category WHERE slug = ${given(filter.category)})`)
  if (filter.search != null) where.push(`product.id IN (${FOUND(given(WORDS(filter.search)))})`)
  if (after != null) {
    const [value, id] = decoded(after)
    where.push(`(${ORDERS[sort]}, product.id) > (${given(value)}, ${given(id)})`)
  }
  const order = `${ORDERS[sort]}, product.id`
  const text = `${SHOWN} WHERE ${where.join(' AND ')} ORDER BY ${order} LIMIT ${given(first + 1)}`
  const rows = await database.all(text, values)
  const hasNextPage = rows.length > first
  if (hasNextPage) rows.pop()
  const endCursor = rows.length === 0 ? null : encoded(sort, rows.at(-1))
  return { nodes: rows.map(productOf), pageInfo: { hasNextPage, endCursor } }
}

export const user = async number => userOf(await one(USER, number))

// Whether the player's score is better than before.
export const submit = async (player, score) =>
  (await database.write(SUBMIT, [season, Number(player), score, Date.now() * 1000])) === 1

// Null if there is no such product.
export async function setPrice (id, amount) {
  const now = new Date()
  const at = IS_POSTGRES ? now : now.toISOString().replace('T', ' ').replace('Z', '000')
  await database.write(PRICE, [numberOf(id), Math.round(Number(amount) * 10_000), at])
  return product({ id })
}
