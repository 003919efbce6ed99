"""The rankings in Redis, kept in step with SQL.

SQL has the truth; each season that runs has an index (`graph.patterns.ranking`). Four things keep the index right:

- every submission puts its row after the commit;
- an index that is missing is rebuilt, once in the whole fleet; one whose server process was restarted, which may have
  lost its newest writes, is caught up from what it is known to hold. Until then it gives no answer (`NoIndex`);
- a process that could not put a row (Redis was away) puts whatever changed since, before it asks the index again;
- a sweep repeats the rows of the last minutes, for processes that died between the commit and the put.

Nothing here raises what Redis raises: it is `NoIndex`, and the caller answers from SQL.
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

MARGIN = 60.0  # seconds: clocks of processes that differ, commits that came late
SWEEP = 30.0
PATIENCE = 0.5  # seconds a reader waits for an index that is being mended before SQL answers
TURN = 1.5  # seconds before another process catches up too: the first may have died, and twice does no harm
RETRY = 0.1
RETRY_CAP = 2.0

_log = logging.getLogger(__name__)
_rebuilt = Counter("graph_leaderboard_rebuilds_total", "Indexes built anew from SQL.")
_caught_up = Counter("graph_leaderboard_late_rows_total", "Rows that reached an index late.")
_unanswered = Counter("graph_leaderboard_index_unavailable_total", "Questions that no index could answer.")


def _nobodys(work: Coroutine[object, object, None], *, name: str) -> asyncio.Task[None]:
    """A task in a context of its own: what everybody waits for is not done in the turn of whoever came first."""
    return asyncio.create_task(work, name=name, context=contextvars.Context())


class NoIndex(Exception):
    """No index can answer at present."""


class Indexes:
    """The rankings of all boards, by board and number of the season."""

    def __init__(
        self, client: Client, database: Database, *, prefix: str = "graph", clock: Clock | None = None
    ) -> None:
        """`clock` replaces the database's, for tests."""
        self._client = client
        self._database = database
        self._prefix = prefix
        self._clock = clock
        self.outdate: Callable[[str], Awaitable[None]] | None = None  # told of a board whose index got late rows
        self._rankings: dict[tuple[int, int], Ranking] = {}
        self._behind: dict[tuple[int, int], tuple[int, int]] = {}  # the oldest row not put; how many were not
        self._mending: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, board: BoardRecord, number: int) -> Ranking:
        """The ranking of a season."""
        key = (board.id, number)
        if key not in self._rankings:
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
        """Stop what runs in the background."""
        tasks = [*self._tasks, *self._mending.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- asking and telling ---

    async def ask(self, board: BoardRecord, number: int, question: Callable[[Ranking], Awaitable[T]]) -> T:
        """Put `question` to the index, mending it first where that is done soon; raises NoIndex."""
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
        """Hand over committed rows, in one batch; None where there is no rank to give.

        They arrive in any case, if later.
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
        """Hand over a committed row that says a score was removed; it arrives in any case, if later."""

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
            with contextlib.suppress(Exception):  # reported where it arose; Redis, or SQL, is still away
                await self.mend(board, number)

    # --- mending ---

    async def _mended(self, board: BoardRecord, number: int) -> bool:
        """Whether the index was mended within the patience; it goes on being mended after that."""
        task = self._start_mending(board, number)
        done, _ = await asyncio.wait([task], timeout=PATIENCE)
        return bool(done) and not task.cancelled() and task.exception() is None

    async def mend(self, board: BoardRecord, number: int) -> None:
        """Bring the index up to date, by whatever it takes; raises what Redis or SQL raise."""
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
        if error is not None and not isinstance(error, NoIndex):
            _log.warning("the index of board %s, season %s, cannot be mended yet: %r", *key, error)

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
                    await self._put_since(board, number, behind[0])
                    if self._behind[key] == behind:  # none came since
                        del self._behind[key]
                    continue
            await asyncio.sleep(delay)  # another process is at it
            delay = min(2 * delay, 0.5)

    async def rebuild(
        self,
        board: BoardRecord,
        number: int,
        *,
        if_missing: bool = False,
        on_progress: Callable[[int], None] | None = None,
    ) -> bool:
        """Build the index anew from SQL; False while another process does (or, with `if_missing`, if one has)."""
        season = await self._id(board, number)
        through = self._through()
        rows = queries.rows(self._database, board, season)
        try:
            built = await self.of(board, number).rebuild(
                rows, through=through, if_missing=if_missing, on_progress=on_progress
            )
        except RankingMissing:
            _log.warning("the index of %s was lost while it was built", board.slug)
            return False
        _rebuilt.inc(built)
        return built

    async def _catch_up(self, board: BoardRecord, number: int, state: RankingState, server: bytes) -> None:
        """Put what changed since the index was last known to be complete."""
        through = self._through()
        await self._put_since(board, number, max(1, state.through - round(MARGIN * 1e6)))
        await self.of(board, number).verify(state, server, through)

    async def _put_since(self, board: BoardRecord, number: int, version: int) -> None:
        rows = queries.rows(self._database, board, await self._id(board, number), since=version)
        late = await self.of(board, number).catch_up(rows)
        _caught_up.inc(late)
        if late and self.outdate is not None:
            await self.outdate(board.slug)

    async def sweep(self, board: BoardRecord, number: int) -> None:
        """Once in a while, in one process of all: repeat the newest rows; mend the index if it is not whole."""
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
        """The season's number in SQL; a season that runs is made if nobody has played it yet.

        Raises NoIndex for a season that runs no more, or whose board is gone.
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
