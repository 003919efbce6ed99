"""API keys, with which programs (game servers, importers) authenticate without a user's password.

An ADMIN creates a key with scopes and its own rate limit; it is shown once, and only its digest is stored. The service
(`ApiKeys`) creates, lists and revokes keys. This package imports neither GraphQL nor another feature nor the settings.
"""

from graph.apikeys.feature import FEATURE
from graph.apikeys.keys import operations_of
from graph.apikeys.records import ApiKeyRecord, ApiKeyScope, scopes_of_role
from graph.apikeys.service import ApiKeys

__all__ = ["FEATURE", "ApiKeyRecord", "ApiKeyScope", "ApiKeys", "operations_of", "scopes_of_role"]
