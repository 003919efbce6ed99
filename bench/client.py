"""What one command costs the client: ours in batches of 32, redis-py one by one, redis-py in pipelines of 32.

Measured is the CPU time of this process, not the wait for the server, on a GET of 100 bytes over a unix socket, with
the three ways interleaved in rounds and the median taken. `python -m bench.client` prints the table.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import redis.asyncio
import uvloop

from graph.patterns.client import Client, command, open_client
from harness.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BATCH = 32
COMMANDS = 6_400  # a round
ROUNDS = 7


class Row(NamedTuple):
    """CPU microseconds of the client per command, and how many times redis-py one by one costs as much."""

    name: str
    microseconds: float
    ratio: float


async def _ours_batched(client: Client) -> None:
    for _ in range(COMMANDS // BATCH):
        await client.batch(*(command("GET", "key") for _ in range(BATCH)))


async def _ours_concurrent(client: Client) -> None:
    for _ in range(COMMANDS // BATCH):
        await asyncio.gather(*(client.execute("GET", "key") for _ in range(BATCH)))


async def _ours_one_by_one(client: Client) -> None:
    for _ in range(COMMANDS // BATCH):
        await client.execute("GET", "key")


async def _peer_one_by_one(peer: redis.asyncio.Redis) -> None:
    for _ in range(COMMANDS // BATCH):
        await peer.get("key")


async def _peer_pipelined(peer: redis.asyncio.Redis) -> None:
    for _ in range(COMMANDS // BATCH):
        async with peer.pipeline(transaction=False) as pipeline:
            for _ in range(BATCH):
                pipeline.get("key")
            await pipeline.execute()


async def _measure(url: str) -> list[Row]:
    untyped = cast("Any", redis.asyncio.Redis)
    async with open_client(url) as client, untyped.from_url(url) as peer:
        await client.execute("SET", "key", b"x" * 100)
        ways: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "ours, one batch of 32": (COMMANDS, lambda: _ours_batched(client)),
            "ours, 32 callers at once": (COMMANDS, lambda: _ours_concurrent(client)),
            "redis-py, pipeline of 32": (COMMANDS, lambda: _peer_pipelined(peer)),
            "ours, one by one": (COMMANDS // BATCH, lambda: _ours_one_by_one(client)),
            "redis-py, one by one": (COMMANDS // BATCH, lambda: _peer_one_by_one(peer)),
        }
        costs: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(ROUNDS + 1):
            for name, (count, way) in ways.items():
                gc.collect()
                before = time.process_time()
                await way()
                if number:  # the first round warms up
                    costs[name].append((time.process_time() - before) / count * 1e6)
    medians = {name: statistics.median(values) for name, values in costs.items()}
    return [Row(name, value, medians["redis-py, one by one"] / value) for name, value in medians.items()]


def run() -> list[Row]:
    """Start a server, measure, print the table and give its rows."""
    with ValkeyServer() as server:
        rows = uvloop.run(_measure(server.url))
    print(f"{'a GET through':28} {'CPU µs':>8} {'times less than redis-py one by one':>38}")
    for row in rows:
        print(f"{row.name:28} {row.microseconds:8.2f} {row.ratio:38.1f}")
    return rows


if __name__ == "__main__":
    run()
