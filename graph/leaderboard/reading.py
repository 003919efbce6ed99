"""Reads boards: the running season, pages, places, sizes; from the index or, while there is none, from SQL.

Each answer shows one instant. Only a few ranks are counted in SQL at a time; when too many callers wait for that,
reading fails with `graph.errors.Unavailable`, as it does while SQL is away.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from prometheus_client import Counter

from graph.errors import Invalid, Unavailable
from graph.leaderboard import queries
from graph.leaderboard.directory import Directory
from graph.leaderboard.index import KNOWN, Indexes, NoIndex
from graph.leaderboard.keys import ranks_tag, shown_tags, size_tag
from graph.leaderboard.records import Placed, SeasonRecord, TopPage, player_key
from graph.leaderboard.rules import season_at
from graph.leaderboard.seasons import finished
from graph.patterns.cache import narrow
from graph.patterns.fair_queue import FairQueue
from graph.patterns.ranking import Operator, Place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.engines.database import Database
    from graph.leaderboard.records import BoardRecord, OwnScore, Span
    from graph.leaderboard.writing import Clock
    from graph.patterns.client import Client
    from graph.patterns.ranking import Entry, Neighbourhood, Ranking, RankingPage

T = TypeVar("T")

FALLBACKS = 4  # ranks counted in SQL at a time; others wait
FALLBACK_LINE = 200

_from_sql = Counter("graph_leaderboard_sql_answers_total", "Ranks counted in SQL, because the index could not answer.")


class LeaderboardReader:
    """The reading side of `graph.leaderboard.service.LeaderboardService`."""

    def __init__(self, database: Database, client: Client, *, prefix: str, clock: Clock | None) -> None:
        """Read `database`, and the rankings in Redis through `client`."""
        self._database = database
        self._clock = clock
        self.directory = Directory(database)
        self.indexes = Indexes(client, database, prefix=prefix, clock=clock)
        self._finished: dict[tuple[int, int], SeasonRecord] = {}
        self._gate = FairQueue(FALLBACKS, FALLBACKS // 2)
        self._waiting = 0

    def now(self) -> datetime:
        """Return the time by this service's clock."""
        return datetime.fromtimestamp((self._clock or time.time)(), UTC)

    def season(self, board: BoardRecord) -> Span:
        """Return the running season of a board."""
        return season_at(board, self.now())

    async def size(self, board: BoardRecord) -> int:
        """Return how many players have a score this season."""
        return await self._current(
            board, lambda ranking: ranking.size(), queries.size, lambda _: [size_tag(board.slug)]
        )

    async def top(
        self,
        board: BoardRecord,
        *,
        first: int = 10,
        after: str | None = None,
        season: int | None = None,
        metadata: bool = False,
        sized: bool = True,
        continued: bool = True,
    ) -> TopPage:
        """Return a page, best first; raises `graph.errors.Invalid` for a wrong cursor or season.

        With `metadata` the entries include it; without, they may or may not. Fewer scores outdate a kept answer that
        does not show how many players there are, nor percentiles (`sized`), nor cursors (`continued`).
        """
        place = _place(after)
        past = await self._past(board, season)
        if isinstance(past, SeasonRecord):
            page = await self._over(
                board,
                past,
                lambda s, number: finished.page(s, number, board, first, place),
                lambda s, number: queries.page(s, number, board, first, place),
            )
        elif past:
            page = queries.EMPTY
        else:
            page = await self._current(
                board,
                lambda ranking: (
                    ranking.page(first, metadata=metadata)
                    if place is None
                    else ranking.page_after(first, place, metadata=metadata)
                ),
                lambda s, number: queries.page(s, number, board, first, place),
                # The cursors of a page tell when it was read: who moved after that is left out of the next one.
                None
                if place is not None or (continued and board.operator is not Operator.BEST)
                else lambda page: _shown(board, page.entries, all_there=not sized and len(page.entries) == first),
            )
        return _top(page)

    async def around(
        self,
        board: BoardRecord,
        player: int,
        *,
        neighbours: int = 2,
        season: int | None = None,
        metadata: bool = False,
        sized: bool = True,
    ) -> Neighbourhood | None:
        """Return a player's entry with its neighbours; None if there is none. Raises `graph.errors.Invalid`.

        Fewer scores outdate a kept answer that shows no percentile (`sized`).
        """
        past = await self._past(board, season)
        if isinstance(past, SeasonRecord):
            return await self._over(
                board,
                past,
                lambda s, number: finished.around(s, number, board, player, neighbours),
                lambda s, number: queries.around(s, number, board, player, neighbours),
            )
        if past:
            return None
        return await self._current(
            board,
            lambda ranking: ranking.around(player_key(player), neighbours, metadata=metadata),
            lambda s, number: queries.around(s, number, board, player, neighbours),
            lambda found: _shown(
                board,
                [*found.above, found.entry, *found.below] if found else [],
                all_there=not sized and found is not None and len(found.below) == neighbours,
            ),
        )

    async def entries(self, board: BoardRecord, players: Sequence[int], *, metadata: bool = False) -> list[Entry]:
        """Return the entries of those of `players` who have one, best first."""
        wanted = list(dict.fromkeys(players))
        found = await self._current(
            board,
            lambda ranking: ranking.entries([player_key(player) for player in wanted], metadata=metadata),
            lambda s, number: queries.entries(s, number, board, wanted),
        )
        present = [entry for entry in found if entry is not None]
        return sorted(present, key=lambda entry: (-board.order.merit(entry.score), entry.achieved_at, entry.player))

    async def places(
        self, boards: Sequence[BoardRecord], player: int, *, metadata: bool = False
    ) -> list[tuple[BoardRecord, Entry]]:
        """Return a player's entries on those of `boards` where there is one, in one batch."""
        found = await asyncio.gather(*(self.entries(board, [player], metadata=metadata) for board in boards))
        return [(board, entry) for board, entries in zip(boards, found, strict=True) for entry in entries]

    async def stored(self, board: BoardRecord) -> int:
        """Count in SQL how many players have a score this season."""
        number = self.season(board).number
        async with self._database.session() as session:
            season = await queries.season(session, board, number)
            return 0 if season is None else await queries.size(session, season.id)

    async def scores_of(self, player: int) -> list[OwnScore]:
        """Return every score of a player, by board and season."""
        return await self._count(lambda session: queries.scores_of(session, player))

    async def _current(
        self,
        board: BoardRecord,
        question: Callable[[Ranking], Awaitable[T]],
        fallback: Callable[[AsyncSession, int], Awaitable[T]],
        shown: Callable[[T], Sequence[str]] | None = None,
    ) -> T:
        """Ask the index of the running season, or SQL if there is no index.

        `shown` gives the tags under which all changes that matter to what was found are told.
        """
        number = self.season(board).number
        with contextlib.suppress(NoIndex):
            found = await self.indexes.ask(board, number, question)
            narrow(ranks_tag(board.slug), None if shown is None else shown(found))
            return found
        narrow(ranks_tag(board.slug), None)
        _from_sql.inc()

        async def counted(session: AsyncSession) -> T:
            current = await self.directory.refresh(session, board)
            found = None if current is None else await queries.season(session, board, self.season(current).number)
            return await fallback(session, -1 if found is None else found.id)

        return await self._count(counted)

    async def _over(
        self,
        board: BoardRecord,
        past: SeasonRecord,
        archived: Callable[[AsyncSession, int], Awaitable[T]],
        scored: Callable[[AsyncSession, int], Awaitable[T]],
    ) -> T:
        """Ask the archive of a season that is over or, until it has one, its scores: they are deleted after that."""

        async def question(session: AsyncSession) -> T:
            season = past
            if not past.state.frozen:  # it may be by now
                season = await queries.season(session, board, past.number) or past
            return await (archived if season.state.frozen else scored)(session, season.id)

        return await self._count(question)

    async def _count(self, question: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Ask SQL in one snapshot, for a few callers at a time."""
        if self._waiting >= FALLBACK_LINE:
            raise Unavailable("The ranking is being prepared; try again soon.")
        self._waiting += 1
        try:
            async with self._gate.place(), self._database.session() as session:
                await queries.snapshot(session)
                return await question(session)
        finally:
            self._waiting -= 1

    async def _past(self, board: BoardRecord, number: int | None) -> SeasonRecord | bool:
        """Return the requested finished season; True if nobody played in it, False if it is the running one."""
        running = self.season(board).number
        if number is None or number == running:
            return False
        if not 0 < number < running:
            raise Invalid("season", f"Seasons of this board are 1 to {running}.")
        key = (board.id, number)
        found = self._finished.get(key)
        if found is None:
            async with self._database.session() as session:
                found = await queries.season(session, board, number)
            if found is None or not found.state.frozen:
                narrow(ranks_tag(board.slug), None)  # another clock may be behind this one, and scores still come
                return found or True
            if len(self._finished) >= KNOWN:
                del self._finished[next(iter(self._finished))]
            self._finished[key] = found
        return found


def _place(after: str | None) -> Place | None:
    try:
        return None if after is None else Place.decode(after)
    except ValueError as error:
        raise Invalid("after", "This is no cursor of this field.") from error


def _shown(board: BoardRecord, entries: Sequence[Entry], *, all_there: bool) -> list[str]:
    """The tags of what consecutive entries show; unless they are `all_there`, also of how many players there are."""
    tags = [] if all_there else [size_tag(board.slug)]
    return tags + (shown_tags(board.slug, entries[0].rank, entries[-1].rank) if entries else [])


def _top(page: RankingPage) -> TopPage:
    entries = [Placed(entry, page.place(entry).encode()) for entry in page.entries]
    end = page.end.encode() if page.end is not None else None
    return TopPage(entries, page.size, page.has_previous, page.has_next, end)
