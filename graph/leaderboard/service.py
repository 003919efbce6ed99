"""The leaderboards: boards, scores, ranks, seasons.

A score is safe once `submit` returns: it is committed in SQL, whatever becomes of Redis. Ranks come from the index in
Redis, each answer in one script, as of one instant; while there is none they are counted in SQL, a few at a time, and
a submission's rank is None. It fails with `graph.errors.Unavailable` when SQL is away, or too many wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, TypeVar

from prometheus_client import Counter

from graph.errors import Invalid, Unavailable
from graph.leaderboard import queries, writing
from graph.leaderboard.index import Indexes, NoIndex
from graph.leaderboard.records import (
    BoardRecord,
    NewBoard,
    Outcome,
    OwnScore,
    Placed,
    SeasonRecord,
    Span,
    Submission,
    TopPage,
    player_key,
)
from graph.leaderboard.rules import checked, checked_key, checked_score, is_slug, season_at
from graph.leaderboard.seasons.upkeep import EVERY, Upkeep
from graph.leaderboard.submission.outdating import Outdating
from graph.leaderboard.submission.submission import Submissions
from graph.patterns.ranking import Place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.engines.database import Database
    from graph.leaderboard.writing import Clock
    from graph.patterns.client import Client
    from graph.patterns.ranking import Entry, Neighbourhood, Ranking, RankingPage, Submitted

T = TypeVar("T")

FALLBACKS = 4  # places counted in SQL at a time; more wait in line
FALLBACK_LINE = 200

_from_sql = Counter("graph_leaderboard_sql_answers_total", "Ranks counted in SQL, because the index could not answer.")


class LeaderboardService:
    """Use it as a context manager: it looks after seasons and indexes in the background."""

    def __init__(
        self,
        database: Database,
        client: Client,
        *,
        prefix: str = "graph",
        upkeep: float = EVERY,
        clock: Clock | None = None,
        delegate: Callable[[], Awaitable[object]] | None = None,
        invalidate: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """Begin with no board known.

        `upkeep` is the pause between rounds of upkeep in seconds; 0: none by itself. `delegate` has
        `Upkeep.close_seasons` run elsewhere. `invalidate` outdates what a cache keeps under a tag (`board_tag`).
        `clock` replaces the database's, for tests.
        """
        self.moved: Callable[[BoardRecord, str, Submitted | None], None] | None = None
        self.indexes = Indexes(client, database, prefix=prefix, clock=clock)
        self._database = database
        self._clock = clock
        self.upkeep = Upkeep(database, self.indexes, self.board_by_id, clock=clock, delegate=delegate)
        self._every = upkeep
        self._boards: dict[str, BoardRecord] = {}  # boards never change, and there is no way to delete one
        self._finished: dict[tuple[int, int], SeasonRecord] = {}
        self._outdating = Outdating(client, invalidate) if invalidate is not None else None
        outdate = self._outdating.outdate if self._outdating is not None else None
        self.indexes.outdate = outdate
        self._submissions = Submissions(database, self.indexes, clock=clock, moved=self._tell, outdate=outdate)
        self._gate = asyncio.Semaphore(FALLBACKS)
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._every:
            self._task = asyncio.create_task(self.upkeep.run(self._every), name="leaderboard-upkeep")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self._submissions.close()
        await self.indexes.close()
        if self._outdating is not None:
            await self._outdating.close()

    # --- boards ---

    async def boards(self) -> list[BoardRecord]:
        """All boards, by name."""
        async with self._database.session() as session:
            return await queries.boards(session)

    async def board(self, slug: str) -> BoardRecord | None:
        """The board with this slug."""
        if slug not in self._boards:
            if not is_slug(slug):  # and PostgreSQL knows no NUL
                return None
            async with self._database.session() as session:
                found = await queries.board(session, slug)
            if found is None:
                return None
            self._boards[slug] = found
        return self._boards[slug]

    async def boards_by_id(self, numbers: Iterable[int]) -> dict[int, BoardRecord]:
        """Those of the boards with these numbers that exist, from memory where all of them are known."""
        wanted = set(numbers)
        known = {board.id: board for board in self._boards.values()}
        if not wanted <= known.keys():
            self._boards |= {board.slug: board for board in await self.boards()}
            known = {board.id: board for board in self._boards.values()}
        return {number: known[number] for number in wanted & known.keys()}

    async def board_by_id(self, number: int) -> BoardRecord | None:
        """The board with this number."""
        return (await self.boards_by_id([number])).get(number)

    async def create_board(self, new: NewBoard) -> BoardRecord:
        """Make a board; raises `Invalid`, `Taken`."""
        checked(new)
        async with self._database.transaction() as session:
            created = await writing.create_board(session, new, self.now())
        if self._outdating is not None:
            await self._outdating.outdate(new.slug)
        return created

    def now(self) -> datetime:
        """The time by this service's clock."""
        return datetime.fromtimestamp((self._clock or time.time)(), UTC)

    def season(self, board: BoardRecord) -> Span:
        """The season that runs."""
        return season_at(board, self.now())

    # --- reading ---

    async def size(self, board: BoardRecord) -> int:
        """How many players have a score this season."""
        return await self._current(board, lambda ranking: ranking.size(), queries.size)

    async def top(
        self, board: BoardRecord, *, first: int = 10, after: str | None = None, season: int | None = None
    ) -> TopPage:
        """A page, best first; raises `Invalid` for a cursor or a season that cannot be."""
        place = _place(after)
        finished = await self._past(board, season)
        if isinstance(finished, SeasonRecord):
            number = finished.id
            if finished.state.frozen:
                page = await self._count(lambda s: queries.archived_page(s, number, first, place))
            else:
                page = await self._count(lambda s: queries.page(s, number, board.ties, first, place))
        elif finished:
            page = queries.EMPTY
        else:
            page = await self._current(
                board,
                lambda ranking: ranking.page(first) if place is None else ranking.page_after(first, place),
                lambda s, number: queries.page(s, number, board.ties, first, place),
            )
        return _top(page)

    async def around(
        self, board: BoardRecord, player: int, *, neighbours: int = 2, season: int | None = None
    ) -> Neighbourhood | None:
        """A player's entry with its neighbours; None when the player has none. Raises `Invalid`."""
        finished = await self._past(board, season)
        if isinstance(finished, SeasonRecord):
            number = finished.id
            if finished.state.frozen:
                return await self._count(lambda s: queries.archived_around(s, number, player, neighbours))
            return await self._count(lambda s: queries.around(s, number, board.ties, player, neighbours))
        if finished:
            return None
        return await self._current(
            board,
            lambda ranking: ranking.around(player_key(player), neighbours),
            lambda s, number: queries.around(s, number, board.ties, player, neighbours),
        )

    async def entries(self, board: BoardRecord, players: Sequence[int]) -> list[Entry]:
        """The entries of those of `players` who have one, best first."""
        wanted = list(dict.fromkeys(players))
        found = await self._current(
            board,
            lambda ranking: ranking.entries([player_key(player) for player in wanted]),
            lambda s, number: queries.entries(s, number, board.ties, wanted),
        )
        present = [entry for entry in found if entry is not None]
        return sorted(present, key=lambda entry: (-entry.score, entry.achieved_at, entry.player))

    async def scores_of(self, player: int) -> list[OwnScore]:
        """Every score of a player, by board and season."""
        return await self._count(lambda session: queries.scores_of(session, player))

    async def _current(
        self,
        board: BoardRecord,
        question: Callable[[Ranking], Awaitable[T]],
        fallback: Callable[[AsyncSession, int], Awaitable[T]],
    ) -> T:
        """Ask the index of the season that runs, or SQL."""
        number = self.season(board).number
        with contextlib.suppress(NoIndex):
            return await self.indexes.ask(board, number, question)
        _from_sql.inc()

        async def counted(session: AsyncSession) -> T:
            found = await queries.season(session, board, number)
            return await fallback(session, -1 if found is None else found.id)

        return await self._count(counted)

    async def _count(self, question: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Ask SQL, a few at a time, as of one instant."""
        if self._waiting >= FALLBACK_LINE:
            raise Unavailable("The ranking is being prepared; try again soon.")
        self._waiting += 1
        try:
            async with self._gate, self._database.session() as session:
                await queries.snapshot(session)
                return await question(session)
        finally:
            self._waiting -= 1

    async def _past(self, board: BoardRecord, number: int | None) -> SeasonRecord | bool:
        """The season before the one that runs which is asked for; True if nobody played it; False: it runs."""
        running = self.season(board).number
        if number is None or number == running:
            return False
        if not 0 < number < running:
            raise Invalid("season", f"Seasons of this board are 1 to {running}.")
        key = (board.id, number)
        if key not in self._finished:
            async with self._database.session() as session:
                found = await queries.season(session, board, number)
            if found is None or not found.state.frozen:
                return found or True
            self._finished[key] = found
        return self._finished[key]

    # --- submitting ---

    async def submit(self, board: BoardRecord, player: int, score: float, *, key: str | None = None) -> Outcome:
        """Take a score in; the same `key` of the same player gives the first answer again for 30 days.

        Raises `Missing` for an unknown player, `Invalid` for a score or a sum that is no finite number.
        """
        return await self._submissions.submit(Submission(board, player, checked_score(score), checked_key(key)))

    def _tell(self, board: BoardRecord, player: str, submitted: Submitted | None) -> None:
        if self.moved is not None:
            self.moved(board, player, submitted)

    async def rebuild(self, board: BoardRecord, *, on_progress: Callable[[int], None] | None = None) -> bool:
        """Build the index of the season that runs anew; False while another process does."""
        return await self.indexes.rebuild(board, self.season(board).number, on_progress=on_progress)


def _place(after: str | None) -> Place | None:
    try:
        return None if after is None else Place.decode(after)
    except ValueError as error:
        raise Invalid("after", "This is no cursor of this field.") from error


def _top(page: RankingPage) -> TopPage:
    entries = [Placed(entry, page.place(entry).encode()) for entry in page.entries]
    end = page.end.encode() if page.end is not None else None
    return TopPage(entries, page.size, page.has_previous, page.has_next, end)
