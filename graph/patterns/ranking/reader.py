"""Reading a ranking: pages, entries, neighbours, each one script, so that all of an answer is of one instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.patterns.client import Script
from graph.patterns.ranking.values import (
    Entry,
    Neighbourhood,
    Operator,
    Place,
    RankingMissing,
    RankingPage,
    RankingStale,
    RankingState,
    Ties,
    ranked,
    seconds,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.patterns.client import Argument, Client, Replies

_page = Script(__name__, "page", idempotent=True)
_around = Script(__name__, "around", idempotent=True)
_entries = Script(__name__, "entries", idempotent=True)
_state = Script(__name__, "state", idempotent=True)

_PARTS = ("order", "players", "levels", "state")


class RankingReader:
    """The reading side of `graph.patterns.ranking.Ranking`, and its keys."""

    def __init__(
        self, client: Client, board: str, *, operator: Operator, ties: Ties, derived: bool, prefix: str
    ) -> None:
        self.operator = operator
        self.ties = ties
        self._client = client
        self._derived = derived
        base = f"{prefix}:ranking:{{{board}}}"
        self._live = [f"{base}:{part}" for part in _PARTS]
        self._next = [f"{base}:next:{part}" for part in _PARTS]
        self._both = self._live + self._next
        self._turn = f"{base}:turn"

    async def page(self, first: int, *, offset: int = 0) -> RankingPage:
        """The `first` entries from position `offset` on, best first."""
        return await self._read_page((self.ties.value, first, offset, "", "", "", 0), None)

    async def page_after(self, first: int, place: Place) -> RankingPage:
        """Up to `first` entries that come after `place` (from `RankingPage.place`), whether or not it is still taken.

        Pages join: an entry that did not change between two pages is in exactly one of them. One that did change is at
        most in one: under operators by which it may have moved down it is left out of the later page.
        """
        build, since = ("", 0) if self.operator is Operator.BEST else (place.build, place.seq)
        args = (self.ties.value, first, 0, repr(place.score), place.member, build, since)
        return await self._read_page(args, place)

    async def _read_page(self, args: tuple[Argument, ...], place: Place | None) -> RankingPage:
        reply = self._whole(await self._client.batch(_page(self._live, args)), 7, 8)
        size, position, first, raw, omitted, more, seq, _, build = reply
        entries = ranked(self.ties, raw, position, first)
        last = entries[-1] if entries else None
        if omitted:
            gone = set(omitted)
            entries = [entry for i, entry in enumerate(entries, 1) if i not in gone]
        name = build.decode()
        if place is not None and place.build == name:
            seq = place.seq
        return RankingPage(entries, size, position > 0, bool(more), name, seq, last)

    async def entry(self, player: str) -> Entry | None:
        """The player's entry."""
        return (await self.entries([player]))[0]

    async def entries(self, players: Sequence[str]) -> list[Entry | None]:
        """The entries of several players, in the order asked for; None for one who has none."""
        reply = self._whole(await self._client.batch(_entries(self._live, (self.ties.value, *players))), 0, 1)
        ranks: list[int] = reply[2::3]
        scores: list[bytes] = reply[3::3]
        times: list[int] = reply[4::3]
        return [
            Entry(rank, player, 0.0 - float(score), seconds(achieved)) if rank else None
            for player, rank, score, achieved in zip(players, ranks, scores, times, strict=True)
        ]

    async def around(self, player: str, neighbours: int = 2) -> Neighbourhood | None:
        """The player's entry with up to `neighbours` entries above and below; None for a player who has none."""
        reply = self._whole(await self._client.batch(_around(self._live, (self.ties.value, player, neighbours))), 1, 2)
        if not reply[0]:
            return None
        position, start, first, raw = reply[3:7]
        entries = ranked(self.ties, raw, start, first)
        own: int = position - start
        return Neighbourhood(entries[own], entries[:own], entries[own + 1 :])

    async def state(self) -> RankingState:
        """How large the ranking is and how far it has come, even if it is stale."""
        replies = await self._client.batch(_state(self._live, (self.ties.value,)))
        size, seq, through, server, build = self._reply(replies, 0)
        return RankingState(size, seq, through, build.decode(), stale=self._derived and server != replies.run_id)

    async def size(self) -> int:
        """How many players it holds."""
        state = await self.state()
        if state.stale:
            raise RankingStale(self._live[3])
        return state.size

    # --- replies ---

    @property
    def _dense(self) -> int:
        return 1 if self.ties is Ties.DENSE else 0

    def _reply(self, replies: Replies, at: int) -> Any:
        reply = replies[at]
        if isinstance(reply, Exception):
            raise reply
        if not reply:
            raise RankingMissing(self._live[3])
        return reply

    def _whole(self, replies: Replies, server: int, build: int) -> Any:
        reply = self._reply(replies, 0)
        assert len(reply) > build
        if self._derived and reply[server] != replies.run_id:
            raise RankingStale(self._live[3])
        return reply
