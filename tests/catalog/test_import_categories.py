"""Imports while the categories that they name are deleted."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.catalog.importing import bulk
from graph.catalog.importing.importer import import_products
from graph.errors import Invalid, Missing
from harness.waiting import within

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.catalog.service import CatalogService
    from graph.engines.database import Database


async def waits(database: Database) -> bool:
    """Whether somebody waits for a lock; on SQLite a transaction holds the only one."""
    if database.dialect == "sqlite":
        return True
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with database.session() as session:
        return bool((await session.execute(text(waiting))).scalar_one())


async def test_a_category_is_kept_while_products_are_put_into_it(
    catalog: CatalogService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who deletes it waits for the import, which needs no second attempt, and finds it in use."""
    shelf = await catalog.create_category("toys", "Toys")
    existing = bulk._existing  # pyright: ignore[reportPrivateUsage] - called when the categories are found
    deleting: list[asyncio.Task[None]] = []
    attempts: list[int] = []

    async def meanwhile(session: AsyncSession, skus: list[str], *, lock: bool) -> dict[str, dict[str, Any]]:
        attempts.append(len(skus))
        if not deleting:
            deleting.append(asyncio.create_task(catalog.delete_category(shelf.id)))
            async with within("the deletion to wait for the import"):
                while not deleting[0].done() and not await waits(catalog.database):
                    await asyncio.sleep(0.002)
        return await existing(session, skus, lock=lock)

    monkeypatch.setattr(bulk, "_existing", meanwhile)
    path = tmp_path / "products.csv"
    path.write_text("sku,name,price,category\nA,Alpha,5,toys\n")
    report = await import_products(catalog, path)
    assert (report.created, report.bad, attempts) == (1, 0, [1])
    with pytest.raises(Invalid):
        await deleting[0]
    assert [(one.category.slug, one.products) for one in await catalog.categories()] == [("toys", 1)]


async def test_categories_that_are_deleted_are_made_again(
    catalog: CatalogService, tmp_path: Path, scaled: Callable[[int, int], int]
) -> None:
    """Whatever is deleted under imports, each takes all of its rows."""
    path = tmp_path / "products.csv"

    async def delete(turn: int) -> None:
        for _ in range(6):
            for one in await catalog.categories():
                if not one.category.slug.startswith(f"shelf-{turn}"):  # it has products
                    continue
                with contextlib.suppress(Invalid, Missing):
                    await catalog.delete_category(one.category.id)

    turns = scaled(5, 3)
    for turn in range(turns):
        rows = (f"S{turn}-{number},N,5,Shelf {turn} > Sub {number}" for number in range(4))
        path.write_text("\n".join(("sku,name,price,category", *rows)))
        for number in range(4):
            await catalog.create_category(f"shelf-{turn}-sub-{number}", "Sub")
        report, _ = await asyncio.gather(import_products(catalog, path), delete(turn))
        assert (report.created, report.bad) == (4, 0)
    assert sum(one.products for one in await catalog.categories()) == 4 * turns
