"""Products and categories: tables and rules, reading by keyset through the cache, writes with an outbox, imports.

The service (`CatalogService`) is what the API, the jobs and the commands work with. A write and its event are committed
together; the outbox publishes the events, and `follow` reads them. This package knows no GraphQL, no other feature and
no settings.
"""

from graph.catalog.feature import FEATURE

__all__ = ["FEATURE"]
