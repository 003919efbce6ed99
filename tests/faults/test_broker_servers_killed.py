"""Server processes killed under their subscribers: clients go to another one with their cursor and miss nothing."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed

from graph.catalog.keys import TOPIC
from graph.catalog.outbox import Outbox
from graph.catalog.service import CatalogService
from graph.engines.database import Database
from graph.patterns.broker import Broker
from graph.patterns.cache import Cache
from graph.settings import sqlite_url
from harness.serving import Serving
from harness.subscriber import subscriber
from harness.waiting import until
from tests.support.apps.products import new
from tests.support.engines.stocked import stocked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

FOLLOW = "subscription($after: Cursor) { productChanged(after: $after) { cursor kind gap productId } }"


class Roamer:
    """A client that follows, and moves on to another server whenever it loses its own."""

    def __init__(self, ports: list[int], start: str) -> None:
        self.events: list[dict[str, Any]] = []
        self._ports = ports
        self._cursor = start

    async def roam(self) -> None:
        """Follow until cancelled."""
        turn = 0
        while True:
            turn += 1
            with contextlib.suppress(OSError, ConnectionClosed, AssertionError, TimeoutError):
                async with subscriber(self._ports[turn % len(self._ports)]) as socket:
                    following = await socket.follow(FOLLOW, after=self._cursor)
                    seen = 0
                    while not socket.gone and following.errors is None:
                        await asyncio.sleep(0.01)
                        for event in following.values("productChanged")[seen:]:
                            self.events.append(event)
                            self._cursor = event["cursor"]
                            seen += 1
            await asyncio.sleep(0.05)


async def test_clients_move_on_and_miss_nothing(
    client: Client, valkey: ValkeyServer, tmp_path: Path, scaled: Callable[[int, int], int]
) -> None:
    """One of two servers is killed again and again while products change; every client sees each change once."""
    assert await client.execute("DBSIZE") == 0
    settings = {
        "GRAPH_REDIS_URL": valkey.url,
        "GRAPH_DATABASE_URL": sqlite_url(stocked(tmp_path) / "graph.db"),
        "GRAPH_RATE_LIMIT_ANONYMOUS": "1000000",
        "GRAPH_JOBS_BESIDE": "false",
    }
    with Serving(tmp_path / "a", **settings) as first:
        await asyncio.to_thread(first.ready)
        with Serving(tmp_path / "b", **settings) as second:
            await asyncio.to_thread(second.ready)
            async with Database(settings["GRAPH_DATABASE_URL"]) as database, Broker(client) as broker:
                cache = Cache(client)
                outbox = Outbox(database, broker, cache)
                catalog = CatalogService(database, cache)
                await catalog.create(new("START"))
                await outbox.publish()
                await asyncio.sleep(0)
                start = str(await broker.end(TOPIC))
                clients = [Roamer([first.port, second.port], start) for _ in range(scaled(50, 8))]
                tasks = [asyncio.create_task(one.roam()) for one in clients]
                made = 0
                servers = [first, second]
                for turn in range(scaled(6, 1)):
                    for _ in range(25):
                        await catalog.create(new(f"P{made}"))
                        made += 1
                        await asyncio.sleep(0.02)
                    victim = servers[turn % 2]
                    victim.process.kill()
                    victim.process.wait()
                    for _ in range(10):
                        await catalog.create(new(f"P{made}"))
                        made += 1
                    victim.__enter__()
                    await asyncio.to_thread(victim.ready)
                await until(lambda: all(len(one.events) >= made for one in clients))
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    for one in clients:
        assert len(one.events) == made
        assert len({event["productId"] for event in one.events}) == made
        assert not any(event["gap"] for event in one.events)
        assert [event["cursor"].rpartition("-")[2] for event in one.events] == [
            event["cursor"].rpartition("-")[2] for event in clients[0].events
        ]
