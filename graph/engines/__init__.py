"""The engines below the product: the SQL database and the embedded Valkey.

`database` is SQLite or PostgreSQL behind one interface and brings its tables up to date; `columns` and `upsert` mean
the same on both. `embedded` gives the operator's Redis, or starts the Valkey that comes along; `aof` repairs its file
after a power loss. They fail with `graph.errors.Unavailable`, `EmbeddedError` or `DiskError`. These modules are
imported one by one, so that a command that needs Redis alone does not load SQL.
"""
