"""The GraphQL schema of this product, with a folder per feature.

Each has `types` (objects, inputs and results), `resolvers` (queries, mutations, the loaders of nodes), `subscriptions`,
and `loaders` (batched look-ups). `schema` joins the features; `auth` finds out who is calling and what they may do.
Resolvers turn arguments into calls of a service and its values into types; they keep no state.
"""
