from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from graph.errors import Invalid
from graph.leaderboard import index, queries, ranks_tag, reading
from graph.leaderboard.models import ARCHIVE, SCORES, SEASONS
from graph.leaderboard.records import (
    BoardRecord,
    Change,
    NewBoard,
    SeasonRecord,
    SeasonSchedule,
    SeasonState,
    Submission,
)
from graph.leaderboard.rules import season_at, season_number
from graph.leaderboard.seasons import archive
from graph.leaderboard.service import LeaderboardService
from graph.leaderboard.submission import intake as taking
from graph.patterns.cache import observing
from graph.patterns.ranking import Operator, Order, Ties
from harness.waiting import within
from tests.support.engines.either import ABOVE_SQL, in_turn

if TYPE_CHECKING:
    from graph.engines.database import Database
    from graph.patterns.client import Client
    from graph.patterns.ranking import Entry
    from tests.support.models.clock import Clock

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2190, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - has a zone


LINES = ["0 0 * * *", "30 18 * * FRI", "0 12 1 */3 *", "0 0 29 2 *", "5 * * * *", "0 6 L * *", "0 0 * * 1#2"]


def a_board(schedule: SeasonSchedule, created: datetime, cron: str | None = None) -> BoardRecord:
    """A board that was made at `created`."""
    return BoardRecord(1, "b", "B", Operator.BEST, Ties.DENSE, schedule, created, cron=cron)


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=4000)), st.sampled_from(list(SeasonSchedule)[1:4]))
def test_seasons_join_without_a_gap(created: datetime, later: timedelta, schedule: SeasonSchedule) -> None:
    """Every moment lies in exactly one season; the first holds the making of the board; they begin at midnight UTC."""
    board = a_board(schedule, created)
    span = season_at(board, created + later)
    assert span.ends_at is not None
    assert span.starts_at <= created + later < span.ends_at
    assert season_at(board, span.ends_at) == season_number(board, span.number + 1)
    assert season_at(board, span.ends_at - timedelta(microseconds=1)) == span
    assert season_number(board, span.number + 1).starts_at == span.ends_at
    assert season_at(board, created).number == 1
    assert span.starts_at.time() == datetime.min.time()
    assert {SeasonSchedule.WEEKLY: span.starts_at.weekday() == 0, SeasonSchedule.MONTHLY: span.starts_at.day == 1}.get(
        schedule, True
    )


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=40)), st.sampled_from(LINES), st.booleans())
def test_seasons_of_a_cron_line_join_without_a_gap(created: datetime, later: timedelta, line: str, reset: bool) -> None:  # noqa: FBT001 - drawn
    """As above, wherever the seasons are counted from; each begins when the line comes due."""
    board = a_board(SeasonSchedule.CRON, created, line)
    if reset:
        board = replace(board, anchored_at=created, anchor_number=7)
    first = board.anchor_number
    span = season_at(board, created + later)
    assert span.ends_at is not None
    assert span.starts_at <= created + later < span.ends_at
    assert season_at(board, span.ends_at) == season_number(board, span.number + 1)
    assert season_at(board, span.ends_at - timedelta(microseconds=1)) == span
    assert season_number(board, span.number + 1).starts_at == span.ends_at
    assert season_at(board, created).number == first
    assert (span.starts_at == created) is (span.number == first) or span.starts_at.second == 0
    assert span.ends_at - span.starts_at >= timedelta(hours=1) or span.number == first


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=400)), st.sampled_from(list(SeasonSchedule)[:4]))
def test_a_reset_moves_the_count_and_no_boundary(reset: datetime, later: timedelta, schedule: SeasonSchedule) -> None:
    """After a reset seasons end when they would have ended, and are counted on from the reset."""
    made = a_board(schedule, reset - timedelta(days=100))
    before = season_at(made, reset)
    board = replace(made, anchored_at=reset, anchor_number=before.number + 1)
    now = season_at(board, reset)
    assert (now.number, now.starts_at, now.ends_at) == (before.number + 1, reset, before.ends_at)
    assert season_at(board, reset + later).number == season_at(made, reset + later).number + 1
    assert season_at(board, reset + later).ends_at == season_at(made, reset + later).ends_at


