"""Look-ups of the leaderboards that an operation batches (`graph.api.context.Context.loader`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.accounts import UserRecord
    from graph.services import Services


async def players(services: Services, ids: Sequence[int]) -> list[UserRecord | None]:
    """Return users by id, for their public data."""
    found = await services.accounts.users(ids)
    return [found.get(one) for one in ids]
