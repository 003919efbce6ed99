// The schema of the fan-out benchmark, and its events.

export const typeDefs = `
  type Author { name: String! }
  type News { number: Int! title: String! author: Author! }
  type Query { ok: Boolean! }
  type Subscription { news(key: String! = ""): News! }
`

let number = 0

export const event = () => ({ number: ++number, title: 'x'.repeat(60), author: { name: 'Ann' } })
