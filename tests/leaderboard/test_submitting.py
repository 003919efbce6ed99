"""Submissions in groups: few transactions, and to each submitter as if it were alone."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import tempfile
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from graph.engines import postgres, sqlite
from graph.errors import Invalid, Missing
from graph.leaderboard.keys import ranking_name
from graph.leaderboard.models import SCORES, SUBMISSIONS
from graph.leaderboard.records import BoardRecord, NewBoard, Outcome, player_key
from graph.leaderboard.service import LeaderboardService
from graph.patterns.client import RedisUnavailable
from graph.patterns.ranking import Operator, Ties
from harness.waiting import HANG, within
from tests.support.models.clock import Clock
from tests.support.models.players import PLAYERS, add_players
from tests.support.processes.fork_server import python

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from graph.engines.database import Database
    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

LINES = 800
"""Bytes of two hundred acknowledgements and more."""
UNKNOWN = 10_000
POISON = 2**70  # a number that no engine takes


@contextmanager
def hearing(database: Database, note: Callable[[], None]) -> Generator[None]:
    """Call `note` when a transaction is about to be committed, or is handed to the driver as a whole."""
    direct: Any = {"sqlite": sqlite.SqliteConnection, "postgresql": postgres.PostgresDirect}[database.dialect]
    transact = direct.transact

    async def leave(self: Any, *what: Any) -> Any:
        note()
        return await transact(self, *what)

    def commit(_: Any) -> None:
        note()

    event.listen(database.engine.sync_engine, "commit", commit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(direct, "transact", leave)
        yield
    event.remove(database.engine.sync_engine, "commit", commit)


@contextmanager
def commits(database: Database) -> Generator[list[None]]:
    """A list that grows with every commit."""
    seen: list[None] = []
    with hearing(database, lambda: seen.append(None)):
        yield seen


async def test_sixty_four_at_once_are_few_transactions(
    service: LeaderboardService, database: Database, board: BoardRecord
) -> None:
    """64 of new players, or of one player, are two commits at most; with keys, whose answers are kept too, four."""
    await service.submit(board, 1, 0.5)
    with commits(database) as seen:
        outcomes = await asyncio.gather(*(service.submit(board, 1 + n % PLAYERS, n + 1.0) for n in range(64)))
        assert len(seen) <= 2
        assert [outcome.score for outcome in outcomes] == [n + 1.0 for n in range(64)]
        del seen[:]
        await asyncio.gather(*(service.submit(board, 7, 100.0 + n) for n in range(64)))
        assert len(seen) <= 2
        del seen[:]
        await asyncio.gather(*(service.submit(board, 1, 900.0 + n, key=f"k{n}") for n in range(64)))
        assert len(seen) <= 4


class Steps(Clock):
    """A clock that goes on by a millisecond at every look."""

    def __call__(self) -> float:
        self.now += 1e-3
        return self.now


SCORE = st.sampled_from([0.0, 1.0, 1.0, 2.5, -3.0, 1.7e308, -1.7e308])
SENT = st.tuples(st.sampled_from([1, 1, 2, 3, 4, UNKNOWN]), SCORE, st.sampled_from([None, None, None, "a", "b", "c"]))
BATCHES = st.lists(st.lists(SENT, min_size=1, max_size=9), min_size=1, max_size=3)
Sent = tuple[int, float, "str | None"]


async def outcome(service: LeaderboardService, board: BoardRecord, sent: Sent) -> Outcome | type[Exception]:
    """What a submission comes to, a refusal included."""
    player, score, key = sent
    try:
        return await service.submit(board, player, score, key=key)
    except (Missing, Invalid) as refusal:
        return type(refusal)


async def in_turn(
    service: LeaderboardService, board: BoardRecord, batch: Sequence[Sent]
) -> list[Outcome | type[Exception]]:
    """One after the other; what waited for another of its key, which was refused, comes after the rest."""
    outcomes: dict[int, Outcome | type[Exception]] = {}
    left = list(enumerate(batch))
    while left:
        refused: dict[tuple[int, str], list[tuple[int, Sent]]] = {}
        for at, sent in left:
            player, _, key = sent
            if key is not None and (player, key) in refused:
                refused[player, key].append((at, sent))
                continue
            outcomes[at] = await outcome(service, board, sent)
            if key is not None and outcomes[at] is Invalid:
                refused[player, key] = []
        left = [late for waiting in refused.values() for late in waiting]
    return [outcomes[at] for at in range(len(batch))]


async def test_each_gets_what_it_would_get_alone(
    database: Database, client: Client, scaled: Callable[[int, int], int]
) -> None:
    """Scores, improvements, ranks before and after, refusals, replays: in groups as one after the other."""
    await add_players(database, 4)
    loop = asyncio.get_running_loop()
    async with LeaderboardService(database, client, upkeep=0, clock=Steps()) as service:

        async def compare(batches: Sequence[Sequence[Sent]], operator: Operator, ties: Ties) -> None:
            number = next(numbers)
            grouped = await service.create_board(NewBoard(f"grouped-{number}", "G", operator, ties))
            alone = await service.create_board(NewBoard(f"alone-{number}", "A", operator, ties))
            for board in (grouped, alone):
                await service.size(board)  # a rank before is not known while there is no index
            for batch in batches:
                together = await asyncio.gather(*(outcome(service, grouped, sent) for sent in batch))
                assert together == await in_turn(service, alone, batch)
            boards = [[(p.entry.rank, p.player, p.entry.score) for p in await top(board)] for board in (grouped, alone)]
            assert boards[0] == boards[1]

        async def top(board: BoardRecord) -> Sequence[Any]:
            return (await service.top(board)).entries

        numbers = iter(range(1_000_000))

        @settings(
            max_examples=scaled(300, 8),
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @example([[(1, 1.7e308, None), (1, 1.7e308, "a"), (1, 0.0, "a")]], Operator.SUM, Ties.EARLIEST_FIRST)
        @example(
            [[(3, -1.7e308, None), (3, -1.7e308, "a"), (3, 0.0, "a"), (1, 0.0, None)]],
            Operator.SUM,
            Ties.EARLIEST_FIRST,
        )
        @given(BATCHES, st.sampled_from(Operator), st.sampled_from(Ties))
        def check(batches: Sequence[Sequence[Sent]], operator: Operator, ties: Ties) -> None:
            asyncio.run_coroutine_threadsafe(compare(batches, operator, ties), loop).result(HANG)

        await asyncio.to_thread(check)


async def test_a_poisoned_submission_fails_alone(
    service: LeaderboardService, database: Database, board: BoardRecord
) -> None:
    """What SQL cannot take, and who does not exist, is refused; neighbours with and without keys are taken in, once."""
    other = await service.create_board(NewBoard("sum", "Sum", Operator.SUM))
    with commits(database) as seen:
        results = await asyncio.gather(
            *(service.submit(board, player, float(player)) for player in range(1, 20)),
            service.submit(board, POISON, 1),
            *(service.submit(other, player, 3.0, key="k") for player in range(1, 20)),
            service.submit(other, UNKNOWN, 1, key="k"),
            return_exceptions=True,
        )
        assert len(seen) <= 14, "by halves, not one by one"
    refused = [result for result in results if not isinstance(result, Outcome)]
    assert [type(refusal) for refusal in refused[1:]] == [Missing]
    assert isinstance(refused[0], Exception)
    assert [result.score for result in results if isinstance(result, Outcome)] == [
        *(float(player) for player in range(1, 20)),
        *[3.0] * 19,
    ]
    assert await service.size(board) == await service.size(other) == 19


async def test_who_is_cancelled_leaves_the_others_alone(service: LeaderboardService, board: BoardRecord) -> None:
    """Half of the submitters give up while they wait: the other half are answered as ever."""
    tasks = [asyncio.create_task(service.submit(board, player, float(player))) for player in range(1, 41)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results[::2]] == [asyncio.CancelledError] * 20
    assert [result.score for result in results[1::2] if isinstance(result, Outcome)] == [
        float(player) for player in range(2, 41, 2)
    ]


async def test_what_is_refused_to_nobody_is_no_fault(
    service: LeaderboardService, board: BoardRecord, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever sent a score under a key has given up by the time that it is refused: no log tells of an error."""
    task = asyncio.create_task(service.submit(board, UNKNOWN, 1.0, key="k"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(Missing):  # which shares the answer to the first, or comes after it
        await service.submit(board, UNKNOWN, 1.0)
    while service._submissions._answering:  # pyright: ignore[reportPrivateUsage]
        await asyncio.sleep(0)
    del task
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == []


async def test_a_group_that_was_abandoned_is_in_the_index(
    service: LeaderboardService, database: Database, board: BoardRecord
) -> None:
    """All who sent a group are cancelled while it is committed: its rows are put all the same."""
    await service.size(board)  # there is an index, which nobody builds anew
    tasks: list[asyncio.Task[Outcome]] = []

    def abandon() -> None:
        for task in tasks:
            task.cancel()

    with hearing(database, abandon):
        tasks += [asyncio.create_task(service.submit(board, player, 1.0)) for player in (1, 2, 3)]
        await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    async with within("three rows in the index"):
        while len((await service.top(board)).entries) < 3:
            await asyncio.sleep(0.01)


async def test_two_processes_add_up(
    database: Database, client: Client, clock: Clock, scaled: Callable[[int, int], int]
) -> None:
    """Two that write the same players' sums, and the same keys, at the same time lose nothing and add nothing twice."""
    await add_players(database, 6)
    turns = scaled(150, 8)
    async with (
        LeaderboardService(database, client, upkeep=0, clock=clock) as one,
        LeaderboardService(database, client, upkeep=0, clock=clock) as two,
    ):
        board = await one.create_board(NewBoard("sum", "Sum", Operator.SUM))

        async def play(service: LeaderboardService, player: int) -> None:
            for turn in range(turns):
                await service.submit(board, player, 1.0)
                await service.submit(board, player, 100.0, key=f"turn-{turn}")

        await asyncio.gather(*(play(service, player) for service in (one, two) for player in (1, 2, 3, 4, 5, 6)))
        entries = (await one.top(board)).entries
        assert {placed.player: placed.entry.score for placed in entries} == dict.fromkeys(range(1, 7), 102.0 * turns)


async def test_what_was_acknowledged_survives_a_kill(
    database: Database, database_url: str, client: Client, valkey: ValkeyServer, scaled: Callable[[int, int], int]
) -> None:
    """SIGKILL amid groups: every acknowledged score is in SQL, with its key; sent again, none counts twice.

    Whoever looks meanwhile finds each score with its key, too: a kill would seldom hit the moment between the two.
    """
    players = 5
    await add_players(database, players)
    async with LeaderboardService(database, client, upkeep=0) as service:
        board = await service.create_board(NewBoard("sum", "Sum", Operator.SUM))
        first = 0
        for _ in range(scaled(8, 1)):
            sent, acknowledged = await killed(database, database_url, valkey.url, first)
            await whole(database)
            async with database.session() as session:
                assert acknowledged <= set(await session.scalars(select(SUBMISSIONS.c.key)))
            await asyncio.gather(
                *(service.submit(board, 1 + number % players, 1.0, key=str(number)) for number in range(sent))
            )
            first = sent
        async with database.session() as session:
            rows = (await session.execute(select(SCORES.c.player_id, SCORES.c.score))).all()
    assert {row.player_id: row.score for row in rows} == Counter(1 + number % players for number in range(first))


async def whole(database: Database) -> None:
    """Fail if there is a score without its key, or the reverse: the two are one transaction."""
    keys = select(func.count()).select_from(SUBMISSIONS).scalar_subquery()
    [(more,)] = await database.execute(select(func.coalesce(func.sum(SCORES.c.score), 0.0) - keys))
    assert more == 0


async def killed(database: Database, database_url: str, redis_url: str, first: int) -> tuple[int, set[str]]:
    """Let a process send scores with keys from `first` on and kill it; how far it may have come, and what it told."""
    with tempfile.TemporaryFile() as out:
        process = python("-m", "tests.support.processes.score_sender", database_url, redis_url, str(first), out=out)
        try:
            async with within("two hundred acknowledgements"):
                while os.fstat(out.fileno()).st_size <= LINES and process.poll() is None:
                    await whole(database)
                    await asyncio.sleep(random.uniform(0, 0.005))
            await asyncio.sleep(random.uniform(0, 0.03))  # any moment of a group's life
        finally:
            process.kill()
        assert await asyncio.to_thread(process.wait, HANG) == -signal.SIGKILL
        out.seek(0)
        lines = out.read().splitlines(keepends=True)
    acknowledged = {line.decode().strip() for line in lines if line.endswith(b"\n")}
    return max(map(int, acknowledged)) + 100, acknowledged


async def test_a_score_that_changes_nothing_outdates_nothing_again(
    service: LeaderboardService, database: Database, client: Client, clock: Clock
) -> None:
    """A player's best is outdated once; all of the board by who cannot know whether it was: another process."""
    outdated: list[tuple[tuple[str, ...], Sequence[str]]] = []
    away = False

    async def invalidate(*tags: str, then: Sequence[str] = ()) -> None:
        outdated.append((tags, then))
        if away:
            raise RedisUnavailable("away")

    whole = [(("leaderboard:best",), ())]
    board = await service.create_board(NewBoard("best", "Best", Operator.BEST))
    async with (
        LeaderboardService(database, client, upkeep=0, clock=clock, invalidate=invalidate) as one,
        LeaderboardService(database, client, upkeep=0, clock=clock, invalidate=invalidate) as other,
    ):
        await one.submit(board, 2, 1)  # there is an index now
        outdated.clear()
        await one.submit(board, 1, 10)
        await asyncio.gather(*(one.submit(board, 1, score) for score in (5, 12, 12)))
        await one.submit(board, 1, 3)
        assert [(tags, bool(then)) for tags, then in outdated] == [(("leaderboard:best:ranks",), True)] * 2
        outdated.clear()
        await other.submit(board, 1, 4)
        assert outdated == whole
        await other.submit(board, 1, 5)
        assert outdated == whole
        outdated.clear()
        index = f"graph:ranking:{{{ranking_name(board.id, 1)}}}"
        (lost, *_) = await client.execute("ZRANGE", f"{index}:order", 0, 0)
        await client.execute("ZREM", f"{index}:order", lost)
        await client.execute("HDEL", f"{index}:players", player_key(1))
        await client.execute("HINCRBY", f"{index}:state", "size", -1, retry=False)
        await other.submit(board, 1, 5)
        assert outdated == whole, (
            "the index had lost the row, or never got it: others have been shown the board without it"
        )
        outdated.clear()
        away = True
        await other.submit(board, 1, 20)
        away = False
        outdated.clear()
        await other.submit(board, 1, 19)
        assert outdated == whole, "that of the row before was not confirmed"


async def test_a_row_that_got_into_the_index_late_is_not_known_to_be_told_of(
    service: LeaderboardService, database: Database, client: Client, clock: Clock
) -> None:
    """What was outdated before it was there has been kept again without it; that of what put it was not confirmed."""
    outdated: list[tuple[str, ...]] = []
    away = False

    async def invalidate(*tags: str, then: Sequence[str] = ()) -> None:
        outdated.append((*tags, *then))
        if away:
            raise RedisUnavailable("away")

    board = await service.create_board(NewBoard("best", "Best", Operator.BEST))
    async with LeaderboardService(database, client, upkeep=0, clock=clock, invalidate=invalidate) as one:
        await one.submit(board, 2, 1)  # there is an index now
        index = f"graph:ranking:{{{ranking_name(board.id, 1)}}}"
        await client.execute("RENAME", f"{index}:players", f"{index}:aside", retry=False)
        await client.execute("SET", f"{index}:players", "no players", retry=False)
        outcome = await one.submit(board, 1, 10)
        assert outcome.rank is None
        away = True
        await client.execute("RENAME", f"{index}:aside", f"{index}:players", retry=False)
        async with within("the row to be put late"):
            while one.indexes._behind or one.indexes._mending:
                await asyncio.sleep(0.01)
        away = False
        outdated.clear()
        outcome = await one.submit(board, 1, 5)
        assert (outcome.rank, outdated) == (1, [("leaderboard:best",)])
