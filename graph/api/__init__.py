"""The GraphQL schema of this product: types and resolvers, one file a feature."""
