// What a visitor finds in the editor: operations that work on the seeded data as they stand.
export const tabs = [
  {
    query: `# A page of the catalog, served through the cache. Run it with Ctrl-Enter.
# Left: the documentation, your history, and the explorer that builds queries by clicking.
query Catalog {
  products(first: 5, filter: { inStock: true }, sort: PRICE_ASC) {
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
    query: `query Search($text: String!) {
  products(first: 10, filter: { search: $text }) {
    nodes { sku name price { amount } }
    totalCount
  }
}
`,
    variables: '{\n  "text": "lamp"\n}\n',
  },
  {
    query: `# Follow changes of the catalog while somebody edits it.
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
    query: `# Signs in with a cookie, so that every tab is signed in afterwards.
mutation SignIn($input: LoginInput!) {
  login(input: $input) {
    ... on AuthPayload { expiresAt user { displayName role } }
    ... on UserError { code message }
  }
}
`,
    variables: '{\n  "input": { "email": "admin@example.com", "password": "" }\n}\n',
  },
];
