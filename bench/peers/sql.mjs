// The catalog, the users and the scores in SQL, for the Node peers: in the very SQLite file or PostgreSQL database that the
// server beside them reads and writes, one transaction for each score, as safe on disk as there.

const { SQL, BOARD, NAME } = process.env

const SHOWN = `
  SELECT product.id, sku, product.name, description, price, currency, stock, active, category.id AS category_id,
         category.slug AS shelf, category.name AS shelf_name
  FROM product LEFT JOIN category ON category.id = product.category_id`
const ORDERS = { NAME_ASC: 'name_key, product.id', PRICE_ASC: 'price, product.id' }
const PAGE = order => `${SHOWN} WHERE active AND price >= $1 ORDER BY ${ORDERS[order]} LIMIT $2`
const USER = 'SELECT id, email, display_name, role FROM users WHERE id = $1'
const SEASON = `SELECT seasons.id FROM seasons JOIN boards ON boards.id = board_id WHERE slug = $1 AND state = 'OPEN'`
const SUBMIT = `
  INSERT INTO scores (season_id, player_id, score, achieved_at, version) VALUES ($1, $2, $3, $4, $4)
  ON CONFLICT (season_id, player_id) DO UPDATE
  SET score = excluded.score, achieved_at = excluded.achieved_at, version = excluded.version, former = scores.score
  WHERE excluded.score > scores.score`

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
  const write = database.prepare(SUBMIT.replace(/\$(\d)/g, '?$1'))
  return { all, write: async values => write.run({ ...[null, ...values] }).changes }
}

async function postgres (url) {
  const { default: pg } = await import('pg')
  const pool = new pg.Pool({ connectionString: url, max: 10 })
  const all = async (text, values) => (await pool.query({ name: text.slice(-60), text, values })).rows
  return { all, write: async values => (await pool.query({ name: 'submit', text: SUBMIT, values })).rowCount }
}

const database = await (SQL.startsWith('postgresql:') ? postgres(SQL) : sqlite(SQL))
const [{ id: season }] = await database.all(SEASON, [`${BOARD}-${NAME}`]) // a board of its own

const one = async (text, value) => (await database.all(text, [value]))[0] ?? null
const numberOf = id => Number(Buffer.from(id, 'base64').toString().split(':')[1])

export const product = async ({ id, sku }) => productOf(
  await (sku === undefined ? one(`${SHOWN} WHERE product.id = $1`, numberOf(id)) : one(`${SHOWN} WHERE sku = $1`, sku)))

export const products = async (first, order, least) =>
  (await database.all(PAGE(order), [Math.ceil(Number(least) * 10_000), first])).map(productOf)

export const user = async number => userOf(await one(USER, number))

// Whether the player's score is better than before.
export const submit = async (player, score) =>
  (await database.write([season, Number(player), score, Date.now() * 1000])) === 1
