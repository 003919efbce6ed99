"""A Redis that answers, but refuses: the worker stays, what runs is not cut off, and its end is recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import RedisError

from graph.jobs import Definition, Job, Jobs, JobState, Progress, Worker
from graph.patterns.client import open_client
from harness.valkey import ValkeyServer, free_port
from harness.waiting import HANG, eventually, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REFUSALS = ["READONLY", "NOREPLICAS", "MISCONF", "OOM", "NOPERM", "flushed group"]


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    """A server that a test may spoil."""
    with ValkeyServer() as started:
        yield started


def refuse(server: ValkeyServer, how: str) -> Callable[[], object]:
    """Make `server` refuse writes with this error; what is returned makes it take them again."""
    if how == "READONLY":
        server.command("REPLICAOF", "127.0.0.1", free_port())
        return lambda: server.command("REPLICAOF", "NO", "ONE")
    if how == "NOREPLICAS":
        server.command("CONFIG", "SET", "min-replicas-to-write", 1)
        return lambda: server.command("CONFIG", "SET", "min-replicas-to-write", 0)
    if how == "MISCONF":
        (server.folder / "dump.rdb").mkdir()  # it cannot save its snapshot there
        server.command("CONFIG", "SET", "save", "3600 1000000")
        server.command("BGSAVE")
        eventually(lambda: b"rdb_last_bgsave_status:err" in server.command("INFO", "persistence"))
        return lambda: server.command("CONFIG", "SET", "save", "")
    if how == "OOM":
        server.command("CONFIG", "SET", "maxmemory", 1)
        return lambda: server.command("CONFIG", "SET", "maxmemory", 0)
    if how == "NOPERM":
        server.command("ACL", "SETUSER", "default", "-@write", "-@scripting")
        return lambda: server.command("ACL", "SETUSER", "default", "+@all")
    server.command("XGROUP", "DESTROY", "test:{jobs}:queue", "workers")
    return lambda: None


async def ended(jobs: Jobs, job: str) -> Job:
    """The job, once it has finished."""
    async with within("the end of the job"):
        while True:
            try:
                found = await jobs.get(job)
            except RedisError:
                found = None
            if found is not None and found.state.finished:
                return found
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", REFUSALS)
async def test_a_refusal_ends_neither_the_worker_nor_its_jobs(server: ValkeyServer, how: str) -> None:
    """A job that begins before, reports amid, and ends amid the refusal succeeds at its first attempt.

    Its reports come to nothing meanwhile, and fail nothing.
    """
    running, release, reports = asyncio.Event(), asyncio.Event(), 0

    async def long(progress: Progress) -> None:
        nonlocal reports
        running.set()
        while not release.is_set():
            await progress(1, 1)
            reports += 1
            await asyncio.sleep(0.05)

    async def short(progress: Progress) -> None:
        await progress(1, 1)

    async with open_client(server.url) as client:
        jobs, stop = Jobs(client, prefix="test"), asyncio.Event()
        worker = Worker(jobs, [Definition("long", long), Definition("short", short)])
        working = asyncio.create_task(worker.run(stop))
        try:
            job = await jobs.enqueue("long", {}, retries=0)
            async with within("the job to begin"):
                await running.wait()
            take_again = refuse(server, how)
            before = reports
            async with within("two reports amid the refusal"):
                while reports < before + 2:
                    await asyncio.sleep(0.01)
            release.set()
            await asyncio.sleep(0.3)  # the worker meets the refusal in all that it does
            take_again()
            done = await ended(jobs, job)
            assert (done.state, done.attempt, done.error) == (JobState.SUCCEEDED, 1, None)
            assert (await ended(jobs, await jobs.enqueue("short", {}))).state is JobState.SUCCEEDED
            assert not working.done()
        finally:
            stop.set()
            await asyncio.wait_for(working, HANG)
