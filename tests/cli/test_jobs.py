"""``graph jobs`` as a person runs it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from graph.jobs import Definition, GiveUp, Jobs, JobState, Progress, Worker
from harness.waiting import within
from tests.support.processes.fork_server import command

if TYPE_CHECKING:
    from pathlib import Path

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer


async def _graph(server: ValkeyServer, folder: Path, *words: str) -> tuple[int, str, str]:
    """Run ``graph jobs …`` as a user would, in 80 columns."""
    done = await asyncio.to_thread(command, folder, "jobs", *words, GRAPH_REDIS_URL=server.url, COLUMNS="80")
    return done.returncode, done.stdout, done.stderr


async def _one_failed_one_done(jobs: Jobs) -> tuple[str, str]:
    async def fail(progress: Progress) -> None:
        await progress(3, 4)
        raise GiveUp("the [bold]file[/] is not there, and this message is far too long for a line of eighty columns")

    async def succeed(progress: Progress) -> None:
        await progress(4, 4)

    failed, done = await jobs.enqueue("fail", {}), await jobs.enqueue("succeed", {})
    stop = asyncio.Event()
    task = asyncio.create_task(Worker(jobs, [Definition("fail", fail), Definition("succeed", succeed)]).run(stop))
    async with within("both jobs to end"):
        while not all(job.state.finished for job in await jobs.list()):
            await asyncio.sleep(0.01)
    stop.set()
    await task
    return failed, done


async def test_jobs_are_shown_replayed_and_discarded(client: Client, valkey: ValkeyServer, tmp_path: Path) -> None:
    """The commands show what failed and why within 80 columns, replay it, and forget it."""
    jobs = Jobs(client)
    failed, done = await _one_failed_one_done(jobs)

    code, listed, _ = await _graph(valkey, tmp_path, "list")
    assert code == 0
    assert max(map(len, listed.splitlines())) <= 80
    assert failed in listed
    assert done in listed
    assert "75%" in listed
    assert "the [bold]file" in listed

    code, listed, _ = await _graph(valkey, tmp_path, "list", "--state", "failed")
    assert (code, done in listed) == (0, False)

    code, shown, _ = await _graph(valkey, tmp_path, "show", failed[:8])
    assert code == 0
    assert "GiveUp" in shown

    code, told, _ = await _graph(valkey, tmp_path, "retry", failed[:8])
    assert (code, "queued fail" in told) == (0, True)
    queued = await jobs.get(failed)
    assert queued is not None
    assert queued.state is JobState.QUEUED

    code, _, complaint = await _graph(valkey, tmp_path, "retry", done)
    assert (code, "no failed job" in complaint) == (1, True)
    code, told, _ = await _graph(valkey, tmp_path, "discard", done)
    assert (code, "discarded succeed" in told) == (0, True)
    assert await jobs.get(done) is None
    code, _, complaint = await _graph(valkey, tmp_path, "show", "nonsense")
    assert (code, "there is no job nonsense" in complaint) == (1, True)


async def test_an_empty_list_says_where_jobs_come_from(client: Client, valkey: ValkeyServer, tmp_path: Path) -> None:
    """A new user is told what would be there."""
    code, listed, _ = await _graph(valkey, tmp_path, "list")
    assert (code, "importProducts" in listed) == (0, True)
