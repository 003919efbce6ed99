from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import select

from graph.leaderboard.models import SCORES
from graph.leaderboard.records import BoardRecord, Change, NewBoard, Submission, player_key
from graph.leaderboard.service import LeaderboardService
from graph.leaderboard.submission import intake as taking
from graph.patterns.client import open_client
from graph.patterns.ranking import Operator, Ranking, RankingMissing, ScoreRow, Ties
from harness.valkey import ValkeyServer
from harness.waiting import within
from tests.support.engines.either import in_turn
from tests.support.engines.proxy import Chaos, FaultProxy
from tests.support.models.players import add_players
from tests.support.processes.ranking_load import check

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from graph.engines.database import Database
    from graph.patterns.client import Client
    from tests.support.models.clock import Clock


@pytest.fixture
async def server() -> AsyncIterator[ValkeyServer]:
    """A server of the test's own, to break."""
    with ValkeyServer(aof=True, options={"appendfsync": "always"}) as started:
        yield started


async def in_sql(database: Database) -> dict[str, float]:
    """Who has which score, as SQL says."""
    async with database.session() as session:
        rows = await session.execute(select(SCORES.c.player_id, SCORES.c.score))
        return {player_key(row.player_id): row.score for row in rows}


async def in_index(service: LeaderboardService, board: BoardRecord) -> dict[str, float]:
    """Who has which score, as the index says; raises `RankingMissing` while there is none."""
    page = await service.indexes.of(board, service.season(board).number).page(1000)
    return {entry.player: entry.score for entry in page.entries}


async def commit(database: Database, board: BoardRecord, player: int, score: float) -> ScoreRow:
    """Take a score in and put it nowhere, as a process does that dies then."""
    async with database.transaction() as session:
        (change,) = await taking.take_in(await session.connection(), board, [Submission(board, player, score)], None)
    assert isinstance(change, Change)
    return change.row


async def recovered(service: LeaderboardService, database: Database, board: BoardRecord) -> None:
    """Wait until the index equals SQL; fails after 20 s."""
    async with within("the index to equal SQL"):
        while True:
            try:
                if await in_index(service, board) == await in_sql(database):
                    return
            except (RankingMissing, ConnectionError):
                pass
            except Exception as error:
                if "Redis" not in str(error):
                    raise
            await asyncio.sleep(0.02)


@in_turn("back", ["with its data", "empty"])
async def test_scores_are_accepted_while_redis_is_away(
    database: Database, server: ValkeyServer, clock: Clock, back: str
) -> None:
    """They are committed with rank null, reads answer from SQL, and the index has them all soon after Redis is back."""
    await add_players(database, 20)
    async with (
        open_client(server.url) as client,
        LeaderboardService(database, client, upkeep=0, clock=clock) as service,
    ):
        board = await service.create_board(NewBoard("b", "B"))
        for player in range(1, 6):
            assert (await service.submit(board, player, player)).rank == 1
        server.kill()
        for player in range(4, 11):
            outcome = await service.submit(board, player, 10 + player)
            assert (outcome.rank, outcome.previous_rank, outcome.improved) == (None, None, True)
        top = await service.top(board, first=3)
        assert [(placed.entry.rank, placed.player) for placed in top.entries] == [(1, 10), (2, 9), (3, 8)]
        assert top.total == 10
        around = await service.around(board, 4)
        assert around is not None
        assert around.entry.rank == 7
        if back == "empty":
            for file in server.folder.glob("appendonlydir/*"):
                file.unlink()
        server.start()
        for _ in range(100):
            around = await service.around(board, 4)
            assert around is not None
            assert around.entry.rank == 7, "not even for a moment"
            await asyncio.sleep(0.002)
        await recovered(service, database, board)
        assert (await service.submit(board, 11, 15.5)).rank == 6


async def test_no_score_is_lost_while_redis_comes_and_goes(
    database: Database, server: ValkeyServer, clock: Clock, scaled: Callable[[int, int], int]
) -> None:
    """Scores submitted while the server is killed and started again and again are all in the index in the end."""
    await add_players(database, 40)
    async with (
        open_client(server.url) as client,
        LeaderboardService(database, client, upkeep=0, clock=clock) as service,
    ):
        board = await service.create_board(NewBoard("b", "B", Operator.LATEST))
        over = False

        async def play(seed: int) -> None:
            draw = random.Random(seed)
            while not over:
                await service.submit(board, draw.randint(1, 40), draw.random())
                await asyncio.sleep(0.001)

        async def break_it() -> None:
            nonlocal over
            for _ in range(scaled(15, 2)):
                await asyncio.sleep(0.15)
                server.kill()
                await asyncio.sleep(0.05)
                await asyncio.to_thread(server.start)
            await asyncio.sleep(0.3)
            over = True

        await asyncio.gather(break_it(), *(play(seed) for seed in range(scaled(6, 3))))
        await recovered(service, database, board)
        await asyncio.sleep(0)
        assert await in_index(service, board) == await in_sql(database)


