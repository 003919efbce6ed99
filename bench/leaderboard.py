"""Leaderboards of 10,000 to a million players (ten with ``BENCH_FULL=1``): server time, memory, and a peer.

Server time is what Valkey itself says a script took (``INFO commandstats``), as the least of several rounds, so that it
does not depend on what else the machine does. The peer is the PyPI package ``leaderboard`` with competition ranks, on
the same server, with the same players and scores, asked for the same neighbours in turn with ours.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import redis
import uvloop
from leaderboard.competition_ranking_leaderboard import CompetitionRankingLeaderboard

from bench.report import Report, median
from graph.api.context import Context
from graph.api.node import global_id
from graph.api.schema import build_schema
from graph.endpoint.identity import Caller
from graph.engines.database import migrate
from graph.leaderboard.records import NewBoard, player_key
from graph.leaderboard.seed import seed_players
from graph.patterns.client import open_client
from graph.patterns.ranking import Operator, Ranking, ScoreRow, Ties
from graph.services import open_services
from graph.settings import DatabaseSettings, RedisSettings, Settings
from harness.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from graph.patterns.client import Client
    from graph.services import Services

FULL = os.environ.get("BENCH_FULL") == "1"
SIZES = [10_000, 100_000, 1_000_000, *([10_000_000] if FULL else [])]
ROUNDS, CALLS = 5, 400
NEIGHBOURS = 2
PEER_SECONDS = 1.5
PEER_ROUNDS = 3
AROUND = """query ($slug: String!, $player: ID!) { leaderboard(slug: $slug) { around(player: $player) {
entry { rank score player { id } } above { rank score player { id } } below { rank score player { id } } } } }"""
ASKED, BLOCK = 2000, 200
SENT = 640


def score_of(draw: random.Random) -> float:
    """Log-normal, in steps of ten: many ties."""
    return 10.0 * int(draw.lognormvariate(5.0, 0.8))


async def rows(count: int) -> AsyncIterator[Sequence[ScoreRow]]:
    """Players 1 to `count`."""
    draw = random.Random(7)
    for first in range(1, count + 1, 10_000):
        last = min(first + 9_999, count)
        yield [ScoreRow(player_key(n), score_of(draw), 1e9 + n / 1e3, n) for n in range(first, last + 1)]


async def script_time(client: Client, call: Callable[[], Awaitable[Any]]) -> float:
    """Microseconds that the server needs for one `call`."""
    least = float("inf")
    for _ in range(ROUNDS):
        await client.execute("CONFIG", "RESETSTAT", retry=False)
        for _ in range(CALLS):
            await call()
        stats: bytes = await client.execute("INFO", "commandstats", retry=False)
        found = re.search(rb"cmdstat_evalsha:calls=(\d+),usec=(\d+)", stats)
        assert found is not None
        least = min(least, int(found[2]) / int(found[1]))
    return least


async def memory(client: Client) -> int:
    """Bytes in use."""
    info: bytes = await client.execute("INFO", "memory", retry=False)
    return int(info.partition(b"used_memory:")[2].partition(b"\r")[0])


async def filled(services: Services, size: int) -> Ranking:
    """A board with so many players, in Redis only."""
    board = await services.leaderboards.create_board(NewBoard(f"b{size}", "B", Operator.LATEST, ties=Ties.COMPETITION))
    ranking = services.leaderboards.indexes.of(board, 1)
    await services.leaderboards.size(board)
    await ranking.rebuild(rows(size))
    return ranking


async def scale(services: Services, client: Client, report: Report) -> None:
    """Server time and memory by size."""
    draw = random.Random(1)
    smallest: dict[str, float] = {}
    for size in SIZES:
        before, began = await memory(client), time.perf_counter()
        ranking = await filled(services, size)
        took, used = time.perf_counter() - began, await memory(client) - before

        def around(ranking: Ranking = ranking, size: int = size) -> Awaitable[Any]:
            return ranking.around(player_key(draw.randint(1, size)), NEIGHBOURS)

        def submit(ranking: Ranking = ranking, size: int = size) -> Awaitable[Any]:
            return ranking.submit(player_key(draw.randint(1, size)), score_of(draw))

        for name, call in (("around", around), ("submit", submit)):
            figure = await script_time(client, call)
            first = smallest.setdefault(name, figure)
            aim = "≤ 2× from 10 thousand to 10 million" if size > SIZES[0] else ""
            peer = f"{SIZES[0]:,} players" if size > SIZES[0] else ""
            ratio = figure / first if size > SIZES[0] else None
            report.add(f"server time of {name}, {size:,} players", figure, "µs", peer=peer, ratio=ratio, aim=aim)
        report.add(f"memory, {size:,} players", used / size, "bytes a player")
        report.add(f"loading {size:,} players into the index", size / took, "players/s")


async def dense(client: Client, report: Report) -> None:
    """What dense ties cost on top."""
    size = SIZES[1]
    before = await memory(client)
    ranking = Ranking(client, "dense", ties=Ties.DENSE)
    await ranking.rebuild(rows(size))
    report.add(f"memory, {size:,} players, dense ties", (await memory(client) - before) / size, "bytes a player")
    await ranking.drop()


async def peer(server: ValkeyServer, services: Services, client: Client, report: Report) -> None:
    """Around a player among a million, from one process."""
    size = SIZES[2]
    board = await services.leaderboards.board(f"b{size}")
    assert board is not None
    ranking = services.leaderboards.indexes.of(board, 1)
    connection = redis.Redis(unix_socket_path=str(server.socket))
    draw = random.Random(7)
    for first in range(1, size + 1, 10_000):
        names = [player_key(n) for n in range(first, min(first + 9_999, size) + 1)]
        await client.execute("ZADD", "peer", *(part for name in names for part in (score_of(draw), name)))
    theirs = cast("Any", CompetitionRankingLeaderboard)("peer", redis_connection=connection)
    page = 2 * NEIGHBOURS + 1
    names = [player_key(random.Random(3).randint(1, size)) for _ in range(1000)]

    def sync() -> float:
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < PEER_SECONDS:
            found = theirs.around_me(names[count % 1000], page_size=page)
            assert len(found) == page
            count += 1
        return count / (time.perf_counter() - began)

    async def ours(lanes: int) -> float:
        began, count = time.perf_counter(), 0

        async def lane() -> None:
            nonlocal count
            while time.perf_counter() - began < PEER_SECONDS:
                assert await ranking.around(names[count % 1000], NEIGHBOURS) is not None
                count += 1

        await asyncio.gather(*(lane() for _ in range(lanes)))
        return count / (time.perf_counter() - began)

    figures: dict[str, list[float]] = {"theirs": [], "one": [], "many": []}
    for _ in range(PEER_ROUNDS):
        figures["theirs"].append(await asyncio.to_thread(sync))
        figures["one"].append(await ours(1))
        figures["many"].append(await ours(16))
    base = median(figures["theirs"])
    report.add(f"leaderboard 3.7 (PyPI): around, {size:,} players, one process", base, "requests/s")
    for name, lanes in (("one", "one at a time"), ("many", "16 at a time")):
        ratio = median([own / other for own, other in zip(figures[name], figures["theirs"], strict=True)])
        report.add(
            f"ours: around, {size:,} players, one process, {lanes}",
            median(figures[name]),
            "requests/s",
            peer="leaderboard 3.7",
            ratio=ratio,
            aim="≥ 3×",
        )
    cast("Any", connection).close()


async def graphql(services: Services, report: Report) -> None:
    """The 99th percentile of `around` through the schema, among 10,000 and among a million, in turn."""
    sizes = (SIZES[0], SIZES[2])
    schema, caller, draw = build_schema(), Caller(address="127.0.0.1"), random.Random(2)
    taken: dict[int, list[float]] = {size: [] for size in sizes}
    for turn in range(2 * ASKED):
        size = sizes[turn % 2]
        given = {"slug": f"b{size}", "player": global_id("Player", draw.randint(1, size))}
        began = time.perf_counter()
        result = await schema.execute(AROUND, given, Context(services, caller))
        taken[size].append(time.perf_counter() - began)
        assert result.data is not None, result.errors
        assert result.data["leaderboard"]["around"]["entry"]
    p99 = {size: 1000 * median(_p99s(times)) for size, times in taken.items()}
    for size in sizes:
        last = size == sizes[1]
        report.add(
            f"p99 of around through GraphQL, {size:,} players",
            p99[size],
            "ms",
            peer=f"{sizes[0]:,} players" if last else "",
            ratio=p99[size] / p99[sizes[0]] if last else None,
            aim="≤ 1.5×" if last else "",
        )


async def submissions(services: Services, report: Report) -> None:
    """Processor time of this process for a score in SQL and in the index, sent alone and among others."""
    service = services.leaderboards
    board = await service.create_board(NewBoard("sent", "Sent", Operator.LATEST))
    await seed_players(services.database, service, board, 1000)
    players = [placed.player for placed in (await service.top(board, first=100)).entries]
    draw = random.Random(5)

    async def lane(count: int) -> None:
        for _ in range(count):
            await service.submit(board, draw.choice(players), draw.random())

    alone = 0.0
    for lanes in (1, 8, 64):
        await lane(10)
        began = time.process_time()
        await asyncio.gather(*(lane(SENT // lanes) for _ in range(lanes)))
        figure = 1e6 * (time.process_time() - began) / (SENT // lanes * lanes)
        alone = alone or figure
        peer, ratio = ("1 at a time", figure / alone) if lanes > 1 else ("", None)
        report.add(f"submit on SQLite, {lanes} at a time, processor time", figure, "µs", peer=peer, ratio=ratio)


def _p99s(times: list[float]) -> list[float]:
    """The 99th percentile of each block, so that one stall of the machine spoils one block."""
    blocks = [sorted(times[start : start + BLOCK]) for start in range(0, len(times), BLOCK)]
    return [block[int(0.99 * len(block))] for block in blocks]


async def _run(report: Report) -> None:
    with ValkeyServer() as server, tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'graph.db'}"
        await migrate(url)
        settings = Settings(redis=RedisSettings(url=server.url), database=DatabaseSettings(url=url))
        async with open_client(server.url) as client, open_services(settings) as services:
            await scale(services, client, report)
            await dense(client, report)
            await peer(server, services, client, report)
            await graphql(services, report)
            await submissions(services, report)


def run() -> Report:
    """Measure everything."""
    report = Report("Leaderboards")
    uvloop.run(_run(report))
    report.notes.append("Scores are log-normal in steps of ten, so most players share theirs; ranks are 1224.")
    if not FULL:
        report.notes.append("BENCH_FULL=1 adds ten million players (1.5 GB, some minutes).")
    return report
