"""Reading a ranking: pages, entries, neighbours, each one script, so that all of an answer is of one instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.patterns.client import Script
from graph.patterns.ranking.values import (
    NO_BUILD,
    Entry,
    Neighbourhood,
    Operator,
    Order,
    Place,
    RankingMissing,
    RankingPage,
    RankingStale,
    RankingState,
    Start,
    Ties,
    percentile,
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
        self,
        client: Client,
        board: str,
        *,
        operator: Operator,
        order: Order,
        ties: Ties,
        derived: bool,
        prefix: str,
    ) -> None:
        self.operator = operator
        self.order = order
        self.ties = ties
        self._client = client
        self._derived = derived
        base = f"{prefix}:ranking:{{{board}}}"
        self._live = [f"{base}:{part}" for part in _PARTS]
        self._next = [f"{base}:next:{part}" for part in _PARTS]
        self._both = self._live + self._next
        self._turn = f"{base}:turn"

    async def page(self, first: int, *, offset: int = 0, metadata: bool = False) -> RankingPage:
        """The `first` entries from position `offset` on, best first; `metadata` has them come with theirs."""
        return await self._read_page((self.ties.value, first, offset, "", "", "", 0, int(metadata)), None)

    async def page_after(self, first: int, place: Place, *, metadata: bool = False) -> RankingPage:
        """Up to `first` entries that come after `place` (from `RankingPage.place`), whether or not it is still taken.

        Pages join: an entry that did not change between two pages is in exactly one of them. One that did change is at
        most in one: under operators by which it may have moved down it is left out of the later page.
        """
        build, since = ("", 0) if self.operator is Operator.BEST else (place.build, place.seq)
        merit = repr(self.order.merit(place.score))
        args = (self.ties.value, first, 0, merit, place.member, build, since, int(metadata))
        return await self._read_page(args, place)

    async def _read_page(self, args: tuple[Argument, ...], place: Place | None) -> RankingPage:
        reply = self._whole(await self._client.batch(_page(self._live, args)), 8, 9)
        size, position, first, ahead, raw, omitted, more, seq, _, build, metadata = reply
        entries = ranked(self.order, self.ties, raw, Start(position, first, ahead, size), metadata)
        last = entries[-1] if entries else None
        if omitted:
            gone = set(omitted)
            entries = [entry for i, entry in enumerate(entries, 1) if i not in gone]
        name = build.decode()
        if self.operator is Operator.BEST:  # nobody moves down: one text for a place, whenever it is read
            name, seq = NO_BUILD, 0
        elif place is not None and place.build == name:
            seq = place.seq
        return RankingPage(entries, size, position > 0, bool(more), name, seq, last)

    async def entry(self, player: str, *, metadata: bool = False) -> Entry | None:
        """The player's entry."""
        return (await self.entries([player], metadata=metadata))[0]

    async def entries(self, players: Sequence[str], *, metadata: bool = False) -> list[Entry | None]:
        """The entries of several players, in the order asked for; None for one who has none."""
        args = (self.ties.value, int(metadata), *players)
        reply = self._whole(await self._client.batch(_entries(self._live, args)), 0, 1)
        size: int = reply[2]
        found: list[Entry | None] = []
        for player, (rank, ahead, inverse, achieved, text) in zip(players, reply[3:], strict=True):
            score = self.order.merit(0.0 - float(inverse)) if rank else 0.0
            kept = text.decode() or None
            share = percentile(ahead, size)
            found.append(Entry(rank, player, score, seconds(achieved), kept, share) if rank else None)
        return found

    async def around(self, player: str, neighbours: int = 2, *, metadata: bool = False) -> Neighbourhood | None:
        """The player's entry with up to `neighbours` entries above and below; None for a player who has none."""
        args = (self.ties.value, player, neighbours, int(metadata))
        reply = self._whole(await self._client.batch(_around(self._live, args)), 1, 2)
        if not reply[0]:
            return None
        position, start, first, ahead, size, raw, texts = reply[3:10]
        entries = ranked(self.order, self.ties, raw, Start(start, first, ahead, size), texts)
        own: int = position - start
        return Neighbourhood(entries[own], entries[:own], entries[own + 1 :])

    async def state(self) -> RankingState:
        """How large the ranking is and how far it has come, even if it is stale."""
        replies = await self._client.batch(_state(self._live, (self.ties.value,)))
        size, seq, through, server, build = self._reply(replies, 0)
        return RankingState(size, seq, through, build.decode(), stale=self._derived and server != replies.process)

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
        if self._derived and reply[server] != replies.process:
            raise RankingStale(self._live[3])
        return reply
