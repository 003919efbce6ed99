"""Products for tests: what is not told of one is filled in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from graph.catalog import rules, writing
from graph.catalog.models import CATEGORIES, PRODUCTS
from graph.settings import DatabaseSettings, JobSettings, RedisSettings, ServerSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from graph.engines.database import Database

START = datetime(2026, 1, 1, tzinfo=UTC)


def new(sku: str, **told: Any) -> writing.NewProduct:
    """A product that may be created."""
    values: dict[str, Any] = {"sku": sku, "name": f"Product {sku}", "amount": Decimal("9.99"), **told}
    return writing.NewProduct(**values)


def with_imports(folder: Path, redis_url: str, database_url: str, *, rows: int) -> Settings:
    """Settings whose import directory, below `folder`, has `products.csv` with the products S0, S1 and so on."""
    imports = folder / "imports"
    imports.mkdir()
    lines = (f"S{number},Product {number},1.00" for number in range(rows))
    (imports / "products.csv").write_text("\n".join(("sku,name,price", *lines)))
    return Settings(
        server=ServerSettings(data_dir=folder),
        redis=RedisSettings(url=redis_url),
        database=DatabaseSettings(url=database_url),
        jobs=JobSettings(imports=imports),
    )


async def add_categories(database: Database, *slugs: str) -> None:
    """Put categories straight into SQL."""
    async with database.transaction() as session:
        await session.execute(insert(CATEGORIES), [{"slug": slug, "name": slug.title()} for slug in slugs])


async def add_products(database: Database, products: Iterable[dict[str, Any]]) -> None:
    """Put products straight into SQL, past the cache; `minute` says how long after `START` each was made."""
    async with database.transaction() as session:
        ids = {row.slug: row.id for row in await session.execute(select(CATEGORIES.c.slug, CATEGORIES.c.id))}
        rows: list[dict[str, Any]] = []
        for told in products:
            values = dict(told)
            at = START + timedelta(minutes=values.pop("minute", 0))
            category = values.pop("category", None)
            product = new(**values)
            row = writing.row_of(product)
            row |= writing.derived(row["sku"], row["name"], row["description"])
            rows.append(row | {"category_id": ids[category] if category else None, "created_at": at, "updated_at": at})
        await session.execute(insert(PRODUCTS), rows)


async def remove(database: Database, sku: str) -> None:
    """Delete a product straight from SQL, past the cache."""
    async with database.transaction() as session:
        await session.execute(PRODUCTS.delete().where(PRODUCTS.c.sku == rules.check_sku(sku)))
