// What a visitor finds in the editor: operations that work on the seeded data as they stand.
export const tabs = [
  {
    query: `# A page of the catalog, through the cache.
# Ctrl-Enter runs it. On the left: the docs,
# your history, and a query builder.
query Catalog {
  products(
    first: 5
    sort: PRICE_ASC
    filter: { inStock: true }
  ) {
    nodes {
      sku
      name
      price { amount currency }
      stock
      category { name }
    }
    pageInfo { hasNextPage endCursor }
    totalCount
  }
  rateLimit { limit remaining resetAt }
}
`,
  },
  {
    query: `# Full-text search; see Variables below.
query Search($text: String!) {
  products(
    first: 10
    filter: { search: $text }
  ) {
    nodes { sku name price { amount } }
    totalCount
  }
}
`,
    variables: '{\n  "text": "lamp"\n}\n',
  },
  {
    query: `# Ranks, read at one instant.
query Leaderboard {
  leaderboard(slug: "all-time") {
    name
    size
    top(first: 5) {
      nodes { rank score player { displayName } }
    }
  }
}
`,
  },
  {
    query: `# Stays up to date: answered again when
# a product or a price on it changes.
query Storefront @live {
  products(
    first: 3
    sort: PRICE_ASC
    filter: { inStock: true }
  ) {
    nodes { name price { amount } stock }
    totalCount
  }
}
`,
  },
  {
    query: `# Changes of the catalog, as they happen.
subscription Changes {
  productChanged {
    kind
    at
    cursor
    product { sku name stock }
  }
}
`,
  },
  {
    query: `# Sets a cookie: afterwards every tab is
# signed in. Your password goes into Variables.
mutation SignIn($input: LoginInput!) {
  login(input: $input) {
    ... on AuthPayload {
      expiresAt
      user { displayName role }
    }
    ... on UserError { code message }
  }
}
`,
    variables: '{\n  "input": {\n    "email": "admin@example.com",\n    "password": ""\n  }\n}\n',
  },
];