async def test_a_process_cut_off_from_redis_catches_up(
    database: Database, valkey: ValkeyServer, client: Client, clock: Clock
) -> None:
    """When only this process could not reach Redis, what it committed meanwhile is put before it asks again."""
    await add_players(database, 20)
    async with LeaderboardService(database, client, upkeep=0, clock=clock) as others:
        board = await others.create_board(NewBoard("b", "B"))
        for player in range(1, 6):
            await others.submit(board, player, player)
        with FaultProxy(valkey.socket) as proxy:
            async with (
                open_client(proxy.url) as own,
                LeaderboardService(database, own, upkeep=0, clock=clock) as service,
            ):
                assert (await service.submit(board, 6, 6)).rank == 1
                proxy.unleash(Chaos(cut_request=1.0))
                proxy.cut()
                for player in range(7, 12):
                    assert (await service.submit(board, player, player)).rank is None
                around = await service.around(board, 5)
                assert around is not None
                assert around.entry.rank == 7, "counted in SQL"
                proxy.unleash(Chaos())
                for _ in range(50):
                    around = await service.around(board, 5)
                    assert around is not None
                    assert around.entry.rank == 7, "not even for a moment"
                    await asyncio.sleep(0.01)
                await recovered(service, database, board)


async def test_an_emptied_redis_gives_no_wrong_rank(
    database: Database, client: Client, clock: Clock, scaled: Callable[[int, int], int]
) -> None:
    """FLUSHALL, again and again, under submissions and reads: no rank is ever wrong, and index and SQL end up equal."""
    await add_players(database, 40)
    async with (
        LeaderboardService(database, client, upkeep=0, clock=clock) as service,
        LeaderboardService(database, client, upkeep=0, clock=clock) as other,
    ):
        board = await service.create_board(NewBoard("b", "B"))
        for player in range(1, 41):
            await service.submit(board, player, 1000 * player)
        wrong: list[object] = []

        async def play(one: LeaderboardService, seed: int) -> None:
            draw = random.Random(seed)
            for _ in range(scaled(200, 25)):
                player = draw.randint(1, 40)
                outcome = await one.submit(board, player, 1000 * player + draw.randint(1, 900))
                if outcome.rank not in (None, 41 - player):  # nobody ever passes anybody
                    wrong.append(outcome)
                context = await one.around(board, player, neighbours=1)
                assert context is not None
                if context.entry.rank != 41 - player:
                    wrong.append(context)

        async def flush() -> None:
            for _ in range(scaled(40, 6)):
                await asyncio.sleep(0.02)
                await client.execute("FLUSHALL", retry=False)

        await asyncio.gather(flush(), *(play((service, other)[seed % 2], seed) for seed in range(4)))
        assert wrong == []
        await service.around(board, 1)
        await recovered(service, database, board)


