"""The made-up catalog."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from graph.catalog import rules, seed
from graph.catalog.reading.paging import Filter, PageRequest
from graph.catalog.records import SCALE

if TYPE_CHECKING:
    from graph.catalog.service import CatalogService


def test_the_catalog_is_deterministic_and_believable() -> None:
    """Every run makes the same products, a longer one begins like a shorter one, and each product keeps every rule."""
    made = list(seed.products(seed.SEED_COUNT))
    assert list(seed.products(100)) == made[:100]
    assert len(made) >= 5000
    assert len({row["sku"] for row in made}) == len(made)
    assert len({row["category"] for row in made}) >= 20
    assert len({row["name"] for row in made}) > len(made) * 0.8
    assert 0.01 < sum(row["stock"] == 0 for row in made) / len(made) < 0.2
    assert 0 < sum(not row["active"] for row in made) < len(made) * 0.1
    for row in made[:500]:
        assert rules.check_sku(row["sku"]) == row["sku"]
        assert rules.check_name(row["name"]) == row["name"]
        assert rules.check_description(row["description"]) == row["description"]
        assert rules.is_slug(row["category"])
        assert 10**SCALE <= row["price"] <= 3000 * 10**SCALE


async def test_seeding_twice_adds_nothing(catalog: CatalogService) -> None:
    """Seeding again is harmless, a larger number adds the rest, and what was cached is gone at once."""
    assert await catalog.count(Filter(include_inactive=True)) == 0
    assert (await catalog.page(PageRequest.of())).edges == ()
    assert await catalog.categories() == ()
    done: list[int] = []
    assert await seed.seed_catalog(catalog, 300, on_progress=done.append) == 300
    assert done == [300]
    assert await seed.seed_catalog(catalog, 300) == 0
    assert await seed.seed_catalog(catalog, 400) == 100
    assert await catalog.count(Filter(include_inactive=True)) == 400
    assert len((await catalog.page(PageRequest.of())).edges) == 20
    categories = await catalog.categories()
    assert len(categories) >= 20
    assert sum(count.products for count in categories) == await catalog.count(Filter())


async def test_only_an_empty_catalog_is_filled(catalog: CatalogService) -> None:
    """Several that find the catalog empty fill it once; a catalog with products is left alone."""
    added = await asyncio.gather(*(seed.seed_if_empty(catalog, 50) for _ in range(4)))
    assert sum(added) == 50
    assert await seed.seed_if_empty(catalog, 60) == 0


async def test_a_senseless_number(catalog: CatalogService) -> None:
    """More products than there are numbers for are refused."""
    for count in (-1, seed.MAX_COUNT + 1):
        with pytest.raises(ValueError, match="number of products"):
            await seed.seed_catalog(catalog, count)