def test_a_board_without_seasons_has_one_that_does_not_end() -> None:
    """NEVER: season 1, from the making of the board on."""
    created = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)
    span = season_at(a_board(SeasonSchedule.NEVER, created), created + timedelta(days=9999))
    assert (span.number, span.starts_at, span.ends_at) == (1, created, None)


@in_turn("order, ties", list(itertools.product(Order, Ties)), ("sqlite", "", "postgres", "", "sqlite", ""))
async def test_a_season_ends_in_an_archive(
    service: LeaderboardService, database: Database, client: Client, clock: Clock, *, order: Order, ties: Ties
) -> None:
    """New scores go to the new season; the old one reads as it stood, before, while and after it is archived."""
    draw = random.Random(1)
    board = await service.create_board(NewBoard("d", "D", ties=ties, order=order, schedule=SeasonSchedule.DAILY))
    await asyncio.gather(
        *(
            service.submit(board, player, draw.randint(1, 8), metadata={"player": player} if player % 2 else None)
            for player in range(1, 32)
        )
    )
    assert await service.remove_score(board, 31) is not None
    final = [placed.entry for placed in (await service.top(board, first=100, metadata=True)).entries]
    assert {entry.metadata is None for entry in final} == {False, True}
    halfway = (await service.top(board, first=7)).end

    clock.set(2026, 3, 3)
    outcome = await service.submit(board, 5, 1)
    assert (outcome.rank, outcome.previous_rank, outcome.season) == (1, None, 2)
    assert service.season(board).number == 2
    await reads_as(service, board, final, halfway)
    async with database.session() as session:
        season = await queries.season(session, board, 1)
    assert season is not None
    assert await archive.close(database, season, ties, clock=clock, chunk=4)
    async with LeaderboardService(database, client, upkeep=0, clock=clock) as other:
        await reads_as(other, board, final, halfway)
        assert not await archive.close(database, season, ties, clock=clock)
        await other.upkeep.tick()
        await reads_as(other, board, final, halfway)
    await reads_as(service, board, final, halfway)
    assert await service.size(board) == 1
    async with database.session() as session:
        assert await queries.size(session, season.id) == 0, "the archive has them"
        stored = await queries.season(session, board, 1)
    assert stored is not None
    assert (stored.state, stored.size) == (SeasonState.ARCHIVED, 30)
    assert await client.execute("EXISTS", f"graph:ranking:{{{board.id}.1}}:state") == 0


async def reads_as(service: LeaderboardService, board: BoardRecord, final: list[Entry], halfway: str | None) -> None:
    """Season 1 consists of `final`; `halfway` is a cursor behind its first seven that was given out while it ran."""
    seen: list[Entry] = []
    page = await service.top(board, first=9, season=1)
    while True:
        assert page.total == len(final)
        seen += [placed.entry for placed in page.entries]
        if not page.has_next:
            break
        page = await service.top(board, first=9, after=page.end, season=1)
    assert seen == final
    assert [entry.percentile for entry in seen] == [entry.percentile for entry in final]
    rest = await service.top(board, first=100, after=halfway, season=1)
    assert [placed.entry for placed in rest.entries] == final[7:]
    for at in (0, 1, 15, 29):
        context = await service.around(board, int(final[at].player[1:]), neighbours=3, season=1)
        assert context is not None
        read = [*context.above, context.entry, *context.below]
        assert read == final[max(0, at - 3) : at + 4]
        assert [entry.percentile for entry in read] == [entry.percentile for entry in final[max(0, at - 3) : at + 4]]
    assert await service.around(board, 31, season=1) is None


