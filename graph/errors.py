"""The failures a client may be told about.

A `DomainError` carries a stable `code` and a message written for people; the endpoint passes both on. Every other
exception is a bug: it is masked, and logged under an id. Failures that a client is expected to meet in normal use (a
wrong password, a taken sku) reach it as members of a result union; so do `Invalid`, `Taken` and `Missing`, which the
features raise.
"""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """A failure with a stable SCREAMING_SNAKE `code`, a `message` safe to show, and further JSON `details`."""

    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"

    def __init__(self, message: str, **details: Any) -> None:
        """Say what happened; `details` join `code` in the `extensions` of the GraphQL error."""
        super().__init__(message)
        self.message = message
        self.details = details

    @property
    def extensions(self) -> dict[str, Any]:
        """What the GraphQL error carries beside its message."""
        return {"code": self.code, **self.details}


class Unavailable(DomainError):
    """Something this operation cannot do without is away; trying again later may help."""

    code = "UNAVAILABLE"


class Unauthenticated(DomainError):
    """The operation needs a signed-in caller."""

    code = "UNAUTHENTICATED"


class Forbidden(DomainError):
    """The caller is known but has not the role that the operation needs."""

    code = "FORBIDDEN"


class BadInput(DomainError):
    """An argument that the schema lets through makes no sense."""

    code = "BAD_USER_INPUT"


class BadDatabaseUrl(ValueError):
    """A URL that names no SQL database that could be used; the text says what is wrong with it, without a password."""


class Invalid(Exception):
    """A value that breaks a rule of its field: `field` is its path in the input, as the API spells it."""

    def __init__(self, field: str, message: str) -> None:
        """Name the field and say, to people, what it must be."""
        super().__init__(message)
        self.field = field
        self.message = message


class Taken(Exception):
    """Another one already has the name (a sku, a slug, an email) that a write gives to a new one."""


class Missing(Exception):
    """What an operation names does not exist; `what` is its kind: a product, a board, a player."""

    def __init__(self, what: str) -> None:
        """Say what kind of thing is missing."""
        super().__init__(what)
        self.what = what
