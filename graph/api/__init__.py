"""The GraphQL schema of this product, a folder a feature.

In each: `types` (what is shown, taken and answered), `resolvers` (the query, the mutation, the loaders of nodes),
`subscriptions`, and `loaders` (lookups that are gathered). `schema` joins the features; `auth` says who asks and what
they may. Resolvers turn arguments into calls of a service and its values into types; they keep no state.
"""
