"""The engines below the product: the SQL database and the embedded Valkey.

`database` is SQLite or PostgreSQL behind one interface and migrates its tables; `columns` and `upsert` work the same on
both. `embedded` returns the operator's Redis, or starts the bundled Valkey; `aof` repairs its file after a power loss.
They fail with `graph.errors.Unavailable`, `EmbeddedError` or `DiskError`. These modules are imported individually, so
that a command that only needs Redis does not load SQL.
"""
