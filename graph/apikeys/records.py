"""The values of API keys: a key as it is listed, what one may do, and how that is written down."""

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
    """What a key may do."""

    SCORES = "SCORES"
    BOARDS = "BOARDS"
    CATALOG = "CATALOG"


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """A key, without its secret. `operations` may pass in the window of the rate limit."""

    id: int
    name: str
    scopes: tuple[ApiKeyScope, ...]
    operations: int
    created_at: datetime
    last_used_at: datetime | None

    @property
    def principal(self) -> str:
        """What the key is called where users have their number."""
        return principal(self.id, self.operations)

    @property
    def role(self) -> str:
        """What its session carries for a role."""
        return " ".join((_ROLE, *(scope.value for scope in self.scopes)))


def scopes_of_role(role: str | None) -> frozenset[str] | None:
    """The scopes in the role of a key's session; None for the role of a user."""
    words = (role or "").split()
    return frozenset(words[1:]) if words[:1] == [_ROLE] else None


def scopes_in(text: str) -> tuple[ApiKeyScope, ...]:
    """The scopes as the table has them."""
    return tuple(ApiKeyScope(one) for one in text.split())


def scopes_text(scopes: Iterable[ApiKeyScope]) -> str:
    """Scopes for the table: each once, in the order of the enum."""
    wanted = set(scopes)
    return " ".join(scope.value for scope in ApiKeyScope if scope in wanted)
