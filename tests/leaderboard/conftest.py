"""Boards and players to play with, on each database engine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert

from graph.accounts.models import User
from graph.leaderboard.records import BoardRecord, NewBoard
from graph.leaderboard.service import LeaderboardService
from graph.patterns.client import open_client
from tests.support.servers import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.engines.database import Database
    from graph.patterns.client import Client

PLAYERS = 60


class Clock:
    """A clock that stands still until it is told otherwise, yet never gives one time twice."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 10, tzinfo=UTC).timestamp()  # a Monday

    def __call__(self) -> float:
        self.now += 1e-6
        return self.now

    def set(self, *moment: int) -> None:
        """Go to a moment in UTC."""
        year, month, day, *time = moment
        hour, minute, second = [*time, 0, 0, 0][:3]
        self.now = datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()


async def add_players(database: Database, count: int, first: int = 1) -> None:
    """Users `first` to `first` + `count` - 1."""
    made = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {
            "id": number,
            "email": f"p{number}@example.com",
            "email_key": f"p{number}@example.com",
            "display_name": f"Player {number}",
            "password_hash": "!",
            "role": "PLAYER",
            "created_at": made,
            "password_changed_at": made,
        }
        for number in range(first, first + count)
    ]
    async with database.transaction() as session:
        await session.execute(insert(User), rows)


@pytest.fixture
def clock() -> Clock:
    """The service's clock."""
    return Clock()


@pytest.fixture
async def service(database: Database, client: Client, clock: Clock) -> AsyncIterator[LeaderboardService]:
    """The service with 60 players and no upkeep of its own."""
    await add_players(database, PLAYERS)
    async with LeaderboardService(database, client, upkeep=0, clock=clock) as opened:
        yield opened


@pytest.fixture
async def without_redis(
    service: LeaderboardService, database: Database, clock: Clock
) -> AsyncIterator[LeaderboardService]:
    """The same boards and players, served by a process whose Redis has gone."""
    assert service
    with ValkeyServer() as server:
        async with (
            open_client(server.url) as client,
            LeaderboardService(database, client, upkeep=0, clock=clock) as opened,
        ):
            server.kill()
            yield opened


@pytest.fixture
async def board(service: LeaderboardService) -> BoardRecord:
    """A board under the default policies."""
    return await service.create_board(NewBoard("main", "Main"))
