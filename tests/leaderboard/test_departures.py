"""Deleted users: their scores stay without a name or are removed from every season, while they still submit, too."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text

from graph.accounts import queries as accounts
from graph.accounts import writing as users
from graph.errors import Missing
from graph.leaderboard.models import ARCHIVE, DEPARTURES, SCORES, SUBMISSIONS
from graph.leaderboard.records import BoardRecord, NewBoard, SeasonSchedule
from graph.leaderboard.seasons import archive
from graph.leaderboard.service import LeaderboardService
from graph.leaderboard.submission import intake
from graph.patterns.ranking import Operator, Order, Ties
from harness.waiting import HANG, within
from tests.support.engines.either import in_turn
from tests.support.models.players import PLAYERS, add_players

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.engines.database import Database
    from graph.patterns.client import Client
    from tests.support.models.clock import Clock


@pytest.fixture
async def removing(database: Database, client: Client, clock: Clock) -> AsyncIterator[LeaderboardService]:
    """The boards of a shop whose deleted users lose their scores."""
    await add_players(database, PLAYERS)
    async with LeaderboardService(database, client, upkeep=0, clock=clock, remove_departed=True) as opened:
        yield opened


@pytest.fixture
async def other(
    removing: LeaderboardService, database: Database, client: Client, clock: Clock
) -> AsyncIterator[LeaderboardService]:
    """The same boards in another process."""
    assert removing
    async with LeaderboardService(database, client, upkeep=0, clock=clock, remove_departed=True) as opened:
        yield opened


async def delete(service: LeaderboardService, database: Database, player: int) -> None:
    """Delete a user as `AccountService.erase` does, up to the commit."""
    async with database.session() as session:
        found = await accounts.credentials_by_id(session, player)
    assert found is not None
    async with database.transaction() as session:
        assert await users.forget(session, found, email=f"{player}@deleted.invalid", display_name="Deleted player")
        await service.leaving(session, player)


async def places(service: LeaderboardService, board: BoardRecord, season: int | None = None) -> list[tuple[int, int]]:
    """Ranks and players of a board, page by page."""
    found: list[tuple[int, int]] = []
    after = None
    while True:
        page = await service.top(board, first=2, after=after, season=season)
        found += [(placed.entry.rank, placed.player) for placed in page.entries]
        if not page.has_next:
            assert page.total == len(found)
            return found
        after = page.end


async def rows(database: Database, table: Any, player: int) -> list[Any]:
    """What a table has of a player."""
    async with database.session() as session:
        return list(await session.execute(select(table).where(table.c.player_id == player)))


async def test_scores_stay_by_default_and_no_new_ones_come(
    service: LeaderboardService, board: BoardRecord, database: Database
) -> None:
    """A user who is gone keeps the place, and gets no other."""
    await service.submit(board, 1, 5)
    await service.submit(board, 2, 4)
    await delete(service, database, 1)
    await service.left(1)
    assert await places(service, board) == [(1, 1), (2, 2)]
    with pytest.raises(Missing):
        await service.submit(board, 1, 6)
    assert await rows(database, DEPARTURES, 1) == []


@in_turn("ties", list(Ties))
async def test_removed_from_every_season_and_from_what_was_said_of_it(
    removing: LeaderboardService, other: LeaderboardService, database: Database, clock: Clock, ties: Ties
) -> None:
    """Running, finished, and finished but not yet archived seasons; keys and removed scores; pages and neighbours."""
    daily = await removing.create_board(NewBoard("daily", "Daily", schedule=SeasonSchedule.DAILY, ties=ties))
    laps = await removing.create_board(NewBoard("laps", "Laps", order=Order.ASCENDING, ties=ties))
    moved: list[tuple[str, str]] = []
    removing.moved = lambda board, player, _: moved.append((board.slug, player))
    for day in (2, 3, 4):
        clock.set(2026, 3, day)
        for player, score in ((1, 9), (2, 7), (3, 7), (4, 7), (5, 1)):
            await removing.submit(daily, player, score, key=str(day), metadata={"of": player})
            clock.now += 1
        if day == 3:
            await removing.upkeep.tick()
    for player in (1, 2, 3):
        await removing.submit(laps, player, player)
    await removing.remove_score(laps, 2)
    archived = [place for place in await places(other, daily, 1) if place[1] != 2]
    await other.top(laps)

    moved.clear()
    await delete(removing, database, 2)
    await removing.left(2)
    assert sorted(moved) == [("daily", "a2"), ("laps", "a2")]
    for one in (removing, other):
        assert await places(one, daily, 1) == archived
        now = {Ties.EARLIEST_FIRST: [1, 2, 3, 4], Ties.COMPETITION: [1, 2, 2, 4], Ties.DENSE: [1, 2, 2, 3]}[ties]
        for season in (None, 2):
            assert await places(one, daily, season) == list(zip(now, (1, 3, 4, 5), strict=True))
        assert await places(one, laps) == [(1, 1), (2, 3)]
        for season in (None, 1, 2):
            assert await one.around(daily, 2, season=season) is None
            near = await one.around(daily, 3, neighbours=1, season=season)
            assert near is not None
            assert [entry.player for entry in (*near.above, *near.below)] == ["a1", "a4"]
    assert await removing.scores_of(2) == []
    for table in (ARCHIVE, SUBMISSIONS, DEPARTURES):
        assert await rows(database, table, 2) == []
    assert {(row.former, row.metadata) for row in await rows(database, SCORES, 2)} == {(None, None)}
    await removing.upkeep.tick()
    assert await places(other, daily, 1) == archived
    for season in (None, 2):
        assert [player for _, player in await places(other, daily, season)] == [1, 3, 4, 5]


async def test_percentiles_of_a_finished_season_stay(
    removing: LeaderboardService, database: Database, clock: Clock
) -> None:
    """What a season said of others it says again, if the player who is removed was not the last."""
    for ties in Ties:
        await removing.create_board(NewBoard(ties.value, "B", schedule=SeasonSchedule.DAILY, ties=ties))
    boards = await removing.boards()
    for board in boards:
        for player, score in ((1, 9), (2, 7), (3, 7), (4, 5), (5, 5), (6, 1)):
            await removing.submit(board, player, score)
            clock.now += 1
    clock.now += 86400
    await removing.upkeep.tick()
    shown = {board.slug: (await removing.top(board, season=1)).entries for board in boards}
    await delete(removing, database, 4)
    await removing.left(4)
    for board in boards:
        kept = [placed.entry for placed in shown[board.slug] if placed.player != 4]
        assert [placed.entry for placed in (await removing.top(board, season=1)).entries] == kept
        page = await removing.top(board, season=1, first=2, after=shown[board.slug][3].cursor)
        assert [placed.entry for placed in page.entries] == kept[3:]


async def test_a_removal_is_continued_by_the_upkeep(
    removing: LeaderboardService, other: LeaderboardService, database: Database
) -> None:
    """A process that dies after the commit leaves it to the others."""
    board = await removing.create_board(NewBoard("b", "B"))
    for player in (1, 2):
        await removing.submit(board, player, player)
    await delete(removing, database, 2)
    assert await places(other, board) == [(1, 2), (2, 1)]
    await other.upkeep.tick()
    assert await places(removing, board) == [(1, 1)]
    await removing.left(2)
    assert await places(removing, board) == [(1, 1)]


async def test_scores_during_the_removal_leave_nothing(
    removing: LeaderboardService, other: LeaderboardService, database: Database, client: Client
) -> None:
    """Two processes submit while five players are deleted: each score counts before or is refused; none is left."""
    board = await removing.create_board(NewBoard("sum", "Sum", Operator.SUM))
    leaving = range(1, 6)
    refused: list[int] = []

    async def play(one: LeaderboardService, player: int) -> None:
        for number in range(12):
            try:
                await one.submit(board, player, 1, key=f"{number}" if player % 2 else None)
            except Missing:
                refused.append(player)

    async def leave(one: LeaderboardService, player: int) -> None:
        await one.submit(board, player, 1)
        await delete(one, database, player)
        await one.left(player)

    await asyncio.gather(
        *(play(one, player) for one in (removing, other) for player in (*leaving, 6)),
        *(leave((removing, other)[player % 2], player) for player in leaving),
    )
    assert 6 not in refused
    for one in (removing, other):
        assert await places(one, board) == [(1, 6)]
        await client.execute("FLUSHALL", retry=False)
    for player in leaving:
        assert await rows(database, SUBMISSIONS, player) == []
        with pytest.raises(Missing):
            await removing.submit(board, player, 1)


async def test_deleting_waits_for_a_submission_that_has_begun(
    removing: LeaderboardService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A score that was compared while the player was there is written before the player is deleted, and removed."""
    board = await removing.create_board(NewBoard("b", "B"))
    loop, begun, go = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    write = intake._write  # pyright: ignore[reportPrivateUsage] - called when the players were read

    async def paused(connection: Any, *arguments: Any) -> set[int]:
        loop.call_soon_threadsafe(begun.set)
        if connection.dialect.name == "sqlite":  # in its thread, where nothing waits but the thread
            go.wait(HANG)
        while not go.is_set():
            await asyncio.sleep(0.002)
        return await write(connection, *arguments)

    monkeypatch.setattr(intake, "_write", paused)
    submitting = asyncio.create_task(removing.submit(board, 1, 1))
    await begun.wait()
    deleting = asyncio.create_task(delete(removing, database, 1))

    async def waits_or_is_done() -> bool:
        if deleting.done() or database.dialect == "sqlite":  # where a transaction holds the only lock
            return True
        waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%users%'")
        async with database.session() as session:
            return bool((await session.execute(waiting)).scalar_one())

    async with within("the deletion to wait for the submission"):
        while not await waits_or_is_done():
            await asyncio.sleep(0.002)
    assert not deleting.done()
    go.set()
    assert (await submitting).rank == 1
    await deleting
    await removing.left(1)
    assert await places(removing, board) == []


async def test_an_archived_chunk_and_a_removal_take_turns(
    removing: LeaderboardService, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is archiving a season meanwhile leaves no entry of a removed player."""
    board = await removing.create_board(NewBoard("b", "B", schedule=SeasonSchedule.DAILY))
    for player in range(1, 8):
        await removing.submit(board, player, player)
    clock.now += 86400
    for player in (2, 6):
        await delete(removing, database, player)
    monkeypatch.setattr(archive, "close", partial(archive.close, chunk=1))
    await asyncio.gather(removing.upkeep.tick(), *(removing.left(player) for player in (2, 6)))
    await removing.upkeep.tick()
    assert [player for _, player in await places(removing, board, 1)] == [7, 5, 4, 3, 1]
    for player in (2, 6):
        assert await rows(database, ARCHIVE, player) == []
