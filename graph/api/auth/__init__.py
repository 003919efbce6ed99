"""Authentication and authorisation: who is signed in, and what a role may do.

`SessionAuthenticator` finds the session behind a token or a cookie for the endpoint. A field declares who may use it
with `requires`; `check` tests the same inside a resolver. Both raise `graph.errors.Unauthenticated` or `Forbidden`.
`admin_of` is the ADMIN who asks.
"""

from graph.api.auth.access import (
    ADMIN,
    ANYBODY,
    BOARDS,
    CATALOG,
    PLAYER,
    SERVICE,
    SIGNED_IN,
    VALID,
    admin_of,
    check,
    requires,
)
from graph.api.auth.authenticator import NOT_BELIEVED, SessionAuthenticator

__all__ = [
    "ADMIN",
    "ANYBODY",
    "BOARDS",
    "CATALOG",
    "NOT_BELIEVED",
    "PLAYER",
    "SERVICE",
    "SIGNED_IN",
    "VALID",
    "SessionAuthenticator",
    "admin_of",
    "check",
    "requires",
]
