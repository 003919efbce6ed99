"""A hot key read by thousands of tasks in several processes while it expires again and again."""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from graph.patterns.cache import Cache, metrics
from graph.patterns.client import open_client
from tests.support.models.counters import count
from tests.support.models.shared_truth import SharedTruth

if TYPE_CHECKING:
    from harness.valkey import ValkeyServer

PROCESSES, TASKS = 4, 500
TTL = 0.5
LEASE = 60.0
"""Seconds: no machine is so slow that a loader which lives misses five renewals in them, or Redis does not answer."""
SHORT = 3.0
"""The lease, seconds, where a loader dies and its lease has to run out."""
LOADS, KILLS = 0, 1  # what the shared numbers count


class Plan(NamedTuple):
    """What a process is told."""

    url: str
    folder: str
    number: int
    expiries: int
    load: float
    beta: float
    kill: bool


class _Reader:
    """One process: many tasks reading one key, none of which may get a value older than one it could have had."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.shared = SharedTruth(f"{plan.folder}/shared", 2)
        self.reads = 0

    async def load(self) -> Any:
        number = self.shared.commit(LOADS)
        began = time.monotonic()
        await asyncio.sleep(self.plan.load / 2)
        if self.plan.kill and number == 2 and self.shared.commit(KILLS) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(self.plan.load / 2)
        with Path(self.plan.folder, "loads").open("a", encoding="utf-8") as log:  # noqa: ASYNC230 - a line, no wait
            log.write(f"{began} {time.monotonic()}\n")
        return number

    async def reader(self, cache: Cache, rng: random.Random) -> None:
        await asyncio.sleep(rng.uniform(0, 0.4))
        while self.shared.committed(LOADS) < self.plan.expiries:
            await cache.get("hot", self.load, tags=["hot"], ttl=TTL)
            self.reads += 1
            await asyncio.sleep(rng.uniform(0.1, 0.7))

    async def run(self) -> None:
        rng = random.Random(self.plan.number)
        async with open_client(self.plan.url) as client:
            lease = SHORT if self.plan.kill else LEASE
            cache = Cache(client, beta=self.plan.beta, lease=lease, patience=10 * LEASE, deadline=LEASE)
            await asyncio.gather(*[self.reader(cache, rng) for _ in range(TASKS)])
            await cache.close()


def _process(plan: Plan) -> None:
    reader = _Reader(plan)
    asyncio.run(reader.run())
    result = {"reads": reader.reads, "early": count(metrics.EARLY)}
    Path(plan.folder, f"{plan.number}.json").write_text(json.dumps(result), encoding="utf-8")


async def _stampede(
    server: ValkeyServer, folder: Path, expiries: int, *, load: float, beta: float = 0.0, kill: bool = False
) -> dict[str, Any]:
    """Run the processes; give all loads in their order, the time between them, and how many processes lived."""
    async with open_client(server.url) as client:
        await client.execute("FLUSHALL", retry=False)
    context = multiprocessing.get_context("spawn")
    plans = [Plan(server.url, str(folder), number, expiries, load, beta, kill) for number in range(PROCESSES)]
    processes = [context.Process(target=_process, args=(plan,)) for plan in plans]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join)
    results = [json.loads(path.read_text()) for path in folder.glob("*.json")]  # noqa: ASYNC240 - nothing else runs
    lines = (folder / "loads").read_text().splitlines()
    loads = sorted(tuple(map(float, line.split())) for line in lines)
    return {
        "loads": loads,
        "gaps": [after[0] - before[1] for before, after in itertools.pairwise(loads)],
        "early": sum(result["early"] for result in results),
        "reads": sum(result["reads"] for result in results),
        "lived": len(results),
        "begun": SharedTruth(folder / "shared", 2).committed(LOADS),
    }


@pytest.mark.heavy
async def test_each_expiry_costs_one_load(valkey: ValkeyServer, tmp_path: Path) -> None:
    """4 processes × 500 tasks, 20 expiries: each is loaded once."""
    expiries, load = 20, 0.05
    seen = await _stampede(valkey, tmp_path, expiries, load=load)
    assert seen["lived"] == PROCESSES
    assert seen["begun"] == len(seen["loads"]) >= expiries
    # A second load of the same expiry would begin while the first runs or right after it.
    assert min(seen["gaps"]) > TTL * 0.85
    assert seen["reads"] > expiries * TASKS


@pytest.mark.heavy
async def test_each_early_refresh_costs_one_load(valkey: ValkeyServer, tmp_path: Path) -> None:
    """The same with early refresh: one process at a time loads, and it does before the value has expired."""
    expiries, load = 20, 0.02
    seen = await _stampede(valkey, tmp_path, expiries, load=load, beta=1.0)
    assert seen["begun"] == len(seen["loads"]) >= expiries
    assert min(seen["gaps"]) > 0  # by lot it may come well before the end, but never beside another
    assert seen["early"] > 0


@pytest.mark.heavy
async def test_killing_the_loader_costs_one_more_load(valkey: ValkeyServer, tmp_path: Path) -> None:
    """When the process that loads is killed, one other takes over once the lease has run out: two loads in all."""
    expiries, load = 10, 0.05
    seen = await _stampede(valkey, tmp_path, expiries + 1, load=load, kill=True)
    assert seen["lived"] == PROCESSES - 1
    assert seen["begun"] == len(seen["loads"]) + 1 > expiries  # of one expiry there was a second attempt
    assert min(seen["gaps"]) > TTL * 0.85
    assert max(seen["gaps"]) > SHORT - TTL  # the lease of the dead was waited for
