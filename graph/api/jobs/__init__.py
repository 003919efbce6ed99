"""Background jobs in GraphQL.

An ADMIN starts imports, reads jobs, and follows their progress.
"""

from graph.api.jobs.resolvers import PART

__all__ = ["PART"]
