"""The queue moves under the workers: Sentinel failovers, and a slot of a cluster that is migrated."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from typing import TYPE_CHECKING

from redis.crc import key_slot
from redis.exceptions import RedisError

from graph.jobs import Definition, Jobs, JobState, Progress, Worker
from graph.patterns.client import command, open_client
from harness.valkey import SentinelSet, ValkeyCluster
from harness.waiting import within

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from graph.patterns.client import Client

WORKERS = 3


class Effects:
    """What the jobs do: a row each, and a count of the rows, in one transaction of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at_once = asyncio.Semaphore(4)  # SQLite has one writer, and its lock is not fair
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE effect (number INTEGER PRIMARY KEY)")
            db.execute("CREATE TABLE tally (count INTEGER)")
            db.execute("INSERT INTO tally VALUES (0)")

    async def take_effect(self, progress: Progress, *, number: int) -> None:
        """Be the job."""
        await asyncio.sleep(random.uniform(0, 0.15))
        async with self._at_once:
            await asyncio.to_thread(self._add, number)
        await progress(1, 1)

    def _add(self, number: int) -> None:
        with contextlib.closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")  # under a Turkish locale Python does not know an INSERT, nor what it changes
            db.execute("INSERT OR IGNORE INTO effect VALUES (?)", (number,))
            db.execute("UPDATE tally SET count = count + changes()")
            db.execute("COMMIT")

    def counted(self) -> tuple[int, int]:
        """The rows, and what they were counted as."""
        with contextlib.closing(sqlite3.connect(self._path)) as db:
            rows: tuple[int] = db.execute("SELECT count(*) FROM effect").fetchone()
            tally: tuple[int] = db.execute("SELECT count FROM tally").fetchone()
        return rows[0], tally[0]


@contextlib.asynccontextmanager
async def at_work(url: str, effects: Effects) -> AsyncGenerator[None]:
    """Some workers, each with a client of its own."""
    stop = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(open_client(url)) for _ in range(WORKERS)]
        workers = [
            Worker(Jobs(client, prefix="test"), [Definition("effect", effects.take_effect)], concurrency=8)
            for client in clients
        ]
        running = [asyncio.create_task(worker.run(stop)) for worker in workers]
        try:
            yield
            assert not any(task.done() for task in running)
        finally:
            stop.set()
            await asyncio.gather(*running)


async def some_done(client: Client, ids: list[str], share: float) -> None:
    """Wait until this share of the jobs has succeeded."""
    jobs, left = Jobs(client, prefix="test"), list(ids)
    async with within(f"{share:.0%} of the jobs succeed", 240):
        while len(ids) - len(left) < share * len(ids):
            with contextlib.suppress(RedisError):
                for job in await jobs.get_many(left[:8]):  # they are taken in this order
                    assert job is not None
                    assert job.state is not JobState.FAILED
                    if job.state is JobState.SUCCEEDED:
                        left.remove(job.id)
            await asyncio.sleep(0.05)


async def enqueued(client: Client, count: int) -> list[str]:
    """So many jobs."""
    jobs = Jobs(client, prefix="test")
    return await asyncio.gather(*[jobs.enqueue("effect", {"number": n}, durable=False) for n in range(count)])


async def test_jobs_outlive_two_failovers(tmp_path: Path, scaled: Callable[[int, int], int]) -> None:
    """The primary changes amid the work, and changes back: each job takes effect once, and none is lost."""
    count, effects = scaled(1000, 60), Effects(tmp_path / "effects.db")
    with SentinelSet() as sentinel:
        async with open_client(sentinel.url) as client:
            ids = await enqueued(client, count)
            assert await client.send(command("WAIT", 1, 30_000, retry=False)) == 1  # the replica has them, too
            async with at_work(sentinel.url, effects):
                for share in (0.2, 0.5):
                    await some_done(client, ids, share)
                    await asyncio.to_thread(sentinel.fail_over)
                await some_done(client, ids, 1)
    assert effects.counted() == (count, count)


async def test_jobs_outlive_the_migration_of_their_slot(tmp_path: Path, scaled: Callable[[int, int], int]) -> None:
    """The queue goes to another node of the cluster amid the work: each job takes effect once, and none is lost."""
    count, effects = scaled(1000, 60), Effects(tmp_path / "effects.db")
    slot = key_slot(b"jobs")
    with ValkeyCluster() as cluster:
        target = next(node for node in cluster.nodes if node is not cluster.owner(slot))
        async with open_client(cluster.url) as client:
            ids = await enqueued(client, count)
            async with at_work(cluster.url, effects):
                await some_done(client, ids, 0.2)
                await asyncio.to_thread(cluster.begin_migration, slot, target)
                await asyncio.sleep(0.3)
                await asyncio.to_thread(cluster.move_keys, slot, target)
                await asyncio.to_thread(cluster.end_migration, slot, target)
                await some_done(client, ids, 1)
                assert cluster.owner(slot) is target
    assert effects.counted() == (count, count)
