"""API keys in GraphQL: an ADMIN creates, lists and revokes them.

PART is this feature's part of the schema.
"""

from graph.api.apikeys.resolvers import PART

__all__ = ["PART"]
