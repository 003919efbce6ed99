"""The way of a score into SQL and the index.

`submission` takes it, `group_commit` lets those that come at the same time share a transaction, `intake` writes them,
`idempotency` gives a repeated key its first answer, `outdating` tells the cache.
"""
