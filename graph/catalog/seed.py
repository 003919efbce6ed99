"""Generates a plausible demo catalog: any number of products, the same at every run.

The first N products are the same however many are generated, so seeding again with a larger number adds the rest, and
seeding again with the same number changes nothing. The category determines a product's name, price and description.
"""

from __future__ import annotations

import asyncio
import random
import tomllib
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from graph.catalog import writing
from graph.catalog.keys import EVERYTHING
from graph.catalog.models import CATEGORIES, PRODUCTS
from graph.catalog.records import SCALE
from graph.engines.failures import patiently
from graph.engines.upsert import upsert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from graph.catalog.service import CatalogService

SEED_COUNT = 6000
MAX_COUNT = 1_000_000
BATCH = 5000
"""Products written per transaction."""

_SEED = 20260131
_EPOCH = datetime(2024, 1, 8, 9, tzinfo=UTC)
_SPAN = 750 * 86400  # seconds
_SOLD_OUT, _WITHDRAWN, _MEAN_STOCK = 0.08, 0.02, 60


class SeedCategory(NamedTuple):
    """A category: the prefix of its skus, its lowest and highest price, its things from cheap to expensive."""

    slug: str
    name: str
    sku: str
    prices: tuple[int, int]
    coloured: bool
    things: list[str]
    traits: list[str]


class Words(NamedTuple):
    """The contents of ``seed.toml``."""

    makers: list[str]
    colours: list[str]
    praises: list[str]
    uses: list[str]
    shelves: list[SeedCategory]


@cache
def words() -> Words:
    """Read ``seed.toml``, once."""
    read = tomllib.loads(files("graph.catalog").joinpath("seed.toml").read_text(encoding="utf-8"))
    shelves = [SeedCategory(**shelf) for shelf in read.pop("shelves")]
    return Words(**read, shelves=shelves)


def products(count: int) -> Iterator[dict[str, Any]]:
    """Yield the first `count` products: the columns of `product`, with the slug of a category as `category`."""
    dice = random.Random(_SEED)  # noqa: S311 - the same numbers every time, on purpose
    for number in range(1, count + 1):
        yield _product(number, dice)


def _product(number: int, dice: random.Random) -> dict[str, Any]:
    pick, stock = dice.choice, words()
    shelf = pick(stock.shelves)
    rank = dice.randrange(len(shelf.things))
    thing, trait, maker = shelf.things[rank], pick(shelf.traits), pick(stock.makers)
    name = f"{maker} {trait} {thing}"
    if shelf.coloured:
        name += f", {pick(stock.colours)}"
    sku = f"{shelf.sku}-{number:07d}"
    description = f"{trait} {thing.lower()} by {maker}, {pick(stock.uses)}. {pick(stock.praises)}"
    created = _EPOCH + timedelta(seconds=dice.randrange(_SPAN))
    row: dict[str, Any] = {
        "sku": sku,
        "name": name,
        "description": description,
        "category": shelf.slug,
        "price": _price(shelf, rank, dice) * 10**SCALE // 100,
        "currency": "USD",
        "stock": 0 if dice.random() < _SOLD_OUT else int(dice.expovariate(1 / _MEAN_STOCK)) + 1,
        "tracked": True,
        "active": dice.random() >= _WITHDRAWN,
        "created_at": created,
        "updated_at": created,
        **writing.derived(sku, name, description),
    }
    return row | {"in_stock": row["stock"] > 0}


def _price(shelf: SeedCategory, rank: int, dice: random.Random) -> int:
    """Return a price in cents near the usual price of the thing, with a usual ending such as .99."""
    lowest, highest = shelf.prices
    place = (rank + dice.random()) / len(shelf.things)
    whole = int(lowest * (highest / lowest) ** place)
    return whole * 100 + dice.choice((0, 50, 90, 95, 95, 99, 99, 99))


async def seed_catalog(
    catalog: CatalogService, count: int = SEED_COUNT, *, on_progress: Callable[[int], None] = lambda _: None
) -> int:
    """Add those of the first `count` products that are missing; returns how many were added.

    `on_progress` is called after each transaction with the number processed. No events are published.
    """
    if not 0 <= count <= MAX_COUNT:
        raise ValueError(f"the number of products is from 0 to {MAX_COUNT:,}")
    rows = products(count)
    added = done = 0
    while batch := await asyncio.to_thread(lambda: list(islice(rows, BATCH))):
        added += await patiently(partial(_write, catalog, batch))
        done += len(batch)
        on_progress(done)
    return added


async def seed_if_empty(
    catalog: CatalogService, count: int = SEED_COUNT, *, on_progress: Callable[[int], None] = lambda _: None
) -> int:
    """Seed a catalog that has no products at all; if several processes try at once, each product is added once.

    `on_progress` is called once the catalog is known to be empty, and after each transaction.
    """
    async with catalog.database.session() as session:
        if await session.scalar(select(PRODUCTS.c.id).limit(1)) is not None:
            return 0
    on_progress(0)
    return await seed_catalog(catalog, count, on_progress=on_progress)


async def _write(catalog: CatalogService, batch: list[dict[str, Any]]) -> int:
    add = upsert(catalog.database.dialect)
    async with catalog.database.transaction() as session:
        shelves = [{"slug": shelf.slug, "name": shelf.name} for shelf in words().shelves]
        await session.execute(add(CATEGORIES).on_conflict_do_nothing(), shelves)
        numbers = {row.slug: row.id for row in await session.execute(select(CATEGORIES.c.slug, CATEGORIES.c.id))}
        skus = [row["sku"] for row in batch]
        there = set(await session.scalars(select(PRODUCTS.c.sku).where(PRODUCTS.c.sku.in_(skus))))
        fresh = [row | {"category_id": numbers[row["category"]]} for row in batch if row["sku"] not in there]
        for row in fresh:
            del row["category"]
        if fresh:
            await (await session.connection()).execute(add(PRODUCTS).on_conflict_do_nothing(), fresh)
        async with catalog.cache.invalidating(EVERYTHING):
            await session.commit()
    return len(fresh)
