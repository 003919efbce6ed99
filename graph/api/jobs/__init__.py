"""Background jobs in GraphQL.

An ADMIN starts an import, reads a job, and follows its progress.
"""

from graph.api.jobs.resolvers import PART

__all__ = ["PART"]
