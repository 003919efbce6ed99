"""The catalog: what the cache saves a page and a product, and what an import costs beside a bare executemany.

Reads run whole operations through the schema, one after the other, on 10,000 products; the warm page's peer is the
same operation with every value loaded from SQL. The import writes a CSV file of 100,000 products into an empty
database; its peer inserts the same rows, prepared beforehand, in one executemany and one transaction.
"""

from __future__ import annotations

import csv
import gc
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import uvloop

from bench.report import Report
from graph.api.context import Context
from graph.api.schema import build_schema
from graph.catalog import seed
from graph.catalog.importing.importer import import_products
from graph.catalog.keys import EVERYTHING
from graph.catalog.models import PRODUCTS
from graph.catalog.service import CatalogService
from graph.endpoint.identity import Caller
from graph.engines.database import Database, migrate
from graph.patterns.cache import Cache, JsonCodec
from graph.patterns.client import Client, open_client
from graph.services import open_services
from graph.settings import DatabaseSettings, RedisSettings, Settings
from harness.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from graph.services import Services

PRODUCTS_READ, PRODUCTS_WRITTEN = 10_000, 100_000
READS, ROUNDS = 60, 5
PAGE = """{ products(first: 20) { nodes {
  id sku name description stock active price { amount currency } category { name }
} pageInfo { endCursor } } }"""
PRODUCT = '{ product(by: {sku: "%s"}) { id name stock price { amount } category { name } } }'


async def _operation(services: Services, schema: Any, document: str) -> None:
    result = await schema.execute(document, context_value=Context(services, Caller(address="192.0.2.1")))
    assert result.errors is None


async def _timed(run: Callable[[], Awaitable[None]], before: Callable[[], Awaitable[None]] | None = None) -> float:
    """Microseconds an operation; what runs `before` each is not counted."""
    gc.collect()
    spent = 0.0
    for _ in range(READS):
        if before is not None:
            await before()
        began = time.perf_counter()
        await run()
        spent += time.perf_counter() - began
    return spent / READS * 1e6


async def _reading(server: ValkeyServer, folder: Path, report: Report) -> None:
    url = f"sqlite:///{folder / 'reads.db'}"
    await migrate(url)
    settings = Settings(redis=RedisSettings(url=server.url), database=DatabaseSettings(url=url))
    schema = build_schema()
    async with open_services(settings) as services:
        await seed.seed_catalog(services.catalog, PRODUCTS_READ)
        document = PRODUCT % next(seed.products(1))["sku"]

        async def page() -> None:
            await _operation(services, schema, PAGE)

        async def product() -> None:
            await _operation(services, schema, document)

        async def forget() -> None:
            await services.cache.invalidate(EVERYTHING)

        times: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for name, run, before in (
                ("page", page, None),
                ("page, cache off", page, forget),
                ("product", product, None),
                ("product, cache off", product, forget),
            ):
                await run()
                times.setdefault(name, []).append(await _timed(run, before))
    found = {name: statistics.median(figures) for name, figures in times.items()}
    for name in ("page", "product"):
        what = "warm page of 20 products" if name == "page" else "warm product by sku"
        without = found[f"{name}, cache off"]
        report.add(what, found[name], "µs", peer="the same from SQL", ratio=found[name] / without, aim="< 1×")


def _file(path: Path) -> list[dict[str, Any]]:
    """Write the products as CSV, and give them as rows."""
    columns: list[str] = ["sku", "name", "description", "category", "price", "currency", "stock", "active"]
    rows = list(seed.products(PRODUCTS_WRITTEN))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row | {"price": f"{row['price'] / 10_000:.2f}"} for row in rows)
    return rows


async def _imported(client: Client, path: Path, folder: Path) -> float:
    """Seconds to import the file."""
    url = f"sqlite:///{folder / 'import.db'}"
    await migrate(url)
    cache = Cache(client, codec=JsonCodec(orjson.dumps, orjson.loads))
    async with Database(url) as database:
        began = time.perf_counter()
        report = await import_products(CatalogService(database, cache), path)
        spent = time.perf_counter() - began
    await cache.close()
    assert (report.created, report.bad) == (PRODUCTS_WRITTEN, 0)
    return spent


async def _inserted(rows: list[dict[str, Any]], folder: Path) -> float:
    """Seconds to insert the same rows, with sqlite3 alone, into the same tables with the same indexes."""
    path = folder / "raw.db"
    await migrate(f"sqlite:///{path}")
    told = {*rows[0], "category_id", "created_at", "updated_at"}
    names = [column.name for column in PRODUCTS.columns if column.name in told]
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    shelves = [(shelf.slug, shelf.name) for shelf in seed.words().shelves]
    connection.executemany("INSERT INTO category (slug, name) VALUES (?, ?)", shelves)
    numbers = dict(connection.execute("SELECT slug, id FROM category"))
    moment = "2026-01-01 00:00:00.000000"
    ready = [
        tuple(
            {**row, "category_id": numbers[row["category"]], "created_at": moment, "updated_at": moment}[n]
            for n in names
        )
        for row in rows
    ]
    statement = f"INSERT INTO product ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    began = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(statement, ready)
    connection.execute("COMMIT")
    spent = time.perf_counter() - began
    connection.close()
    return spent


async def _measure() -> Report:
    report = Report("The catalog")
    with ValkeyServer() as server, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await _reading(server, folder, report)
        rows = _file(folder / "products.csv")
        raw = await _inserted(rows, folder)
        async with open_client(server.url) as client:
            imported = await _imported(client, folder / "products.csv", folder)
    report.add(
        f"import of {PRODUCTS_WRITTEN:,} rows",
        imported,
        "s",
        peer="sqlite3 executemany",
        ratio=imported / raw,
        aim="≤ 2×",
    )
    report.notes.append(
        "The import also parses, checks, looks for duplicates and existing rows, and writes an event a row."
    )
    return report


def run() -> Report:
    """Measure all of it, in about half a minute."""
    return uvloop.run(_measure())
