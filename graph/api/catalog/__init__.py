"""Products and categories in GraphQL."""

from graph.api.catalog.resolvers import PART

__all__ = ["PART"]
