"""Background jobs in GraphQL: starting them, reading them, following them."""

from graph.api.jobs.resolvers import PART

__all__ = ["PART"]
