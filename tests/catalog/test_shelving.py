"""Categories beside the products that are put into them at the same time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from graph.catalog import writing
from graph.errors import Invalid
from harness.waiting import within
from tests.support.apps.products import new

if TYPE_CHECKING:
    from graph.catalog.service import CatalogService


async def test_a_category_that_a_product_is_just_put_into_is_not_deleted(catalog: CatalogService) -> None:
    """Whoever deletes it waits for the product, and is refused; the product is there."""
    category = await catalog.create_category("books", "Books")
    now = datetime.now(UTC)
    async with catalog.database.transaction() as session:
        found = await writing.category(session, "books", locked=True)
        assert found is not None
        deleting = asyncio.create_task(catalog.delete_category(category.id))
        await asyncio.wait((deleting,), timeout=0.3)  # it would be through by then if it did not wait
        row = writing.row_of(new("A")) | {"category_id": found.id, "created_at": now, "updated_at": now}
        await writing.insert_product(session, row)
    async with within("the deletion"):
        with pytest.raises(Invalid):
            await deleting
    product = (await catalog.products_by_sku(["A"]))["A"]
    assert product.category is not None
    assert product.category.slug == "books"
