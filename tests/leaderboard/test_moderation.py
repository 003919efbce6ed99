"""Scores taken out, seasons reset, boards deleted: by one process, and while others play."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from graph.errors import Invalid, Missing
from graph.leaderboard.models import ARCHIVE, BOARDS, SCORES, SEASONS, SUBMISSIONS
from graph.leaderboard.records import BoardRecord, NewBoard, SeasonSchedule
from graph.leaderboard.service import LeaderboardService
from graph.patterns.ranking import Operator
from tests.support.engines.either import ABOVE_SQL, in_turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.engines.database import Database
    from graph.patterns.client import Client
    from tests.support.models.clock import Clock


@pytest.fixture
async def other(
    service: LeaderboardService, database: Database, client: Client, clock: Clock
) -> AsyncIterator[LeaderboardService]:
    """The same boards in another process."""
    assert service
    async with LeaderboardService(database, client, upkeep=0, clock=clock) as opened:
        yield opened


async def players(service: LeaderboardService, board: BoardRecord, season: int | None = None) -> list[int]:
    """Who is on a board, best first."""
    return [placed.player for placed in (await service.top(board, first=100, season=season)).entries]


async def count(database: Database) -> int:
    """The rows of all boards."""
    async with database.session() as session:
        total = 0
        for table in (BOARDS, SEASONS, SCORES, SUBMISSIONS, ARCHIVE):
            total += (await session.execute(select(func.count()).select_from(table))).scalar_one()
        return total


async def test_a_removed_score_is_gone_and_the_next_one_is_the_first(
    service: LeaderboardService, other: LeaderboardService, client: Client
) -> None:
    """On a SUM board nothing of it is added to what comes later; from the index, SQL and a new index."""
    board = await service.create_board(NewBoard("sum", "Sum", Operator.SUM))
    for player in (1, 2, 3):
        await service.submit(board, player, 10 * player)
    assert await service.remove_score(board, 3) == 30
    assert await service.remove_score(board, 3) is None
    assert await service.remove_score(board, 4) is None
    for _ in range(2):
        assert await players(other, board) == [2, 1]
        assert await other.around(board, 3) is None
        assert await other.size(board) == 2
        await client.execute("FLUSHALL", retry=False)
    outcome = await other.submit(board, 3, 5)
    assert (outcome.score, outcome.rank, outcome.previous_rank, outcome.improved) == (5, 3, None, True)
    assert await players(service, board) == [2, 1, 3]


async def test_a_removal_that_never_reached_the_index_is_repeated(
    service: LeaderboardService, other: LeaderboardService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies between the commit and the index leaves a score behind; the sweep takes it out."""
    board = await service.create_board(NewBoard("b", "B"))
    for player in (1, 2):
        await service.submit(board, player, player)

    async def die(*_: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(service.indexes, "remove", die)
    with pytest.raises(asyncio.CancelledError):
        await service.remove_score(board, 2)
    assert await players(other, board) == [2, 1]
    await other.upkeep.tick()
    assert await players(other, board) == [1]


async def test_scores_and_removals_at_once_end_alike_in_sql_and_in_the_index(
    service: LeaderboardService, other: LeaderboardService, client: Client
) -> None:
    """Two processes add ones and remove: no removed one is counted again, and both stores agree at the end."""
    board = await service.create_board(NewBoard("sum", "Sum", Operator.SUM))
    removed: list[float | None] = []

    async def play(one: LeaderboardService, player: int) -> None:
        for _ in range(12):
            await one.submit(board, player, 1)

    async def remove(one: LeaderboardService, player: int) -> None:
        removed.extend([await one.remove_score(board, player) for _ in range(3)])

    await asyncio.gather(
        *(play(one, player) for one in (service, other) for player in (1, 2)),
        *(remove(one, player) for one in (service, other) for player in (1, 2)),
    )
    entries = [placed.entry for placed in (await service.top(board)).entries]
    assert sum(entry.score for entry in entries) + sum(one or 0 for one in removed) == 4 * 12
    await client.execute("FLUSHALL", retry=False)
    assert [placed.entry for placed in (await other.top(board)).entries] == entries


@in_turn("schedule", [SeasonSchedule.NEVER, SeasonSchedule.WEEKLY])
async def test_a_reset_season_goes_into_the_archive(
    service: LeaderboardService, other: LeaderboardService, clock: Clock, schedule: SeasonSchedule
) -> None:
    """Everybody begins anew at once, also in a process that has not heard of it; the old ranks can still be read."""
    board = await service.create_board(NewBoard("b", "B", schedule=schedule))
    for player in (1, 2, 3):
        await service.submit(board, player, player)
    known = await other.board("b")
    assert known is not None
    assert await players(other, known) == [3, 2, 1]
    ends = service.season(board).ends_at

    clock.now += 1
    await service.reset_season(board)
    assert await players(other, known) == []
    fresh = await other.board("b")
    assert fresh is not None
    assert (other.season(fresh).number, other.season(fresh).ends_at) == (2, ends)
    clock.now += 1
    assert (await other.submit(known, 2, 1)).season == 2
    for one in (service, other):
        current = await one.board("b")
        assert current is not None
        assert await players(one, current) == [2]
        assert await players(one, current, season=1) == [3, 2, 1]
    await service.upkeep.tick()
    assert await players(service, fresh, season=1) == [3, 2, 1]
    clock.now += 1
    await other.reset_season(fresh)
    again = await service.board("b")
    assert again is not None
    await service.upkeep.tick()
    assert (await service.submit(again, 1, 1)).season == 3


async def test_scores_during_a_reset_are_in_one_season_each(
    service: LeaderboardService, other: LeaderboardService
) -> None:
    """Whatever is acknowledged is in the old season or in the new one, once."""
    board = await service.create_board(NewBoard("sum", "Sum", Operator.SUM))

    async def play(one: LeaderboardService, player: int) -> None:
        for _ in range(10):
            await one.submit(board, player, 1)

    await asyncio.gather(
        *(play(one, player) for one in (service, other) for player in (1, 2, 3)), service.reset_season(board)
    )
    fresh = await service.board("sum")
    assert fresh is not None
    await service.upkeep.tick()
    total = 0.0
    for season in (1, 2):
        total += sum(placed.entry.score for placed in (await service.top(fresh, season=season)).entries)
    assert total == 60


async def test_a_deleted_board_is_gone_with_all_its_rows(
    service: LeaderboardService, other: LeaderboardService, database: Database, client: Client, clock: Clock
) -> None:
    """Its slug is free at once; who still knows it can neither play nor see it; upkeep deletes what it had."""
    board = await service.create_board(NewBoard("b", "B", schedule=SeasonSchedule.DAILY))
    await service.submit(board, 1, 1, key="k")
    clock.set(2026, 3, 3)
    await service.upkeep.tick()
    await service.submit(board, 1, 1)
    known = await other.board("b")
    assert known is not None
    assert await players(other, known) == [1]

    await service.delete_board(board)
    with pytest.raises(Missing):
        await service.delete_board(board)
    assert await service.board("b") is None
    assert await service.boards() == []
    for one in (service, other):
        assert await players(one, known) == []
        with pytest.raises(Missing):
            await one.submit(known, 1, 2)
        with pytest.raises(Missing):
            await one.remove_score(known, 1)
        with pytest.raises(Missing):
            await one.reset_season(known)
    assert await service.scores_of(1) == []
    again = await other.create_board(NewBoard("b", "Again"))
    await other.upkeep.tick()
    assert await other.board("b") == again
    assert await players(other, again) == []
    assert await count(database) == 2, "the new board and its season"
    assert not [
        key
        for key in await client.execute("KEYS", "*ranking*")
        if f"{{{board.id}.".encode() in key and b":turn:" not in key
    ]


async def test_a_player_places_on_many_boards(service: LeaderboardService) -> None:
    """Those where there is a score, in the order asked for."""
    boards = [await service.create_board(NewBoard(f"b-{n}", "B")) for n in range(4)]
    for board in boards[1:3]:
        await service.submit(board, 2, 2)
        await service.submit(board, 1, 1)
    found = await service.places(boards[::-1], 1)
    assert [(board.slug, entry.rank) for board, entry in found] == [("b-2", 2), ("b-1", 2)]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "* * * * *",
        "*/5 * * * *",
        "0,30 * * * *",
        "0 0 30 2 *",
        "0 0 * * * *",
        "@daily",
        "61 * * * *",
        "\u0660 0 * * *",
    ],
)
@ABOVE_SQL
async def test_cron_lines_that_make_no_seasons_are_refused(service: LeaderboardService, line: str) -> None:
    """Those that cannot be read, never come due, or come more often than once an hour; and one without its schedule."""
    with pytest.raises(Invalid):
        await service.create_board(NewBoard("c", "C", schedule=SeasonSchedule.CRON, cron=line))
    with pytest.raises(Invalid):
        await service.create_board(NewBoard("c", "C", cron="0 0 * * *"))
    with pytest.raises(Invalid):
        await service.create_board(NewBoard("c", "C", schedule=SeasonSchedule.CRON))


