"""A GraphQL API server whose resolvers live in Redis."""