async def test_a_season_that_is_archived_while_it_is_read_is_shown_whole(
    service: LeaderboardService, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its scores are deleted then: a reader that found it not closed yet reads the archive."""
    board = await service.create_board(NewBoard("d", "D", schedule=SeasonSchedule.DAILY))
    for player in (1, 2):
        await service.submit(board, player, player)
    past = service._past

    async def then_archived(board: BoardRecord, number: int | None) -> SeasonRecord | bool:
        found = await past(board, number)
        assert isinstance(found, SeasonRecord)
        assert not found.state.frozen
        assert await archive.close(database, found, board.ties, clock=clock)
        await archive.purge(database, found)
        return found

    monkeypatch.setattr(service, "_past", then_archived)
    clock.set(2026, 3, 3)
    assert [placed.player for placed in (await service.top(board, season=1)).entries] == [2, 1]
    await service.submit(board, 1, 5)
    clock.set(2026, 3, 4)
    found = await service.around(board, 1, season=2)
    assert found is not None
    assert found.entry.score == 5


async def test_seasons_that_nobody_played_are_empty(service: LeaderboardService, clock: Clock) -> None:
    """A season between two that were played has no entries; one to come is refused."""
    board = await service.create_board(NewBoard("m", "M", schedule=SeasonSchedule.MONTHLY))
    await service.submit(board, 1, 1)
    clock.set(2026, 6, 1)
    assert (await service.submit(board, 1, 2)).season == 4
    page = await service.top(board, season=3)
    assert (page.entries, page.total, page.end) == ([], 0, None)
    assert await service.around(board, 1, season=3) is None
    with pytest.raises(Invalid):
        await service.top(board, season=5)


@ABOVE_SQL
async def test_seasons_that_are_over_do_not_add_up(
    service: LeaderboardService, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process remembers only so many seasons of all that it has read, and reads the others again."""
    monkeypatch.setattr(index, "KNOWN", 3)
    monkeypatch.setattr(reading, "KNOWN", 3)
    board = await service.create_board(NewBoard("m", "M", schedule=SeasonSchedule.MONTHLY))
    for month in range(1, 7):
        clock.set(2026, month, 15)
        await service.submit(board, 1, month)
        await service.upkeep.tick()
    for _ in range(2):
        for season in range(1, service.season(board).number):
            assert [placed.player for placed in (await service.top(board, season=season)).entries] == [1]
            assert len(service._finished) <= 3  # pyright: ignore[reportPrivateUsage] - what must not grow
            assert len(service.indexes._rankings) <= 3  # pyright: ignore[reportPrivateUsage] - what must not grow


async def test_a_slow_clock_gets_into_no_season_that_is_closing(
    service: LeaderboardService, database: Database, client: Client, clock: Clock
) -> None:
    """Once a season is being closed, a process whose clock is behind submits to the next one."""
    board = await service.create_board(NewBoard("d", "D", schedule=SeasonSchedule.DAILY))
    await service.submit(board, 1, 1)
    slow = clock.now
    clock.set(2026, 3, 3)
    await service.upkeep.tick()
    async with LeaderboardService(database, client, upkeep=0, clock=lambda: slow + 1) as late:
        outcome = await late.submit(board, 2, 9)
    assert outcome.season == 2
    page = await service.top(board, season=1)
    assert [placed.player for placed in page.entries] == [1]
    assert [placed.player for placed in (await service.top(board)).entries] == [2]


async def test_what_shows_a_season_that_is_not_closed_depends_on_its_scores(
    service: LeaderboardService, database: Database, client: Client, clock: Clock
) -> None:
    """By the reader's clock it is over, by another one scores still come: they outdate what shows it."""
    board = await service.create_board(NewBoard("weekly", "Weekly", schedule=SeasonSchedule.WEEKLY))
    await service.submit(board, 1, 1.0)
    async with LeaderboardService(database, client, upkeep=0, clock=lambda: clock() + 7 * 86400) as ahead:
        for read in (ahead.top(board, season=1), ahead.around(board, 1, season=1)):
            with observing() as observed:
                assert await ahead.size(board) == 0
                assert await read is not None
            assert observed.narrowed == {ranks_tag("weekly"): None}


async def test_one_of_many_closes_a_season(service: LeaderboardService, database: Database, clock: Clock) -> None:
    """Many at once: exactly one closes it, and the archive has every entry once."""
    board = await service.create_board(NewBoard("d", "D", schedule=SeasonSchedule.DAILY))
    for player in range(1, 21):
        await service.submit(board, player, player % 5)
    clock.set(2026, 3, 3)
    async with database.session() as session:
        season = await queries.season(session, board, 1)
    assert season is not None
    closed = await asyncio.gather(
        *(archive.close(database, season, board.ties, clock=clock, chunk=3) for _ in range(8))
    )
    assert sum(closed) == 1
    assert await archived(database, season.id) == 20


async def archived(database: Database, season: int) -> int:
    """How many entries the archive has."""
    async with database.session() as session:
        counted = select(func.count()).select_from(ARCHIVE).where(ARCHIVE.c.season_id == season)
        return (await session.execute(counted)).scalar_one()


async def test_a_season_that_is_over_is_handed_to_a_worker_first(
    database: Database, service: LeaderboardService, client: Client, clock: Clock
) -> None:
    """Whoever sees one asks for the job; while nobody does that, one process of all closes it after 20 s."""
    board = await service.create_board(NewBoard("d", "D", schedule=SeasonSchedule.DAILY))
    await service.submit(board, 1, 1)
    asked: list[int] = []

    async def ask() -> None:
        asked.append(1)

    async def state() -> SeasonState | None:
        found = await stored(database, board)
        return None if found is None else found.state

    async with (
        LeaderboardService(database, client, upkeep=0, clock=clock, delegate=ask) as web,
        LeaderboardService(database, client, upkeep=0, clock=clock, delegate=ask) as other,
    ):
        await web.upkeep.tick()
        assert asked == [], "it runs"
        clock.set(2026, 3, 3, 0, 0, 19)
        await asyncio.gather(web.upkeep.tick(), other.upkeep.tick())
        assert (await state(), asked) == (SeasonState.OPEN, [1, 1])
        clock.set(2026, 3, 3, 0, 0, 21)
        await client.execute("SET", f"graph:ranking:{{{board.id}.1}}:turn:finish", 1, retry=False)
        await web.upkeep.tick()
        assert await state() is SeasonState.OPEN, "it is another one's turn"
        await client.execute("DEL", f"graph:ranking:{{{board.id}.1}}:turn:finish", retry=False)
        await asyncio.gather(web.upkeep.tick(), other.upkeep.tick())
        assert await state() is SeasonState.ARCHIVED


async def test_without_redis_seasons_are_closed_all_the_same(
    without_redis: LeaderboardService, service: LeaderboardService, database: Database, client: Client, clock: Clock
) -> None:
    """The archive is written and read; the index, and then the scores that it was built from, go when Redis is back."""
    board = await service.create_board(NewBoard("d", "D", schedule=SeasonSchedule.DAILY))
    await service.submit(board, 1, 1)
    clock.set(2026, 3, 3)
    await without_redis.upkeep.tick()
    await without_redis.upkeep.tick()

    async def standing() -> tuple[SeasonState, int, int]:
        async with database.session() as session:
            season = await queries.season(session, board, 1)
            assert season is not None
            return season.state, await queries.size(session, season.id), await archived(database, season.id)

    assert await standing() == (SeasonState.CLOSED, 1, 1)
    assert [placed.player for placed in (await without_redis.top(board, season=1)).entries] == [1]
    await service.upkeep.tick()
    assert await standing() == (SeasonState.ARCHIVED, 0, 1)
    assert await client.execute("KEYS", f"graph:ranking:{{{board.id}.1}}:*", retry=False) == [
        f"graph:ranking:{{{board.id}.1}}:turn:finish".encode()
    ]


async def test_upkeep_goes_on_by_itself(
    database: Database, service: LeaderboardService, client: Client, clock: Clock
) -> None:
    """A service that was opened looks around again and again, whatever became of the look before."""
    board = await service.create_board(NewBoard("d", "D", schedule=SeasonSchedule.DAILY))
    await service.submit(board, 1, 1)
    looks = 0

    async def fail() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            clock.set(2026, 3, 3, 0, 1)
        raise RuntimeError

    clock.set(2026, 3, 3)
    async with (
        LeaderboardService(database, client, upkeep=0.02, clock=clock, delegate=fail),
        within("the season to be archived"),
    ):
        while (season := await stored(database, board)) is None or season.state is not SeasonState.ARCHIVED:
            await asyncio.sleep(0.02)
    assert looks >= 3


async def stored(database: Database, board: BoardRecord) -> SeasonRecord | None:
    """Season 1 as SQL has it."""
    async with database.session() as session:
        return await queries.season(session, board, 1)


async def test_a_killed_closer_is_taken_over_and_cannot_write_again(
    service: LeaderboardService, database: Database, clock: Clock
) -> None:
    """After its lease another process goes on where it stopped; if it wakes up then, it is turned away."""
    board = await service.create_board(NewBoard("d", "D", ties=Ties.COMPETITION, schedule=SeasonSchedule.DAILY))
    for player in range(1, 21):
        await service.submit(board, player, player % 4)
    final = [placed.entry for placed in (await service.top(board, first=100)).entries]
    clock.set(2026, 3, 3)
    async with database.session() as session:
        season = await queries.season(session, board, 1)
    assert season is not None
    reads = 0
    frozen = asyncio.Event()

    def dying_clock() -> float:
        nonlocal reads
        reads += 1
        if reads == 4:
            frozen.set()
            raise InterruptedError
        return clock()

    with pytest.raises(InterruptedError):
        await archive.close(database, season, board.ties, clock=dying_clock, lease=60, chunk=3)
    assert await archived(database, season.id) == 6
    assert not await archive.close(database, season, board.ties, clock=clock), "its lease still runs"
    async with database.session() as session:
        token = (await session.execute(select(SEASONS.c.closer).where(SEASONS.c.id == season.id))).scalar_one()
    clock.now += 61
    assert await archive.close(database, season, board.ties, clock=clock, chunk=3)
    with pytest.raises(archive.TakenOver):
        async with database.transaction() as session:
            await archive.hold(session, season.id, token, 0)
    page = await service.top(board, first=100, season=1)
    assert [placed.entry for placed in page.entries] == final


async def test_no_score_is_lost_between_two_seasons(
    service: LeaderboardService, database: Database, client: Client, clock: Clock
) -> None:
    """While seasons end under fire, every accepted score is in the season that its answer names."""
    board = await service.create_board(NewBoard("d", "D", Operator.LATEST, schedule=SeasonSchedule.DAILY))
    accepted: dict[tuple[int, int], float] = {}
    async with LeaderboardService(database, client, upkeep=0, clock=clock) as other:

        async def play(player: int) -> None:
            for turn in range(12):
                outcome = await (service, other)[turn % 2].submit(board, player, player * 100 + turn)
                accepted[outcome.season, player] = outcome.score

        async def days() -> None:
            for day in range(3, 6):
                await asyncio.sleep(0.03)
                clock.set(2026, 3, day)
                await asyncio.gather(service.upkeep.tick(), other.upkeep.tick())

        await asyncio.gather(days(), *(play(player) for player in range(1, 9)))
    running = service.season(board).number
    found = {
        (number, placed.player): placed.entry.score
        for number in range(1, running + 1)
        for placed in (await service.top(board, first=100, season=number)).entries
    }
    assert found == accepted


async def test_closing_waits_for_scores_under_way(
    service: LeaderboardService, database: Database, clock: Clock
) -> None:
    """A score whose transaction began in time is in the archive, however late it commits."""
    board = await service.create_board(NewBoard("d", "D", schedule=SeasonSchedule.DAILY))
    await service.submit(board, 1, 1)
    async with database.session() as session:
        season = await queries.season(session, board, 1)
    assert season is not None
    async with database.transaction() as session:
        begun = Submission(board, 2, 7)
        (taken,) = await taking.take_in(await session.connection(), board, [begun], clock)
        assert isinstance(taken, Change)
        clock.set(2026, 3, 3)
        closing = asyncio.create_task(archive.close(database, season, board.ties, clock=clock))
        done, _ = await asyncio.wait([closing], timeout=0.3)
        assert not done
    assert await closing
    assert [placed.player for placed in (await service.top(board, season=1)).entries] == [2, 1]


async def test_the_database_says_when_a_season_ends(
    database: Database, service: LeaderboardService, client: Client
) -> None:
    """Without a clock of its own the service uses the database's, for the season and for the time of a score."""
    async with LeaderboardService(database, client, upkeep=0) as real:
        board = await real.create_board(NewBoard("now", "Now", schedule=SeasonSchedule.WEEKLY))
        before = datetime.now(UTC).timestamp() - 1
        await real.submit(board, 1, 1)
        entry = (await real.top(board)).entries[0].entry
        assert before <= entry.achieved_at <= datetime.now(UTC).timestamp() + 1
        async with database.transaction() as session:
            await session.execute(update(SEASONS).values(starts_at=0, ends_at=1))
        assert (await real.submit(board, 1, 1)).season == 2
        async with database.session() as session:
            assert (await session.execute(select(func.count()).select_from(SCORES))).scalar_one() == 2
