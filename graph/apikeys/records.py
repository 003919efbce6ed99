"""The values of API keys: a listed key, its scopes, and how scopes are stored."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graph.apikeys.keys import principal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

_ROLE = "KEY"


class ApiKeyScope(enum.Enum):
    """What a key is allowed to do."""

    SCORES = "SCORES"
    BOARDS = "BOARDS"
    CATALOG = "CATALOG"


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """A key, without its secret. It may run `operations` in a window of the rate limit."""

    id: int
    name: str
    scopes: tuple[ApiKeyScope, ...]
    operations: int
    created_by: int | None
    """The user who made it; None is an operator. It does not end with that user."""
    created_at: datetime
    last_used_at: datetime | None

    @property
    def principal(self) -> str:
        """The name of the key in places where users have their id."""
        return principal(self.id, self.operations)

    @property
    def role(self) -> str:
        """The value that the key's session has in place of a role."""
        return " ".join((_ROLE, *(scope.value for scope in self.scopes)))


def scopes_of_role(role: str | None) -> frozenset[str] | None:
    """Return the scopes in the role of a key's session; None for the role of a user."""
    words = (role or "").split()
    return frozenset(words[1:]) if words[:1] == [_ROLE] else None


def scopes_in(text: str) -> tuple[ApiKeyScope, ...]:
    """Read the scopes from their form in the table."""
    return tuple(ApiKeyScope(one) for one in text.split())


def scopes_text(scopes: Iterable[ApiKeyScope]) -> str:
    """Return scopes in their form for the table: each once, in the order of the enum."""
    wanted = set(scopes)
    return " ".join(scope.value for scope in ApiKeyScope if scope in wanted)
