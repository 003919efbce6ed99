"""The state of the server in GraphQL, for an ADMIN: what is asked of it now, and how Redis and SQL are.

PART is this feature's part of the schema.
"""

from graph.api.server.resolvers import PART

__all__ = ["PART"]
