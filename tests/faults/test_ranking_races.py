from __future__ import annotations

import asyncio
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

import pytest

from graph.patterns.client import open_client
from graph.patterns.ranking import Operator, Ranking, RankingStale, ScoreRow, Ties
from harness.valkey import ValkeyServer
from tests.support.processes.ranking_load import read, write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from graph.patterns.client import Client


async def test_readers_see_one_instant_while_writers_write(
    valkey: ValkeyServer, client: Client, scaled: Callable[[int, int], int]
) -> None:
    """8 writing and 8 reading processes: every answer has consecutive ranks, ordered scores and the player in it."""
    each = scaled(1250, 80)  # 16 processes, three tie policies: 60,000 operations
    workers = scaled(8, 2)
    loop = asyncio.get_running_loop()
    processes = get_context("forkserver")  # one of them loads what all of them need
    processes.set_forkserver_preload([write.__module__])
    with ProcessPoolExecutor(2 * workers, mp_context=processes) as pool:
        for ties in Ties:
            await client.execute("FLUSHALL", retry=False)
            ranking = Ranking(client, "busy", operator=Operator.LATEST, ties=ties)
            await ranking.create()
            for player in range(0, 60, 2):
                await ranking.submit(str(player), player % 7)
            jobs = [loop.run_in_executor(pool, write, valkey.url, ties, i, each, 60) for i in range(workers)]
            looks = [loop.run_in_executor(pool, read, valkey.url, ties, 100 + i, each, 60) for i in range(workers)]
            await asyncio.gather(*jobs)
            assert sum(await asyncio.gather(*looks)) > 0
            size, page = await ranking.size(), await ranking.page(1000)
            assert len(page.entries) == size
            if ties is Ties.DENSE:
                assert page.entries[-1].rank == await client.execute("ZCARD", "graph:ranking:{busy}:levels")


@pytest.mark.parametrize("ties", Ties)
async def test_no_row_is_lost_while_rebuilds_run_beside_writers(
    client: Client, scaled: Callable[[int, int], int], ties: Ties
) -> None:
    """Rebuild after rebuild beside writers who put each row after it is in the truth: index and truth end up equal."""
    truth: dict[str, ScoreRow] = {}
    ranking = Ranking(client, "b", ties=ties, derived=True)
    clock = iter(range(1, 1 << 40))
    stop = False

    async def truth_rows() -> AsyncIterator[Sequence[ScoreRow]]:
        for first in sorted(truth, key=int)[::7]:
            chunk = [truth[str(i)] for i in range(int(first), int(first) + 7) if str(i) in truth]
            await asyncio.sleep(0)
            yield chunk

    async def writer(player: int, count: int) -> None:
        for n in range(count):
            version = next(clock)
            row = ScoreRow(str(player + 8 * (n % 9)), float(version * 7919 % 23), version / 1e6, version)
            truth[row.player] = row
            await asyncio.sleep(0)
            await ranking.put(row)

    async def builder() -> int:
        builds = 0
        while not stop:
            builds += await ranking.rebuild(truth_rows())
        return builds

    await ranking.rebuild(truth_rows())
    building = asyncio.create_task(builder())
    await asyncio.gather(*(writer(player, scaled(2000, 150)) for player in range(8)))
    stop = True
    assert await building >= 3
    expected = sorted(truth.values(), key=lambda row: (-(row.score or 0), row.achieved_at))
    page = await ranking.page(1000)
    assert [(e.player, e.score, e.achieved_at) for e in page.entries] == [
        (row.player, row.score, row.achieved_at) for row in expected
    ]
    assert page.size == len(truth)


async def test_a_server_that_came_back_with_old_data_gives_no_rank() -> None:
    """After a restart from older data the index is stale until rows are caught up from what it is known to hold."""
    with ValkeyServer(options={"dbfilename": "dump.rdb"}) as server:
        async with open_client(server.url) as client:
            ranking = Ranking(client, "b", derived=True)

            async def source(*rows: ScoreRow) -> AsyncIterator[Sequence[ScoreRow]]:
                yield rows

            old, lost, late = ScoreRow("1", 1, 1, 10), ScoreRow("2", 2, 2, 20), ScoreRow("3", 3, 3, 30)
            assert await ranking.rebuild(source(old), through=10)
            await client.execute("SAVE", retry=False)
            await ranking.put(lost)
            server.kill()
            server.start()
            with pytest.raises(RankingStale):
                await ranking.page(5)
            with pytest.raises(RankingStale):
                await ranking.put(late)
            before, state = await ranking.server_id(), await ranking.state()
            assert (state.stale, state.through) == (True, 10)
            assert await ranking.catch_up(source(lost, late)) == 1
            assert await ranking.verify(state, before, 30)
            assert [entry.player for entry in (await ranking.page(5)).entries] == ["3", "2", "1"]
