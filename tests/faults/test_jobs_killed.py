"""Workers and the queue's Redis killed in the middle of the work: nothing is lost, and nothing counts twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from graph.jobs import Definition, Jobs, JobState, Progress, Worker, delivery
from graph.patterns.client import RedisUnavailable, open_client
from harness.valkey import ValkeyServer
from harness.waiting import HANG, within
from tests.support.processes import fork_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.processes.forks import Fork

WORKERS = 4
TIMEOUT = 20.0


async def work_until_killed(url: str, database: str, dead_after: float) -> None:
    """Be a worker whose job adds a row and counts it, both in one transaction, with a pause in the middle.

    It counts another worker as dead after `dead_after` seconds; one that was only slow does nothing twice, either.
    """
    delivery.DEAD_AFTER = dead_after

    async def effect(progress: Progress, *, number: int) -> None:
        await asyncio.sleep(random.uniform(0, 0.3))  # long enough that kills hit it: a fork begins at once
        with contextlib.closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")  # under a Turkish locale Python does not know an INSERT, nor what it changes
            db.execute("INSERT OR IGNORE INTO effect VALUES (?)", (number,))
            db.execute("UPDATE tally SET count = count + changes()")
            db.execute("COMMIT")
        await asyncio.sleep(random.uniform(0, 0.3))
        await progress(1, 1)

    async with open_client(url) as client:
        worker = Worker(Jobs(client, prefix="test"), [Definition("effect", effect, TIMEOUT)], concurrency=8)
        await worker.run(asyncio.Event())


class Fleet:
    """Worker processes that are killed and replaced."""

    def __init__(self, url: str, database: str, dead_after: float) -> None:
        call = f"asyncio.run(work_until_killed({url!r}, {database!r}, {dead_after}))"
        self._code = f"import asyncio; from {__name__} import work_until_killed; {call}"
        self.workers: list[Fork] = []

    def hire(self) -> None:
        with Path(os.devnull).open("wb") as quiet:
            self.workers.append(fork_server.python("-c", self._code, out=quiet))

    def kill_one(self) -> None:
        victim = self.workers.pop(random.randrange(len(self.workers)))
        victim.kill()
        victim.wait()

    def end(self) -> None:
        while self.workers:
            self.kill_one()


async def _all_ended(jobs: Jobs, ids: list[str], patience: float) -> None:
    """Wait until every job has succeeded."""
    async with within("every job to succeed", patience):
        while True:
            with contextlib.suppress(RedisUnavailable):
                found = await jobs.get_many(ids)
                assert all(job is not None for job in found), "a job was lost"
                if all(job is not None and job.state is JobState.SUCCEEDED for job in found):
                    return
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("redis_dies", [False, True], ids=["workers", "workers-and-redis"])
async def test_killed_workers_lose_nothing_and_do_nothing_twice(
    tmp_path: Path, scaled: Callable[[int, int], int], *, redis_dies: bool
) -> None:
    """Workers SIGKILLed at random: each job's effect is in SQL exactly once, and none is stuck."""
    count, kills = scaled(1000, 120), scaled(50, 4)
    database = str(tmp_path / "effects.db")
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE effect (number INTEGER PRIMARY KEY)")
        db.execute("CREATE TABLE tally (count INTEGER)")
        db.execute("INSERT INTO tally VALUES (0)")
    with ValkeyServer(aof=True) as server:
        fleet = Fleet(server.url, database, scaled(7, 3))
        async with open_client(server.url) as client:
            jobs = Jobs(client, prefix="test")
            ids = await asyncio.gather(*[jobs.enqueue("effect", {"number": number}) for number in range(count)])
            for _ in range(WORKERS):
                fleet.hire()
            try:
                for kill in range(kills):
                    await asyncio.sleep(random.uniform(0.2, 0.6))
                    fleet.kill_one()
                    fleet.hire()
                    if redis_dies and kill % 5 == 2:
                        server.kill()
                        server.start()
                await _all_ended(jobs, ids, 2 * HANG)
            finally:
                fleet.end()
    with contextlib.closing(sqlite3.connect(database)) as db:
        assert db.execute("SELECT count(*) FROM effect").fetchone() == (count,)
        assert db.execute("SELECT count FROM tally").fetchone() == (count,)
