"""Notifies the watchers of a board when what they see has changed.

The process that accepts a score announces which ranks it moved: all between the player's ranks before and after. The
announcements of one process within `watching.MERGE` seconds are merged into one message. A process that has watchers of
a board follows its topic once, wakes those whom the move concerns (`watching`), and reads a counter of the ranking
every `CHECK` seconds.

An announcement may be lost (its process died after the commit, Redis was away). Each says how many submissions it
covers, and the ranking counts its changes, so the counter reveals what is missing. Then, as after a gap of the broker,
all watchers of the board are woken.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from prometheus_client import Counter, Gauge

from graph.errors import Unavailable as StoreUnavailable
from graph.leaderboard.index import NoIndex
from graph.leaderboard.keys import board_topic
from graph.leaderboard.live.watching import MERGE, Moves, Watch, Watchers
from graph.leaderboard.records import player_key
from graph.patterns.client import RedisUnavailable
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from types import TracebackType

    from graph.leaderboard.records import BoardRecord, TopPage
    from graph.leaderboard.service import LeaderboardService
    from graph.patterns.broker import Broker, Event
    from graph.patterns.ranking import Entry, Neighbourhood, Submitted

CHECK = 5.0
RETRY = 1.0
"""In seconds, like those above."""
_GRACE = 1.0  # the longest delay of an announcement
_PATIENCE = 1.0  # before a watcher begins though announcements cannot be heard yet

_WATCHERS = Gauge("graph_leaderboard_watchers", "Current watchers of boards.", multiprocess_mode="livesum")
_MISSED = Counter("graph_leaderboard_announcements_missed_total", "Times all watchers of a board had to be woken.")

T = TypeVar("T")

logger = logging.getLogger(__name__)


async def until_available(read: Callable[[], Awaitable[T]]) -> T:
    """Call `read`, again every `RETRY` seconds while a store is away, and return its result."""
    while True:
        try:
            return await read()
        except StoreUnavailable:
            await asyncio.sleep(RETRY)


class LiveBoards:
    """Announces and watches in one process; open it with ``async with``."""

    def __init__(self, service: LeaderboardService, broker: Broker, *, check_every: float = CHECK) -> None:
        """Announce what `service` takes in, through `broker`."""
        self._service = service
        self._broker = broker
        self._check_every = check_every
        self._boards: dict[int, _Followed] = {}
        self._pending: dict[int, Moves] = {}
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        """Start announcing the submissions of the service."""
        self._service.moved = self.announce
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; the other processes' checks find what was not announced yet."""
        self._service.moved = None
        await self._tasks.close()

    # --- announcing ---

    def announce(self, board: BoardRecord, player: str, submitted: Submitted | None) -> None:
        """Announce soon what a submission moved; None if that is not known."""
        pending = self._pending.get(board.id)
        if pending is None:
            pending = self._pending[board.id] = Moves()
            self._tasks.spawn(self._publish(board.id))
        pending.add(board.ties, player, submitted)

    async def _publish(self, board: int) -> None:
        """Publish what was collected, then pause, and so on; the first publication after a pause is immediate."""
        await asyncio.sleep(0)  # merges the submissions of one turn of the loop
        while (moves := self._pending[board]).count:
            self._pending[board] = Moves()
            try:
                await self._broker.publish(board_topic(board), moves.message())
            except RedisUnavailable as error:
                logger.info("a move on board %s was not announced: %s", board, error)
            await asyncio.sleep(MERGE)
        del self._pending[board]

    # --- watching ---

    @contextlib.asynccontextmanager
    async def watch(self, board: BoardRecord, player: str | None = None) -> AsyncGenerator[Watch]:
        """Watch `board`, as `player` if given: every score of that player concerns the watcher.

        Repeat: read, call `Watch.stands`, wait for `Watch.changed`. Changes in between are not missed.
        """
        followed = self._boards.get(board.id)
        if followed is None:
            followed = self._boards[board.id] = _Followed(self._broker, board)
            followed.checking = self._tasks.spawn(self._check(followed))
        watch = followed.watchers.join(player)
        _WATCHERS.inc()
        try:
            await followed.ready()
            yield watch
        finally:
            _WATCHERS.dec()
            followed.watchers.leave(watch)
            if not followed.watchers.all and self._boards.get(board.id) is followed:
                del self._boards[board.id]
                followed.close()

    # --- following ---

    async def top(self, board: BoardRecord, first: int, *, metadata: bool = False) -> AsyncGenerator[list[Entry]]:
        """Yield the `first` best entries: the current ones, then whenever they have changed; bursts are merged.

        They are those of the season of `LeaderboardService.known_board`, and yielded again for another one.

        It waits while a store is away, and ends when the board is deleted. Close the generator at the end.
        """

        async def read() -> TopPage:
            return await self._service.top(board, first=first, metadata=metadata)

        async with self.watch(board) as watch:
            page, shown = await read(), None
            while True:
                entries = [placed.entry for placed in page.entries]
                watch.stands(1, first)
                if (board, entries) != shown:
                    shown = board, entries
                    yield entries
                await watch.changed()
                if (current := await self._current(board)) is None:
                    return
                board = current
                page = await until_available(read)

    async def around(
        self, board: BoardRecord, player: int, neighbours: int, *, metadata: bool = False
    ) -> AsyncGenerator[Neighbourhood | None]:
        """Yield a player's entry with its neighbours (None: no score): the current one, then whenever it has changed.

        It waits while a store is away, and ends when the board is deleted. Close the generator at the end.
        """

        async def read() -> Neighbourhood | None:
            return await self._service.around(board, player, neighbours=neighbours, metadata=metadata)

        async with self.watch(board, player_key(player)) as watch:
            found, shown = await read(), None
            first = True
            while True:
                # For a player without a score only the player's own submission matters.
                seen = (1, 0)
                if found is not None:
                    seen = (max(1, found.entry.rank - neighbours), found.entry.rank + neighbours)
                watch.stands(*seen)
                if first or found != shown:
                    shown, first = found, False
                    yield found
                await watch.changed()
                if (current := await self._current(board)) is None:
                    return
                board = current
                found = await until_available(read)

    async def _current(self, board: BoardRecord) -> BoardRecord | None:
        """Read a board again; None if it was deleted, also where another one has its slug by now."""
        found = await until_available(partial(self._service.board, board.slug))
        return found if found is not None and found.id == board.id else None

    async def _check(self, followed: _Followed) -> None:
        """Compare the number of announced changes with the ranking's counter, of the season that runs now."""
        while True:
            with contextlib.suppress(StoreUnavailable):
                followed.renew(await self._service.known_board(followed.board.slug))
            build, counted = await self._count(followed.board)
            received = followed.received
            await asyncio.sleep(_GRACE)
            followed.compare(build, counted, received)
            await asyncio.sleep(self._check_every)

    async def _count(self, board: BoardRecord) -> tuple[str, int]:
        """Return the name of the current ranking and its number of changes; no name if it cannot be read."""
        number = self._service.season(board).number
        with contextlib.suppress(NoIndex):
            state = await self._service.indexes.ask(board, number, lambda ranking: ranking.state())
            return f"{number}:{state.build}", state.seq
        return "", 0


