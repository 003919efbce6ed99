"""Products and categories in GraphQL."""

from graph.api.catalog.resolvers import FEATURE

__all__ = ["FEATURE"]
