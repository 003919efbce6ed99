"""What a cached read costs: beside a bare GET, beside cashews and aiocache, and as the catalog grows.

A value is a product of about 300 bytes of JSON. One read after the other over one TCP connection each, in rounds that
interleave the ways; the median round counts. Ours checks the generations of two tags at every read.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from typing import TYPE_CHECKING, Any, cast

import aiocache
import cashews
import orjson
import redis.asyncio
import uvloop
from aiocache.serializers import JsonSerializer

from bench.report import Report
from graph.patterns.cache import Cache, JsonCodec
from graph.patterns.cache.codec import Frame, pack
from graph.patterns.cache.generations import mark_of, stamp_of
from graph.patterns.client import Client, command, open_client
from harness.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

READS, ROUNDS = 1_500, 7
PAGE = 50
SIZES = 1_000, 100_000, 1_000_000
PRODUCT: dict[str, Any] = {
    "id": 7,
    "sku": "SKU-000007",
    "name": "A chair of oak with a woven seat",
    "description": "Sturdy, light, and pleasant to sit on for a long evening; the seat is woven from paper cord.",
    "price": {"amount": "149.00", "currency": "USD"},
    "category": 3,
    "stock": 12,
    "active": True,
    "createdAt": "2026-01-31T12:00:00Z",
}


async def _load() -> Any:
    return PRODUCT


async def _load_many(keys: Any) -> Any:
    return dict.fromkeys(keys, PRODUCT)


def _product(cache: Cache, number: int = 7) -> Awaitable[Any]:
    return cache.get(f"product:{number}", _load, tags=(f"product:{number}", "categories"))


def _page(cache: Cache) -> Awaitable[Any]:
    return cache.get_many([f"product:{i}" for i in range(PAGE)], _load_many, tags=lambda key: (key, "categories"))


async def _timed(reads: int, read: Callable[[], Awaitable[Any]]) -> float:
    """Microseconds a read."""
    gc.collect()
    began = time.perf_counter()
    for _ in range(reads):
        await read()
    return (time.perf_counter() - began) / reads * 1e6


async def _interleaved(ways: dict[str, tuple[int, Callable[[], Awaitable[Any]]]]) -> dict[str, float]:
    for _, read in ways.values():
        await read()
    rounds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (reads, read) in ways.items():
            rounds[name].append(await _timed(reads, read))
    return {name: statistics.median(times) for name, times in rounds.items()}


def _cache(client: Client, copies: int) -> Cache:
    return Cache(client, l1_bytes=copies, codec=JsonCodec(orjson.dumps, orjson.loads))


async def _side_by_side(server: ValkeyServer, client: Client, report: Report) -> None:
    untyped = cast("Any", redis.asyncio.Redis)
    rival: Any = cashews.Cache()
    rival.setup(server.tcp_url, client_side=False)

    @rival(ttl="5m", key="product:{number}")
    async def cashews_read(number: int) -> Any:  # noqa: ARG001 - the decorator makes the key of it
        return PRODUCT

    other: Any = aiocache.Cache(
        cast("Any", aiocache.Cache).REDIS, endpoint="127.0.0.1", port=server.port, serializer=JsonSerializer()
    )
    await other.set("aiocache:7", PRODUCT, ttl=300)
    async with untyped.from_url(server.tcp_url) as bare:
        await bare.set("bare", json.dumps(PRODUCT))
        with_copies, without = _cache(client, 16 << 20), _cache(client, 0)
        figures = await _interleaved(
            {
                "redis-py GET": (READS, lambda: bare.get("bare")),
                "hit, checked copy": (READS, lambda: _product(with_copies)),
                "hit, from Redis": (READS, lambda: _product(without)),
                "cashews hit": (READS, lambda: cashews_read(7)),
                "aiocache hit": (READS, lambda: other.get("aiocache:7")),
                f"page of {PAGE}, checked copies": (READS // 10, lambda: _page(with_copies)),
                f"page of {PAGE}, from Redis": (READS // 10, lambda: _page(without)),
            }
        )
    await rival.close()
    await other.close()
    get = figures["redis-py GET"]
    report.add("redis-py GET", get, "µs")
    for name in ("hit, checked copy", "hit, from Redis"):
        report.add(name, figures[name], "µs", peer="redis-py GET", ratio=figures[name] / get, aim="≤ 1.5×")
        report.add(name, figures[name], "µs", peer="cashews hit", ratio=figures[name] / figures["cashews hit"])
        report.add(name, figures[name], "µs", peer="aiocache hit", ratio=figures[name] / figures["aiocache hit"])
    for name in (f"page of {PAGE}, checked copies", f"page of {PAGE}, from Redis"):
        report.add(name, figures[name], "µs", peer=f"{PAGE} × redis-py GET", ratio=figures[name] / (PAGE * get))


async def _fill(client: Client, start: int, end: int) -> None:
    """Store products as the cache itself would, without going through it a million times."""
    body = orjson.dumps(PRODUCT)
    mark = mark_of(b"g", client.run_id)
    assert mark is not None
    frame = pack(Frame(stamp_of((mark, mark)), time.time() + 3000, 0.001, body))
    for first in range(start, end, 500):
        commands = [command("SET", "graph:tag:{categories}", "g", "EX", 3600)]
        for number in range(first, min(first + 500, end)):
            commands.append(command("SET", f"graph:cache:{{product:{number}}}", frame, "EX", 3600))
            commands.append(command("SET", f"graph:tag:{{product:{number}}}", "g", "EX", 3600))
        await client.batch(*commands)


async def _growing(client: Client, report: Report) -> None:
    await client.execute("FLUSHALL", retry=False)
    filled, first = 0, 0.0
    for size in SIZES:
        await _fill(client, filled, size)
        filled = size
        cache = _cache(client, 0)
        numbers = [i * 7919 % size for i in range(READS)]
        times: list[float] = []
        for _ in range(ROUNDS):
            walk = iter(numbers)
            times.append(await _timed(READS, lambda walk=walk, cache=cache: _product(cache, next(walk))))
        figure = statistics.median(times)
        first = first or figure
        memory: bytes = await client.execute("INFO", "memory")
        used = int(memory.partition(b"used_memory:")[2].partition(b"\r")[0]) / size
        report.add(f"any of {size:,} products", figure, "µs", peer=f"of {SIZES[0]:,}", ratio=figure / first, aim="1×")
        report.notes.append(f"{size:,} products: {used:.0f} bytes of Redis each.")


async def _measure() -> Report:
    report = Report("A read through the cache")
    with ValkeyServer() as server:
        async with open_client(server.tcp_url) as client:
            await _side_by_side(server, client, report)
            await _growing(client, report)
    return report


def run() -> Report:
    """Measure all of it, in about half a minute."""
    return uvloop.run(_measure())