@in_turn("lost", ["order", "players", "levels", "state"])
async def test_a_lost_key_is_made_good(database: Database, client: Client, clock: Clock, lost: str) -> None:
    """Any one key of an index lost: the next read finds the ranks as they were."""
    await add_players(database, 9)
    async with LeaderboardService(database, client, upkeep=0, clock=clock) as service:
        board = await service.create_board(NewBoard("b", "B", ties=Ties.DENSE))
        for player in range(1, 10):
            await service.submit(board, player, player // 2)
        before = [placed.entry for placed in (await service.top(board)).entries]
        assert await client.execute("DEL", f"graph:ranking:{{{board.id}.1}}:{lost}", retry=False) == 1
        assert [placed.entry for placed in (await service.top(board)).entries] == before
        assert await in_index(service, board) == await in_sql(database)


async def test_a_whole_fleet_rebuilds_once(database: Database, client: Client, clock: Clock) -> None:
    """However many processes find an index missing, one builds it, and nobody reads a rank from half of it."""
    await add_players(database, 30)
    fleet = [LeaderboardService(database, client, upkeep=0, clock=clock) for _ in range(6)]
    board = await fleet[0].create_board(NewBoard("b", "B", Operator.LATEST))
    for player in range(1, 31):
        await fleet[0].submit(board, player, player)
    await client.execute("FLUSHALL", retry=False)
    await client.execute("CONFIG", "RESETSTAT", retry=False)
    contexts = await asyncio.gather(*(service.around(board, 7) for service in fleet for _ in range(5)))
    assert {context.entry.rank for context in contexts if context is not None} == {24}
    stats: bytes = await client.execute("INFO", "commandstats", retry=False)
    builds = int(stats.decode().partition("cmdstat_rename:calls=")[2].partition(",")[0])
    assert builds == 3, "order, players and state of one index were renamed in place"
    for service in fleet:
        await service.__aexit__()


async def test_a_sweep_brings_what_a_dead_process_did_not_put(database: Database, client: Client, clock: Clock) -> None:
    """A row that was committed by a process which died before its put is in the index after the next sweep."""
    await add_players(database, 3)
    async with LeaderboardService(database, client, upkeep=0, clock=clock) as service:
        board = await service.create_board(NewBoard("b", "B"))
        await service.submit(board, 1, 5)
        await commit(database, board, 2, 9)  # dies before the put
        assert await in_index(service, board) != await in_sql(database)
        await service.upkeep.tick()
        assert await in_index(service, board) == await in_sql(database)


@in_turn("by", ["itself", "a failing one", "a rebuild"])
async def test_rows_that_come_late_outdate_the_board(
    database: Database, client: Client, clock: Clock, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Answers without them are outdated, even if catching up fails after it has put them, or a rebuild puts them."""
    await add_players(database, 20)
    async with LeaderboardService(database, client, upkeep=0, clock=clock) as service:
        board = await service.create_board(NewBoard("main", "Main"))
        await service.submit(board, 1, 1.0)
        row = await commit(database, board, 2, 2.0)
        told: list[str] = []

        async def outdate(slug: str) -> None:
            told.append(slug)

        real = Ranking.catch_up

        async def catch_up(ranking: Ranking, source: Any) -> int:
            late = await real(ranking, source)
            if by != "a failing one":
                return late
            monkeypatch.undo()
            raise RedisConnectionError("gone")

        service.indexes.outdate = outdate
        monkeypatch.setattr(Ranking, "catch_up", catch_up)
        if by == "a rebuild":
            assert await service.rebuild(board)
        service.indexes._note_behind(board, 1, row.version)
        await recovered(service, database, board)
        async with within("the board to be outdated"):
            while not told:
                await asyncio.sleep(0.01)


async def test_an_outage_is_a_line_however_many_boards_there_are(
    database: Database, server: ValkeyServer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Upkeep that is put off says so once, with the reason."""
    await add_players(database, 1)
    async with (
        open_client(server.url) as client,
        LeaderboardService(database, client, upkeep=0, clock=clock) as service,
    ):
        for number in range(4):
            await commit(database, await service.create_board(NewBoard(f"board-{number}", "Board")), 1, 1.0)
        server.kill()
        for _ in range(3):
            await service.upkeep.tick()
        (line,) = [one.getMessage() for one in caplog.records if "is postponed" in one.getMessage()]
        assert "RedisUnavailable('" in line


async def test_a_restarted_server_is_caught_up(database: Database, server: ValkeyServer, clock: Clock) -> None:
    """A server that came back without its last writes gives no rank before they are there again."""
    await add_players(database, 9)
    async with (
        open_client(server.url) as client,
        LeaderboardService(database, client, upkeep=0, clock=clock) as service,
    ):
        board = await service.create_board(NewBoard("b", "B"))
        for player in range(1, 6):
            await service.submit(board, player, player)
        index = service.indexes.of(board, 1)
        # What a lost tail of the append-only file would leave: the row of player 5 as if it had never been put.
        await index.remove(player_key(5))
        await client.execute("HDEL", f"graph:ranking:{{{board.id}.1}}:players", player_key(5), retry=False)
        server.kill()
        server.start()
        contexts = await asyncio.gather(*(service.around(board, 4) for _ in range(10)))
        assert {context.entry.rank for context in contexts if context is not None} == {2}
        assert await in_index(service, board) == await in_sql(database)


async def test_a_row_that_comes_late_is_not_taken_back(database: Database, client: Client, clock: Clock) -> None:
    """Two processes' puts that overtake each other leave the newer row in the index."""
    await add_players(database, 2)
    async with LeaderboardService(database, client, upkeep=0, clock=clock) as service:
        board = await service.create_board(NewBoard("b", "B", Operator.LATEST))
        late = await commit(database, board, 1, 5)
        await service.submit(board, 1, 3)
        assert await service.indexes.put(board, 1, [late]) != [None]
        assert await in_index(service, board) == {player_key(1): 3}
        assert await service.indexes.put(board, 1, [ScoreRow(player_key(1), 4, 1.0, late.version - 1)]) != [None]
        assert await in_index(service, board) == {player_key(1): 3}


async def test_answers_from_sql_are_of_one_instant(
    service: LeaderboardService, without_redis: LeaderboardService, scaled: Callable[[int, int], int]
) -> None:
    """While scores change under them, neighbours counted in SQL are ordered, consecutive, and around their player."""
    board = await service.create_board(NewBoard("busy", "Busy", Operator.LATEST, Ties.COMPETITION))
    over = asyncio.Event()

    async def write(seed: int) -> None:
        draw = random.Random(seed)
        while not over.is_set():
            await service.submit(board, draw.randint(1, 12), draw.randint(0, 9))

    async def read(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(scaled(400, 12)):
            player = draw.randint(1, 12)
            context = await without_redis.around(board, player, neighbours=2)
            if context is not None:
                assert context.entry.player == player_key(player)
                check(context, board.ties, 2)

    writing = [asyncio.create_task(write(seed)) for seed in range(3)]
    try:
        await asyncio.gather(*(read(seed) for seed in range(10, 14)))
    finally:
        over.set()
        await asyncio.gather(*writing)
