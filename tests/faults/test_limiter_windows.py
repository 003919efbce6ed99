"""The limit under load from many processes, judged afterwards by the server's own clock."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from typing import TYPE_CHECKING

import pytest

from graph.patterns.client import open_client
from graph.patterns.limiter import Charge, Limit, Limiter

if TYPE_CHECKING:
    from harness.valkey import ValkeyServer

PROCESSES = 8
KEY = "{caller}:budget"


def _spend(url: str, seed: int, limit: Limit, charges: int) -> list[tuple[float, int]]:
    """Charge as fast as possible from a process whose clocks are wrong; give the instants that passed."""
    rng = random.Random(seed)
    skew = rng.uniform(-5, 5)
    wall, monotonic = time.time, time.monotonic
    time.time = lambda: wall() + skew
    passed: list[tuple[float, int]] = []

    async def run() -> None:
        async with open_client(url) as client:
            limiter = Limiter(client, remembered=0, clock=lambda: monotonic() + skew)

            async def caller() -> None:
                for _ in range(charges // 16):
                    weight = rng.choice((1, 1, 1, 2, 5))
                    verdict = await limiter.charge(Charge(limit, KEY, weight))
                    if verdict.allowed:
                        passed.append((verdict.at, weight))

            await asyncio.gather(*[caller() for _ in range(16)])

    asyncio.run(run())
    return passed


def _heaviest_window(passed: list[tuple[float, int]], window: float) -> int:
    """The most units that any closed window holds."""
    passed.sort()
    heaviest, held, first = 0, 0, 0
    for at, weight in passed:
        held += weight
        while passed[first][0] < at - window:
            held -= passed[first][1]
            first += 1
        heaviest = max(heaviest, held)
    return heaviest


@pytest.mark.heavy
@pytest.mark.parametrize("limit", [Limit("exact", 100, 0.02), Limit("sliced", 300, 0.02)], ids=lambda limit: limit.name)
async def test_no_window_ever_holds_more_than_the_limit(valkey: ValkeyServer, limit: Limit) -> None:
    """A million charges from eight processes with skewed clocks: no window of the server's clock exceeds the limit."""
    async with open_client(valkey.url) as client:
        await client.execute("FLUSHALL", retry=False)
    charges = 1_000_000 // PROCESSES
    context = multiprocessing.get_context("spawn")
    with context.Pool(PROCESSES) as pool:
        jobs = [pool.apply_async(_spend, (valkey.url, seed, limit, charges)) for seed in range(PROCESSES)]
        results = [await asyncio.to_thread(job.get, 160) for job in jobs]
    passed = [event for result in results for event in result]
    assert sum(weight for _, weight in passed) > 3 * limit.count  # several windows were filled
    # Two float roundings of a microsecond clock: the judge's window is that much shorter than the limiter's.
    assert _heaviest_window(passed, limit.window - 1e-6) <= limit.count
