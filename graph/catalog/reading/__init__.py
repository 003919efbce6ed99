"""Finding products: filters, search, and pages by keyset.

`paging` describes the requested page, `filtering` turns a filter into conditions, `queries` and `pages` hold the SQL;
`events` has that of the outbox. A page neither repeats nor skips a product while others are added and removed, and
costs the same at any depth.
"""
