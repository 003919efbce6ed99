"""API keys in GraphQL: made, listed and revoked by an ADMIN.

PART is what this adds to the schema.
"""

from graph.api.apikeys.resolvers import PART

__all__ = ["PART"]
