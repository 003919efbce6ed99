"""Look-ups of the catalog that an operation batches (`graph.api.context.Context.loader`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.catalog import CategoryRecord, ProductRecord
    from graph.services import Services


async def products(services: Services, ids: Sequence[int]) -> list[ProductRecord | None]:
    """Return the products with these ids, in their order; None for one that is gone."""
    found = await services.catalog.products(ids)
    return [found.get(one) for one in ids]


async def products_by_sku(services: Services, skus: Sequence[str]) -> list[ProductRecord | None]:
    """Return the products with these skus, in their order; None if there is none."""
    found = await services.catalog.products_by_sku(skus)
    return [found.get(sku) for sku in skus]


async def categories(services: Services, ids: Sequence[int]) -> list[CategoryRecord | None]:
    """Return the categories with these ids, in their order; None for one that is gone."""
    found = {count.category.id: count.category for count in await services.catalog.categories()}
    return [found.get(one) for one in ids]


async def product_counts(services: Services, ids: Sequence[int]) -> list[int]:
    """Return the number of active products of each category, by its id."""
    counts = {count.category.id: count.products for count in await services.catalog.categories()}
    return [counts.get(one, 0) for one in ids]