async def test_seasons_by_a_cron_line(service: LeaderboardService, other: LeaderboardService, clock: Clock) -> None:
    """Each score is in the season of its moment, and a process that starts later counts alike."""
    clock.set(2026, 3, 2, 17, 59)
    board = await service.create_board(NewBoard("c", "C", schedule=SeasonSchedule.CRON, cron="0 18 * * MON,FRI"))
    seasons: list[int] = []
    for day in (2, 3, 6, 7, 9, 20):
        clock.set(2026, 3, day, 18)
        seasons.append((await service.submit(board, 1, day)).season)
        await service.upkeep.tick()
        late = await other.board("c")
        assert late is not None
        assert other.season(late).number == seasons[-1]
        other.directory.forget("c")
    assert seasons == [2, 2, 3, 3, 4, 7]


@ABOVE_SQL
async def test_metadata_is_small_json(service: LeaderboardService, board: BoardRecord) -> None:
    """At most a kilobyte; it stays with the score that it came with."""
    for value in ("x" * 1023, {"deep": 1 << 70}, "\ud800"):
        with pytest.raises(Invalid):
            await service.submit(board, 1, 1, metadata=value)
    await service.submit(board, 1, 5, metadata="x" * 1022)
    await service.submit(board, 1, 4, metadata=1)
    await service.submit(board, 1, 5, metadata=2)
    (entry,) = await service.entries(board, [1], metadata=True)
    assert entry.metadata == '"' + "x" * 1022 + '"'
    assert (await service.entries(board, [1]))[0].metadata is None
    await service.submit(board, 1, 6)
    (entry,) = await service.entries(board, [1], metadata=True)
    assert (entry.score, entry.metadata) == (6, None)
