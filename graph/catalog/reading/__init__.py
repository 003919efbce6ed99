"""Finding products: filters, search, and pages by keyset.

`paging` says which page is wanted, `filtering` makes conditions of a filter, `queries` and `pages` are the SQL. A page
neither repeats nor skips a product while others come and go, and costs the same wherever it is.
"""
