"""The subscriptions to a board's top and to the viewer's place: the state first, then every change, bursts merged."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial

import strawberry

from graph.api.auth import ANYBODY, SIGNED_IN, requires
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
from graph.api.pagination import mentions
from graph.endpoint.declare import live
from graph.errors import BadInput
from graph.leaderboard import BoardRecord, player_of, until_available
from graph.patterns.ranking import Neighbourhood


@strawberry.type(description="The top of a board at one instant.")
class LeaderboardSnapshot:
    board: Leaderboard
    entries: list[LeaderboardEntry] = strawberry.field(description="Best first.")
    at: datetime


@strawberry.type(description="A player's place at one instant; the context is null while there is no score.")
class RankSnapshot:
    context: LeaderboardContext | None
    previous_rank: int | None = strawberry.field(description="The rank in the snapshot before this one.")
    at: datetime


async def _board(info: Info, slug: str) -> BoardRecord:
    found = await info.context.services.leaderboards.board(slug)
    if found is None:
        raise BadInput("There is no such leaderboard.", argument="board")
    return found


async def _context(info: Info, found: Neighbourhood) -> LeaderboardContext:
    return LeaderboardContext.of(found, await names_around(info, found))


@strawberry.type
class LeaderboardSubscription:
    @strawberry.subscription(
        description="The top of a board: first as it stands, then whenever it changes (bursts are merged).",
        extensions=[requires(ANYBODY)],
        metadata=live(shared=True, state_first=True, latest=True),
    )
    async def leaderboard_changed(self, info: Info, board: str, first: int = 10) -> AsyncGenerator[LeaderboardSnapshot]:
        if not 1 <= first <= MAX_PAGE:
            raise BadInput(f"first is 1 to {MAX_PAGE}.", argument="first")
        record, services = await _board(info, board), info.context.services
        async with aclosing(services.live_boards.top(record, first, metadata=mentions(info, "metadata"))) as tops:
            async for entries in tops:
                names = await until_available(partial(names_of, info, [player_of(entry) for entry in entries]))
                known = await until_available(partial(services.leaderboards.known_board, board))
                if known is not None and known.id == record.id:  # it may have been reset
                    record = known
                yield LeaderboardSnapshot(
                    board=Leaderboard.of(record),
                    entries=[LeaderboardEntry.of(entry, names) for entry in entries],
                    at=datetime.now(UTC),
                )

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
        previous = None
        async with aclosing(
            services.live_boards.around(record, player, range, metadata=mentions(info, "metadata"))
        ) as places:
            async for found in places:
                context = None if found is None else await until_available(partial(_context, info, found))
                yield RankSnapshot(context=context, previous_rank=previous, at=datetime.now(UTC))
                previous = None if found is None else found.entry.rank
