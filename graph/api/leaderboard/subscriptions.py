"""Following a board: its top, or the viewer's own place; the state first, then every change, bursts merged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import strawberry

from graph.api.auth.access import ANYBODY, SIGNED_IN, requires
from graph.api.context import Info
from graph.api.leaderboard.players import names_of, viewer_key
from graph.api.leaderboard.types import (
    MAX_PAGE,
    MAX_RANGE,
    Leaderboard,
    LeaderboardContext,
    LeaderboardEntry,
    names_around,
)
from graph.endpoint.declare import live
from graph.errors import BadInput, Unavailable
from graph.leaderboard.records import BoardRecord, player_key, player_of
from graph.patterns.ranking import Neighbourhood

T = TypeVar("T")

_RETRY = 1.0
"""Seconds between two tries to read while the stores are away."""


@strawberry.type(description="The top of a board at one instant.")
class LeaderboardSnapshot:
    """The best entries."""

    board: Leaderboard
    entries: list[LeaderboardEntry] = strawberry.field(description="Best first.")
    at: datetime


@strawberry.type(description="A player's place at one instant; the context is null while there is no score.")
class RankSnapshot:
    """A place."""

    context: LeaderboardContext | None
    previous_rank: int | None = strawberry.field(description="The rank in the snapshot before this one.")
    at: datetime


async def _board(info: Info, slug: str) -> BoardRecord:
    found = await info.context.services.leaderboards.board(slug)
    if found is None:
        raise BadInput("There is no such leaderboard.", argument="board")
    return found


async def _insist(read: Callable[[], Awaitable[T]]) -> T:
    """Read; while the stores are away, the subscription waits for them."""
    while True:
        try:
            return await read()
        except Unavailable:
            await asyncio.sleep(_RETRY)


async def _context(info: Info, found: Neighbourhood) -> LeaderboardContext:
    return LeaderboardContext.of(found, await names_around(info, found))


@strawberry.type
class LeaderboardSubscription:
    """What can be followed."""

    @strawberry.subscription(
        description="The top of a board: first as it stands, then whenever it changes (bursts are merged).",
        extensions=[requires(ANYBODY)],
        metadata=live(shared=True, state_first=True, latest=True),
    )
    async def leaderboard_changed(self, info: Info, board: str, first: int = 10) -> AsyncGenerator[LeaderboardSnapshot]:
        if not 1 <= first <= MAX_PAGE:
            raise BadInput(f"first is 1 to {MAX_PAGE}.", argument="first")
        record, services = await _board(info, board), info.context.services
        async with services.live_boards.watch(record) as watch:
            page, shown = await services.leaderboards.top(record, first=first), None
            while True:
                entries = [placed.entry for placed in page.entries]
                watch.stands(1, first)
                if entries != shown:
                    shown, players = entries, [player_of(entry) for entry in entries]
                    names = await _insist(partial(names_of, info, players))
                    yield LeaderboardSnapshot(
                        board=Leaderboard.of(record),
                        entries=[LeaderboardEntry.of(entry, names) for entry in entries],
                        at=datetime.now(UTC),
                    )
                await watch.changed()
                page = await _insist(lambda: services.leaderboards.top(record, first=first))

    @strawberry.subscription(
        description="The signed-in player's place and neighbours: first as they stand, then whenever they change, "
        "through whomever.",
        extensions=[requires(SIGNED_IN)],
        metadata=live(state_first=True, latest=True),
    )
    async def my_rank_changed(
        self,
        info: Info,
        board: str,
        range: int = 2,
    ) -> AsyncGenerator[RankSnapshot]:
        if not 0 <= range <= MAX_RANGE:
            raise BadInput(f"range is 0 to {MAX_RANGE}.", argument="range")
        record, services, player = await _board(info, board), info.context.services, viewer_key(info.context)
        async with services.live_boards.watch(record, player_key(player)) as watch:
            found, shown = await services.leaderboards.around(record, player, neighbours=range), None
            previous, first = None, True
            while True:
                rank = None if found is None else found.entry.rank
                # Whoever has no score is told by an own submission alone.
                watch.stands(*((1, 0) if rank is None else (max(1, rank - range), rank + range)))
                if first or found != shown:
                    shown, first = found, False
                    context = None if found is None else await _insist(partial(_context, info, found))
                    yield RankSnapshot(
                        context=context,
                        previous_rank=previous,
                        at=datetime.now(UTC),
                    )
                    previous = rank
                await watch.changed()
                found = await _insist(lambda: services.leaderboards.around(record, player, neighbours=range))
