"""Background jobs in GraphQL: starting them, reading them, following them."""

from graph.api.jobs.resolvers import FEATURE

__all__ = ["FEATURE"]
