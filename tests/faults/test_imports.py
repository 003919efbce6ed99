"""Imports while several processes read and write: nothing older than what was acknowledged, whoever dies."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import multiprocessing
import random
import signal
import time
import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from graph.catalog.changes import ProductChange
from graph.catalog.importing import bulk
from graph.catalog.importing.importer import import_products
from graph.catalog.keys import TOPIC
from graph.catalog.outbox import STILL, Outbox
from graph.catalog.reading.paging import Filter, PageRequest
from graph.catalog.service import CatalogService
from graph.engines.database import Database
from graph.errors import Unavailable
from graph.patterns.broker import Broker
from graph.patterns.cache import Cache
from graph.patterns.client import open_client
from harness.waiting import HANG, until, within
from tests.support.models.shared_truth import SharedTruth
from tests.support.processes.fork_server import python

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
    from multiprocessing.synchronize import Barrier, Event

    from harness.valkey import ValkeyServer

T = TypeVar("T")

PRODUCTS = 30
READERS = 2
STOCK = PRODUCTS
"""Where the stocks (of updates) begin in the shared truth, after the prices (of imports)."""
SKUS = [f"S{i:02d}" for i in range(PRODUCTS)]
PAGE = PageRequest.of(filter=Filter(category="books"), first=PRODUCTS)


class SlowLoads(Cache):
    """Takes its time between reading the database and storing what it read."""

    @staticmethod
    def _slow(load: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def slowly(*arguments: Any) -> Any:
            found = await load(*arguments)
            await asyncio.sleep(random.choice((0, 0.001, 0.01, 0.05)))
            return found

        return slowly

    async def get(self, key: str, load: Callable[[], Awaitable[Any]], **options: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - the same options
        return await super().get(key, self._slow(load), **options)

    async def get_many(  # pyright: ignore[reportIncompatibleMethodOverride] - the same options
        self, keys: Sequence[str], load: Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]], **options: Any
    ) -> dict[str, Any]:
        return await super().get_many(keys, self._slow(load), **options)


@contextlib.asynccontextmanager
async def shop(url: str, redis: str, make: type[Cache] = Cache) -> AsyncGenerator[tuple[CatalogService, Broker]]:
    """The catalog as one process has it, with its outbox; its keys are apart from those of any other database."""
    prefix = f"imports:{zlib.crc32(url.encode()):x}"
    async with open_client(redis) as client, Broker(client, prefix=prefix) as broker, Database(url) as database:
        cache = make(client, prefix=prefix)
        async with Outbox(database, broker, cache) as outbox:
            yield CatalogService(database, cache, committed=outbox.nudge, outdate=outbox.outdate), broker
        await cache.close()


def write_file(path: Path, price: int) -> Path:
    """All products at this price."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("sku", "name", "category", "price"), *((sku, f"Product {sku}", "books", f"{price}.00") for sku in SKUS)]
        )
    return path


async def taken(write: Callable[[], Awaitable[T]]) -> T:
    """Ask for a write until it is taken: on a disk that stands still another has the lock for longer than one waits.

    A refused update has changed nothing, and an import that was refused on its way ends as it would have when repeated.
    """
    while True:
        with contextlib.suppress(Unavailable):
            return await write()


# --- readers and a writer in processes of their own ---


def read_until(begin: Barrier, stop: Event, where: tuple[str, str, str], answers: Any) -> None:
    """Read in every way until told to stop; give what was read too old, and how many reads there were."""
    url, redis, truth = where

    async def read() -> None:
        versions, wrong, reads = SharedTruth(truth, 2 * PRODUCTS), list[str](), 0
        async with shop(url, redis, SlowLoads) as (catalog, _):
            await asyncio.to_thread(begin.wait)
            while not stop.is_set():
                floor = [versions.acknowledged(i) for i in range(2 * PRODUCTS)]
                if random.random() < 0.5:
                    chosen = random.sample(SKUS, 3)
                    found = list((await catalog.products_by_sku(chosen)).values())
                else:
                    found = [edge.product for edge in (await catalog.page(PAGE)).edges]
                for product in found:
                    i = SKUS.index(product.sku)
                    if int(product.price) < floor[i] or (product.stock or 0) < floor[STOCK + i]:
                        wrong.append(
                            f"{product.sku}: {product.price}, {product.stock} < {floor[i]}, {floor[STOCK + i]}"
                        )
                reads += len(found)
        answers.put((wrong, reads))

    asyncio.run(read())


