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

from graph.patterns.cache import Cache
from graph.patterns.client import open_client
from tests.support.models.shared_truth import SharedTruth

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.valkey import ValkeyServer

PROCESSES, TASKS = 4, 500
TTL, LEASE = 0.5, 0.5  # the lease is the default one
LOADS, KILLS = 0, 1  # what the shared numbers count
ALLOWED = 0.1
"""Seconds that a reader may wait beyond the load itself, on a machine that runs every task when it is due."""


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
    """One process: many tasks reading one key, each timing its reads."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.shared = SharedTruth(f"{plan.folder}/shared", 2)
        self.slowest = 0.0
        self.reads = 0
        self.lag = 0.0

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
            began = time.monotonic()
            await cache.get("hot", self.load, tags=["hot"], ttl=TTL)
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.reads += 1
            await asyncio.sleep(rng.uniform(0.1, 0.7))

    async def run(self) -> None:
        rng = random.Random(self.plan.number)
        async with open_client(self.plan.url) as client:
            cache = Cache(client, beta=self.plan.beta)
            watch = asyncio.create_task(self.watch())
            await asyncio.gather(*[self.reader(cache, rng) for _ in range(TASKS)])
            watch.cancel()
            await cache.close()

    async def watch(self) -> None:
        """Notice for how long a task that is due does not run: the machine's doing, not the cache's."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            self.lag = max(self.lag, time.monotonic() - began - 0.01)


def _process(plan: Plan) -> None:
    reader = _Reader(plan)
    asyncio.run(reader.run())
    result = {"slowest": reader.slowest, "reads": reader.reads, "lag": reader.lag}
    Path(plan.folder, f"{plan.number}.json").write_text(json.dumps(result), encoding="utf-8")


async def _stampede(
    server: ValkeyServer, folder: Path, expiries: int, *, load: float, beta: float = 0.0, kill: bool = False
) -> dict[str, Any]:
    """Run the processes; give all loads in their order, the slowest read, and how many processes lived."""
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
        # Late is what waits beyond the longest load, its loader and its reader each having been kept from running.
        "late": max(result["slowest"] for result in results)
        - max(end - began for began, end in loads)
        - 2 * max(result["lag"] for result in results),
        # Whether no process stood still for so long that its lease was rightly taken over.
        "steady": max(result["lag"] for result in results) < LEASE / 2,
        "reads": sum(result["reads"] for result in results),
        "lived": len(results),
        "begun": SharedTruth(folder / "shared", 2).committed(LOADS),
    }


async def test_each_expiry_costs_one_load(
    valkey: ValkeyServer, tmp_path: Path, scaled: Callable[[int, int], int]
) -> None:
    """4 processes × 500 tasks, 20 expiries: each is loaded once, and no reader waits longer than load plus 100 ms."""
    expiries, load = scaled(20, 4), 0.05
    seen = await _stampede(valkey, tmp_path, expiries, load=load)
    assert seen["lived"] == PROCESSES
    assert seen["begun"] == len(seen["loads"]) == expiries
    # A second load of the same expiry would begin while the first runs or right after it.
    assert min(seen["gaps"]) > TTL * 0.85 or not seen["steady"]
    assert seen["late"] < ALLOWED
    assert seen["reads"] > expiries * TASKS


async def test_each_early_refresh_costs_one_load(
    valkey: ValkeyServer, tmp_path: Path, scaled: Callable[[int, int], int]
) -> None:
    """The same with early refresh: one load a lifetime, whichever process begins it."""
    expiries, load = scaled(20, 4), 0.02
    seen = await _stampede(valkey, tmp_path, expiries, load=load, beta=1.0)
    assert seen["begun"] == len(seen["loads"]) == expiries
    assert (
        min(seen["gaps"]) > TTL * 0.2 or not seen["steady"]
    )  # by lot it may come well before the end, but never twice
    assert seen["late"] < ALLOWED


async def test_killing_the_loader_costs_one_more_load(
    valkey: ValkeyServer, tmp_path: Path, scaled: Callable[[int, int], int]
) -> None:
    """When the process that loads is killed, one other takes over once the lease has run out: two loads in all."""
    expiries, load = scaled(10, 4), 0.05
    seen = await _stampede(valkey, tmp_path, expiries + 1, load=load, kill=True)
    assert seen["lived"] == PROCESSES - 1
    assert seen["begun"] == expiries + 1
    assert len(seen["loads"]) == expiries  # each expiry has its one finished load, one of them a second attempt
    assert min(seen["gaps"]) > TTL * 0.85 or not seen["steady"]
    assert seen["late"] < load / 2 + LEASE + ALLOWED
