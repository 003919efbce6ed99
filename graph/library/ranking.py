"""A ranking as an object, made when it is first used. What it promises is told in `graph.patterns.ranking`.

Raises ValueError for scores that are not finite, and `RedisUnavailable` while Redis is away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from graph.patterns.ranking import Ranking, RankingMissing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from graph.patterns.client import Client
    from graph.patterns.ranking import Entry, Neighbourhood, Place, RankingPage, Submitted

T = TypeVar("T")


class RedisRanking:
    """One board, whose scores are kept in Redis without a time to live. Use `Redis.ranking`."""

    def __init__(self, client: Client, board: str, **options: Any) -> None:
        """The ranking called `board`; the options are those of `Ranking`."""
        self._ranking = Ranking(client, board, **options)

    async def _made(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            return await ask()
        except RankingMissing:
            await self._ranking.create()
            return await ask()

    async def submit(self, player: str, score: float, *, metadata: str | None = None) -> Submitted:
        """Weigh a score against the one held; the answer has the player's rank after it, and before."""
        return await self._made(lambda: self._ranking.submit(player, score, metadata=metadata))

    async def page(self, first: int, *, offset: int = 0, metadata: bool = False) -> RankingPage:
        """The `first` entries from position `offset` on, best first."""
        return await self._made(lambda: self._ranking.page(first, offset=offset, metadata=metadata))

    async def page_after(self, first: int, place: Place, *, metadata: bool = False) -> RankingPage:
        """Up to `first` entries after `RankingPage.place` of another page, with which this one joins."""
        return await self._made(lambda: self._ranking.page_after(first, place, metadata=metadata))

    async def entry(self, player: str) -> Entry | None:
        """The player's rank and score; None for one who has none."""
        return await self._made(lambda: self._ranking.entry(player))

    async def entries(self, players: Sequence[str]) -> list[Entry | None]:
        """The entries of several players at one instant, in the order asked for."""
        return await self._made(lambda: self._ranking.entries(players))

    async def around(self, player: str, neighbours: int = 2) -> Neighbourhood | None:
        """The player's entry with up to `neighbours` above and below, at one instant; None for one who has none."""
        return await self._made(lambda: self._ranking.around(player, neighbours))

    async def size(self) -> int:
        """How many players it holds."""
        return await self._made(self._ranking.size)

    async def drop(self) -> None:
        """Remove it with all its scores."""
        await self._ranking.drop()
