"""Players as others see them, and their names, loaded once for all entries of a field if requested."""

from __future__ import annotations

from typing import TYPE_CHECKING

import strawberry

from graph.api.context import Context, Info
from graph.api.node import Node, global_id, integer_key, parse_id
from graph.api.pagination import mentions
from graph.apikeys import scopes_of_role
from graph.errors import BadInput, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@strawberry.type(description="The public data of a user.")
class Player(Node):
    """A user's public data. The name is set at once, so that a list of players resolves without awaiting."""

    display_name: str = strawberry.field(description="The name that the user chose.")

    @classmethod
    def of(cls, number: int, names: Mapping[int, str]) -> Player:
        """Build the player with a user id; `names` has the names that the operation needs."""
        return cls(id=global_id("Player", number), display_name=names.get(number, ""))


async def names_of(info: Info, players: Iterable[int]) -> Mapping[int, str]:
    """Return the names of those of `players` who exist, by id; empty if the operation selects no name."""
    if not mentions(info, "displayName"):
        return {}
    return await info.context.services.accounts.display_names(players)


def player_key_of(value: str) -> int | None:
    """Return the user id in the ID of a player or user; None for any other ID."""
    parsed = parse_id(value)
    return integer_key(parsed[1]) if parsed is not None and parsed[0] in ("Player", "User") else None


def viewer_key(context: Context) -> int:
    """Return the signed-in user's id; raises for an API key, which has none, and for anonymous callers."""
    caller = context.caller
    if scopes_of_role(caller.role) is not None:
        raise BadInput("An API key is no player: name one.", argument="player")
    if caller.user is None:
        raise Unauthenticated(caller.problem or "Sign in first, or name a player.")
    return int(caller.user)