def update_until(begin: Barrier, stop: Event, where: tuple[str, str, str], answers: Any) -> None:
    """Raise the stock of one product after the other until told to stop; give how often."""
    url, redis, truth = where

    async def write() -> None:
        versions, count = SharedTruth(truth, 2 * PRODUCTS), 0
        async with shop(url, redis) as (catalog, _):
            ids = {sku: product.id for sku, product in (await catalog.products_by_sku(SKUS)).items()}
            await asyncio.to_thread(begin.wait)
            while not stop.is_set():
                i = random.randrange(PRODUCTS)
                version = versions.commit(STOCK + i)
                update = partial(catalog.update, ids[SKUS[i]], {"stock": version})
                assert (await taken(update)).stock == version
                versions.acknowledge(STOCK + i, version)
                count += 1
                await asyncio.sleep(0.002)
        answers.put(([], count))

    asyncio.run(write())


@pytest.fixture
def redis(valkey: ValkeyServer, client: object) -> str:
    """The URL of an empty server."""
    assert client
    return valkey.url


@pytest.mark.heavy
@pytest.mark.parametrize("milestone", [bulk.MILESTONE, 0.0])
async def test_nothing_older_than_what_was_acknowledged(
    redis: str, database_url: str, tmp_path: Path, milestone: float
) -> None:
    """While imports and single updates go on, no reader in another process gets a price or stock from before either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "BATCH", 7)
        patch.setattr(bulk, "MILESTONE", milestone)
        await race(redis, database_url, tmp_path, imports=400, readers=READERS)


async def race(redis: str, url: str, folder: Path, *, imports: int, readers: int) -> None:
    """So many imports beside readers and a writer."""
    truth = SharedTruth(folder / "truth", 2 * PRODUCTS)
    context = multiprocessing.get_context("spawn")
    stop, answers = context.Event(), context.Queue()
    async with shop(url, redis) as (catalog, _):
        await import_products(catalog, write_file(folder / "products.csv", 1))
        work = [read_until] * readers + [update_until]
        begin = context.Barrier(len(work) + 1)
        arguments = (begin, stop, (url, redis, str(folder / "truth")), answers)
        processes = [context.Process(target=one, args=arguments) for one in work]
        for process in processes:
            process.start()
        await asyncio.to_thread(begin.wait)
        for price in range(2, imports + 2):
            await taken(partial(import_products, catalog, write_file(folder / "products.csv", price)))
            for i in range(PRODUCTS):
                truth.acknowledge(i, price)
        stop.set()
        found = [await asyncio.to_thread(answers.get, timeout=HANG) for _ in processes]
        for process in processes:
            await asyncio.to_thread(process.join)
        assert [wrong for wrong, _ in found] == [[]] * len(processes)
        assert min(count for _, count in found) > 0
        stocks = {sku: product.stock or 0 for sku, product in (await catalog.products_by_sku(SKUS)).items()}
        assert stocks == {sku: truth.acknowledged(STOCK + i) for i, sku in enumerate(SKUS)}  # no update was lost


# --- an importer that dies ---


async def import_and_hang(url: str, redis: str, path: str) -> None:
    """Import a file and stop short of the acknowledgement."""
    async with shop(url, redis) as (catalog, _), bulk.acknowledged_once(catalog):

        async def hang() -> None:
            print("committed", flush=True)
            await asyncio.sleep(3600)

        catalog.outdate = hang
        await import_products(catalog, Path(path))


async def test_an_importer_that_was_killed_leaves_nobody_with_old_values(
    redis: str, database_url: str, tmp_path: Path
) -> None:
    """Killed between its commits and its end, and never repeated: within seconds readers get what it committed.

    They get it before anybody hears of the change.
    """
    async with shop(database_url, redis) as (catalog, broker), broker.subscribe(TOPIC) as events:
        await import_products(catalog, write_file(tmp_path / "products.csv", 1))
        async with within("the events of the first import"):
            for _ in SKUS:
                await anext(events)
        path = write_file(tmp_path / "products.csv", 2)
        assert {p.price for p in (await catalog.products_by_sku(SKUS)).values()} == {1}
        code = (
            f"import asyncio; from {__name__} import import_and_hang;"
            f"asyncio.run(import_and_hang({database_url!r}, {redis!r}, {str(path)!r}))"
        )
        said = tmp_path / "said"
        with said.open("wb") as out:
            importer = python("-c", code, out=out)
        await until(lambda: said.read_bytes() or importer.poll() is not None)
        importer.kill()
        assert await asyncio.to_thread(importer.wait, HANG) == -signal.SIGKILL
        assert said.read_bytes() == b"committed\n"
        killed = time.monotonic()
        assert {p.price for p in (await catalog.products_by_sku(SKUS)).values()} == {1}  # nobody was told anything else
        async with within("what the killed importer left to be told"):
            for _ in SKUS:
                change = ProductChange.of(await anext(events))
                assert (await catalog.products([change.product_id]))[change.product_id].price == 2
        assert {edge.product.price for edge in (await catalog.page(PAGE)).edges} == {2}
        assert time.monotonic() - killed >= STILL / 2  # it was healed, not told
