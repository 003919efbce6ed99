"""Brings scores into SQL and the index.

`submission` accepts scores, of which concurrent ones share a transaction, `intake` writes them, `idempotency` answers a
repeated key, `outdating` invalidates the cache.
"""
