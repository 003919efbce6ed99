"""API keys: how programs (game servers, importers) prove who they are, without anybody's password.

An ADMIN makes a key with scopes and a rate limit of its own; it is told once, and only its digest is kept. The service
(`ApiKeys`) makes, lists and revokes them. This package knows no GraphQL, no other feature and no settings.
"""

from graph.apikeys.feature import FEATURE
from graph.apikeys.keys import operations_of
from graph.apikeys.records import ApiKeyRecord, ApiKeyScope, scopes_of_role
from graph.apikeys.service import ApiKeys

__all__ = ["FEATURE", "ApiKeyRecord", "ApiKeyScope", "ApiKeys", "operations_of", "scopes_of_role"]
