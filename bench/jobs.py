"""Enqueue and run no-op jobs: ours beside plain taskiq on the same streams, and SAQ, each in one process.

The runs interleave, on one Valkey. Ours does more for each job (a record, a unique key, an attempt that supersedes,
an end that acknowledges); plain taskiq keeps no result here and never trims its stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

import uvloop
from saq import Queue
from saq import Worker as SaqWorker
from taskiq.receiver import Receiver
from taskiq_redis import RedisStreamBroker

from bench.report import Report, median
from graph.jobs import Definition, Jobs, Progress, Worker
from graph.patterns.client import open_client
from harness.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

JOBS = 20_000
ROUNDS = 3
CONCURRENCY = 50  # with more, SAQ runs out of connections in redis-py's pool
SENDERS = 50


class _Countdown:
    """Set once it has been called often enough."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.done = asyncio.Event()

    def __call__(self) -> None:
        self.left -= 1
        if not self.left:
            self.done.set()


async def _many(enqueue: Callable[[], Awaitable[object]], count: int) -> None:
    async def sender() -> None:
        for _ in range(count // SENDERS):
            await enqueue()

    await asyncio.gather(*[sender() for _ in range(SENDERS)])


async def _ours(url: str, count: int) -> float:
    async with open_client(url) as client:
        jobs, countdown, stop = Jobs(client, prefix="bench"), _Countdown(count), asyncio.Event()

        async def nothing(_progress: Progress) -> None:
            countdown()

        worker = Worker(jobs, [Definition("nothing", nothing)], concurrency=CONCURRENCY)
        began = time.perf_counter()
        await _many(lambda: jobs.enqueue("nothing", {}, durable=False), count)
        task = asyncio.create_task(worker.run(stop))
        await countdown.done.wait()
        took = time.perf_counter() - began
        stop.set()
        await task
    return took


async def _taskiq(url: str, count: int) -> float:
    broker = RedisStreamBroker(url, consumer_id="0", max_connection_pool_size=SENDERS)
    countdown, stop = _Countdown(count), asyncio.Event()

    async def nothing() -> None:
        countdown()

    task = broker.register_task(nothing, task_name="nothing")
    await broker.startup()
    began = time.perf_counter()
    await _many(task.kiq, count)
    receiver = Receiver(broker, max_async_tasks=CONCURRENCY, validate_params=False)
    running = asyncio.create_task(receiver.listen(stop))
    await countdown.done.wait()
    took = time.perf_counter() - began
    stop.set()
    await running
    await broker.shutdown()
    return took


async def _saq(url: str, count: int) -> float:
    queue = Queue.from_url(url)
    await queue.connect()
    countdown = _Countdown(count)

    async def nothing(_context: Any) -> None:
        countdown()

    began = time.perf_counter()
    await _many(lambda: queue.enqueue("nothing"), count)
    worker = SaqWorker(queue, [("nothing", nothing)], concurrency=CONCURRENCY)
    runner = asyncio.create_task(worker.start())
    await countdown.done.wait()
    took = time.perf_counter() - began
    await worker.stop()
    runner.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await runner
    await queue.disconnect()
    return took


async def _measure(count: int, rounds: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {"ours": [], "taskiq": [], "saq": []}
    with ValkeyServer() as server:
        for _ in range(rounds):
            for name, one in (("ours", _ours), ("taskiq", _taskiq), ("saq", _saq)):
                async with open_client(server.url) as client:
                    await client.execute("FLUSHALL", retry=True)
                url = server.url if one is not _saq else server.tcp_url
                took[name].append(await one(url, count))
    return took


def run(count: int = JOBS, rounds: int = ROUNDS) -> Report:
    """Measure."""
    logging.getLogger("taskiq").setLevel(logging.ERROR)
    logging.getLogger("saq").setLevel(logging.ERROR)
    took = {name: median(values) for name, values in uvloop.run(_measure(count, rounds)).items()}
    report = Report(f"Background jobs: enqueue and run {count:,} that do nothing")
    for name, label in (("ours", "graph jobs"), ("taskiq", "plain taskiq, Redis streams"), ("saq", "SAQ")):
        report.add(
            label,
            count / took[name],
            "jobs/s",
            peer="" if name == "ours" else "time of ours : this",
            ratio=None if name == "ours" else took["ours"] / took[name],
            aim="≤ 1.15×" if name == "taskiq" else "",
        )
    return report


if __name__ == "__main__":
    print(run().as_markdown())
