"""The catalog while Redis is emptied, made to forget its scripts, killed and started again."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from graph.catalog.reading.paging import PageRequest
from graph.catalog.service import CatalogService
from graph.patterns.cache import Cache
from graph.patterns.client import command, open_client
from harness.valkey import ValkeyServer
from harness.waiting import within
from tests.support.apps.products import new
from tests.support.engines.statements import statements

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.engines.database import Database
    from graph.patterns.client import Client

READERS = 6


class Load:
    """Readers and a writer of one product, whose stock counts the writes."""

    def __init__(self, catalog: CatalogService, product_id: int) -> None:
        self.catalog = catalog
        self.product_id = product_id
        self.tried = 0
        self.acknowledged = 0
        self.refused = 0
        self.reads = 0
        self.stopped = False

    async def write(self) -> None:
        """Write until stopped."""
        while not self.stopped:
            self.tried += 1
            try:
                await self.catalog.update(self.product_id, {"stock": self.tried})
                self.acknowledged = self.tried
            except RedisError:
                self.refused += 1
                await asyncio.sleep(0.01)

    async def read(self) -> None:
        """Read in every way until stopped; what is seen was written no earlier than what was acknowledged before."""
        while not self.stopped:
            floor = self.acknowledged
            found = (await self.catalog.products([self.product_id]))[self.product_id].stock
            assert floor <= (found or 0) <= self.tried, "an outdated product"
            floor = self.acknowledged
            found = (await self.catalog.products_by_sku(["A"]))["A"].stock
            assert floor <= (found or 0) <= self.tried, "an outdated product by sku"
            floor = self.acknowledged
            found = (await self.catalog.page(PageRequest.of())).edges[0].product.stock
            assert floor <= (found or 0) <= self.tried, "an outdated page"
            self.reads += 1


async def break_redis(server: ValkeyServer, client: Client, rounds: int) -> None:
    """Do the three things in turn, at no particular moment of the load."""
    for i in range(rounds):
        await asyncio.sleep(random.random() * 0.05)
        if i % 3 == 2:
            server.kill()
            await asyncio.sleep(random.random() * 0.05)
            await asyncio.to_thread(server.start)
        else:
            command = ("FLUSHALL",) if i % 3 == 0 else ("SCRIPT", "FLUSH")
            try:
                await client.execute(*command, retry=False)
            except RedisError:  # it has not come back yet
                continue


async def test_no_wrong_answer_and_no_failed_read(database: Database, scaled: Callable[[int, int], int]) -> None:
    """FLUSHALL, SCRIPT FLUSH and SIGKILL under load: every read answers, none is outdated, and caching comes back."""
    with ValkeyServer(aof=True) as server:
        async with open_client(server.url) as client:
            cache = Cache(client)
            catalog = CatalogService(database, cache)
            load = Load(catalog, (await catalog.create(new("A"))).id)
            async with asyncio.TaskGroup() as group:
                group.create_task(load.write())
                for _ in range(READERS):
                    group.create_task(load.read())
                await break_redis(server, client, scaled(120, 6))
                load.stopped = True
            assert load.reads > 0
            assert load.acknowledged > 0
            await until_cached(database, catalog, load.product_id)
            await cache.close()


async def until_cached(database: Database, catalog: CatalogService, product_id: int) -> None:
    """Return once a product is read without SQL."""
    async with within("a product to be read without SQL"):
        while True:
            await catalog.products([product_id])
            with statements(database) as seen:
                await catalog.products([product_id])
            if not seen:
                return
            await asyncio.sleep(0.02)


async def test_it_recovers_by_itself(database: Database) -> None:
    """After Redis was killed and is back, writes are taken and reads are cached again."""
    with ValkeyServer(aof=True) as server:
        async with open_client(server.url) as client:
            cache = Cache(client)
            catalog = CatalogService(database, cache)
            product = await catalog.create(new("A"))
            # Else the log may end between the write's hold and its release, and the hold, restored, lasts its 10 s.
            await client.durable(command("SET", "mark", 1))
            server.kill()
            assert (await catalog.products([product.id]))[product.id] == product
            await asyncio.to_thread(server.start)
            async with within("a write to be taken again"):
                stock = 0
                while stock == 0:
                    try:
                        stock = (await catalog.update(product.id, {"stock": 5})).stock
                    except RedisError:
                        await asyncio.sleep(0.01)
            await until_cached(database, catalog, product.id)
            assert (await catalog.products([product.id]))[product.id].stock == 5
            await cache.close()