class _Followed:
    """One board that this process follows, and its watchers."""

    checking: asyncio.Task[None] | None = None

    def __init__(self, broker: Broker, board: BoardRecord) -> None:
        self.board = board
        self.watchers = Watchers()
        self.received = 0
        self._base: tuple[str, int] | None = None
        self._unheard = False  # announcements, where watchers began before there were any to hear
        self._registration = broker.on(board_topic(board.id), self._on_event)

    async def ready(self) -> None:
        """Wait until no later announcement can be missed; return anyway while Redis is away."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._registration.ready()
        except TimeoutError:
            self._unheard = True

    def renew(self, board: BoardRecord | None) -> None:
        """Follow `board`, which has the slug now; wake all watchers if the one followed was reset, or is gone."""
        if board != self.board:
            self.watchers.take(Moves(everything=True))
        if board is not None and board.id == self.board.id:
            self.board = board

    def close(self) -> None:
        """Stop following."""
        self._registration.remove()
        if self.checking is not None:
            self.checking.cancel()

    def _on_event(self, event: Event) -> None:
        moves = Moves.of(event)
        self.received += moves.count
        if moves.everything:
            _MISSED.inc()
        self.watchers.take(moves)

    def compare(self, build: str, counted: int, received: int) -> None:
        """Wake all watchers if the ranking changed more often than was announced, or is another one.

        `received` changes had been announced when `counted` was read; announcements on their way then have arrived
        since. So the difference stays between two bounds, and grows only when an announcement is lost. The first
        comparison wakes them, too, if what was announced before could not be heard.
        """
        if not build:
            return
        known, most = self._base or (build, counted - received)
        if self._unheard or known != build or counted - self.received > most:
            self._unheard = False
            _MISSED.inc()
            self.watchers.take(Moves(everything=True))
            most = counted - received
        self._base = (build, min(most, counted - received))
