"""Boards and players to play with, on each database engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from graph.leaderboard.records import BoardRecord, NewBoard
from graph.leaderboard.service import LeaderboardService
from graph.patterns.client import open_client
from harness.valkey import ValkeyServer
from tests.support.models.clock import Clock
from tests.support.models.players import PLAYERS, add_players

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.engines.database import Database
    from graph.patterns.client import Client


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
