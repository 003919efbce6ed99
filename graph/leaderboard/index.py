"""The rankings in Redis, kept consistent with SQL.

SQL is the source of truth; each running season has an index (`graph.patterns.ranking`). Four things keep it right:

- every submission puts its row into the index after the commit;
- a missing index is rebuilt, by one process of the fleet; after a restart of the Redis server, which may have lost the
newest writes, the index is caught up. Until then it gives no answer (`NoIndex`);
- a process that could not put a row (Redis was away) puts all rows changed since before it asks the index again;
- a sweep puts the rows of the last minutes again, for processes that died between the commit and the put.

Redis errors become `NoIndex`, and the caller answers from SQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import time
from typing import TYPE_CHECKING, TypeVar

from prometheus_client import Counter
from redis.exceptions import RedisError

from graph.errors import Missing
from graph.leaderboard import queries
from graph.leaderboard.keys import ranking_name
from graph.leaderboard.records import SeasonState
from graph.leaderboard.writing import open_season
from graph.patterns.ranking import Ranking, RankingMissing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence

    from graph.engines.database import Database
    from graph.leaderboard.records import BoardRecord
    from graph.leaderboard.writing import Clock
    from graph.patterns.client import Client
    from graph.patterns.ranking import RankingState, ScoreRow, Submitted

T = TypeVar("T")

MARGIN = 60.0  # seconds, for differences between clocks and for late commits
SWEEP = 30.0
KNOWN = 4096
"""Seasons that each process knows about; seasons begin and end for ever."""
PATIENCE = 0.5  # seconds a reader waits for an index that is being repaired before it answers from SQL
TURN = 1.5  # seconds before another process catches up too: the first may have died, and doing it twice is harmless
RETRY = 0.1
RETRY_CAP = 2.0

logger = logging.getLogger(__name__)
_rebuilt = Counter("graph_leaderboard_rebuilds_total", "Indexes rebuilt from SQL.")
_caught_up = Counter("graph_leaderboard_late_rows_total", "Rows that were put into an index late.")
_unanswered = Counter("graph_leaderboard_index_unavailable_total", "Queries that no index could answer.")


def _nobodys(work: Coroutine[object, object, None], *, name: str) -> asyncio.Task[None]:
    """A task in a context of its own: what everybody waits for is not done in the turn of whoever came first."""
    return asyncio.create_task(work, name=name, context=contextvars.Context())


class NoIndex(Exception):
    """There is no usable index at present."""


class Indexes:
    """The rankings of all boards, by board and season number."""

    def __init__(
        self, client: Client, database: Database, *, prefix: str = "graph", clock: Clock | None = None
    ) -> None:
        """`clock` replaces the database's, for tests."""
        self._client = client
        self._database = database
        self._prefix = prefix
        self._clock = clock
        self.outdate: Callable[[str], Awaitable[object]] | None = None  # called with a board whose index got late rows
        self._rankings: dict[tuple[int, int], Ranking] = {}
        self._behind: dict[tuple[int, int], tuple[int, int]] = {}  # the oldest row not put, and how many there are
        self._mending: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._told: set[tuple[int, int]] = set()  # what cannot be mended at the moment, and was logged
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, board: BoardRecord, number: int) -> Ranking:
        """Return the ranking of a season."""
        key = (board.id, number)
        if key not in self._rankings:
            if len(self._rankings) >= KNOWN:
                del self._rankings[next(iter(self._rankings))]
            self._rankings[key] = Ranking(
                self._client,
                ranking_name(board.id, number),
                operator=board.operator,
                order=board.order,
                ties=board.ties,
                derived=True,
                prefix=self._prefix,
            )
        return self._rankings[key]

    async def close(self) -> None:
        """Stop the background tasks."""
        tasks = [*self._tasks, *self._mending.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- queries and updates ---

    async def ask(self, board: BoardRecord, number: int, question: Callable[[Ranking], Awaitable[T]]) -> T:
        """Run `question` on the index, repairing the index first if that is quick; raises NoIndex."""
        key = (board.id, number)
        for last in (False, True):
            if key not in self._behind:
                try:
                    return await question(self.of(board, number))
                except RankingMissing:
                    pass
                except RedisError as error:
                    _unanswered.inc()
                    raise NoIndex from error
            if last or not await self._mended(board, number):
                break
        _unanswered.inc()
        raise NoIndex

    async def put(self, board: BoardRecord, number: int, rows: Sequence[ScoreRow]) -> list[Submitted | None]:
        """Put committed rows into the index in one batch; the result is None where no rank is known.

        All rows get there eventually.
        """
        found: list[Submitted | None] = [None] * len(rows)
        left = list(range(len(rows)))

        async def put_rest(ranking: Ranking) -> None:
            replies = await ranking.put_all([rows[at] for at in left])
            refused: list[Exception] = []
            missing: list[int] = []
            for at, reply in zip(left, replies, strict=True):
                if isinstance(reply, Exception):
                    refused.append(reply)
                    missing.append(at)
                else:
                    found[at] = reply
            left[:] = missing
            if refused:
                raise refused[0]

        try:
            await self.ask(board, number, put_rest)
        except NoIndex as error:
            if isinstance(error.__cause__, RedisError) or (board.id, number) in self._behind:
                self._note_behind(board, number, min(rows[at].version for at in left))
        return found

    async def remove(self, board: BoardRecord, number: int, row: ScoreRow) -> None:
        """Put a committed row that records a removed score; it gets there eventually."""

        async def rows() -> AsyncIterator[Sequence[ScoreRow]]:
            yield [row]

        try:
            await self.ask(board, number, lambda ranking: ranking.catch_up(rows()))
        except NoIndex as error:
            if isinstance(error.__cause__, RedisError) or (board.id, number) in self._behind:
                self._note_behind(board, number, row.version)

    def _note_behind(self, board: BoardRecord, number: int, version: int) -> None:
        key = (board.id, number)
        if key not in self._behind:
            task = _nobodys(self._recover(board, number), name=f"recover-{board.slug}-{number}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        oldest, count = self._behind.get(key, (version, 0))
        self._behind[key] = (min(version, oldest), count + 1)

    async def _recover(self, board: BoardRecord, number: int) -> None:
        delay = RETRY
        while (board.id, number) in self._behind:
            await asyncio.sleep(delay)
            delay = min(2 * delay, RETRY_CAP)
            with contextlib.suppress(Exception):  # already reported; Redis or SQL is still away
                await self.mend(board, number)

    # --- repair ---

    async def _mended(self, board: BoardRecord, number: int) -> bool:
        """Whether the index was repaired within the patience; the repair continues after that."""
        task = self._start_mending(board, number)
        done, _ = await asyncio.wait([task], timeout=PATIENCE)
        return bool(done) and not task.cancelled() and task.exception() is None

    async def mend(self, board: BoardRecord, number: int) -> None:
        """Bring the index up to date, by catching up or rebuilding; raises what Redis or SQL raise."""
        await asyncio.shield(self._start_mending(board, number))

    def _start_mending(self, board: BoardRecord, number: int) -> asyncio.Task[None]:
        key = (board.id, number)
        if key not in self._mending:
            self._mending[key] = _nobodys(self._mend(board, number), name=f"mend-{board.slug}-{number}")
            self._mending[key].add_done_callback(lambda task: self._done(key, task))
        return self._mending[key]

    def _done(self, key: tuple[int, int], task: asyncio.Task[None]) -> None:
        self._mending.pop(key, None)
        error = None if task.cancelled() else task.exception()
        if error is None:
            self._told.discard(key)
        elif not isinstance(error, NoIndex) and key not in self._told:
            self._told.add(key)
            logger.warning("the index of board %s, season %s, cannot be repaired yet: %r", *key, error)

    async def _mend(self, board: BoardRecord, number: int) -> None:
        ranking, key = self.of(board, number), (board.id, number)
        delay = 0.01
        while True:
            behind = self._behind.get(key)
            server = await ranking.server_id()
            try:
                state = await ranking.state()
            except RankingMissing:
                if await self.rebuild(board, number, if_missing=True):
                    continue
            else:
                if not state.stale and behind is None:
                    return
                if state.stale and await ranking.turn("catch-up", TURN):
                    await self._catch_up(board, number, state, server)
                    continue
                if not state.stale and behind is not None:
                    await self._put_since(board, number, behind[0], told=False)
                    if self._behind[key] == behind:  # no new ones meanwhile
                        del self._behind[key]
                    continue
            await asyncio.sleep(delay)  # another process is doing it
            delay = min(2 * delay, 0.5)

    async def rebuild(
        self,
        board: BoardRecord,
        number: int,
        *,
        if_missing: bool = False,
        on_progress: Callable[[int], None] | None = None,
    ) -> bool:
        """Rebuild the index from SQL; False while another process does (or, with `if_missing`, if one has)."""
        season = await self._id(board, number)
        through = self._through()
        rows = queries.rows(self._database, board, season)
        try:
            built = await self.of(board, number).rebuild(
                rows, through=through, if_missing=if_missing, on_progress=on_progress
            )
        except RankingMissing:
            logger.warning("the index of %s was lost while it was being rebuilt", board.slug)
            return False
        _rebuilt.inc(built)
        return built

    async def _catch_up(self, board: BoardRecord, number: int, state: RankingState, server: bytes) -> None:
        """Put the rows that changed since the index was last known to be complete."""
        through = self._through()
        await self._put_since(board, number, max(1, state.through - round(MARGIN * 1e6)))
        await self.of(board, number).verify(state, server, through)

    async def _put_since(self, board: BoardRecord, number: int, version: int, *, told: bool = True) -> None:
        """Put these rows; not `told`: answers may lack some that a rebuild has put, which invalidates nothing."""
        rows = queries.rows(self._database, board, await self._id(board, number), since=version)
        late = None  # where it fails on the way
        try:
            late = await self.of(board, number).catch_up(rows)
            _caught_up.inc(late)
        finally:
            if (late != 0 or not told) and self.outdate is not None:
                await self.outdate(board.slug)

    async def sweep(self, board: BoardRecord, number: int) -> None:
        """Periodically, in one process of all: put the newest rows again; repair the index if it is not complete."""
        ranking = self.of(board, number)
        if not await ranking.turn("sweep", SWEEP):
            return
        server = await ranking.server_id()
        try:
            state = await ranking.state()
        except RankingMissing:
            await self.mend(board, number)
            return
        if state.stale:
            await self.mend(board, number)
        else:
            await self._catch_up(board, number, state, server)

    def _through(self) -> int:
        return round((self._clock or time.time)() * 1e6)

    async def _id(self, board: BoardRecord, number: int) -> int:
        """Return the season's id in SQL; the running season is created if nobody has played in it yet.

        Raises NoIndex for a season that is over, or whose board is gone.
        """
        async with self._database.session() as session:
            found = await queries.season(session, board, number)
        if found is None:
            async with self._database.transaction() as session:
                try:
                    found, _ = await open_season(await session.connection(), board, self._clock)
                except Missing as error:
                    raise NoIndex from error
        over = found.ends_at is not None and self._through() >= found.ends_at
        if found.number != number or over or found.state is not SeasonState.OPEN:
            raise NoIndex
        return found.id
