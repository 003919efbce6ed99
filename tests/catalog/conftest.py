"""A catalog on each engine, behind a real cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from graph.catalog.service import CatalogService
from graph.patterns.cache import Cache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.engines.database import Database
    from graph.patterns.client import Client


@pytest.fixture
async def cache(client: Client) -> AsyncIterator[Cache]:
    """An empty cache."""
    cache = Cache(client)
    yield cache
    await cache.close()


@pytest.fixture
def catalog(database: Database, cache: Cache) -> CatalogService:
    """An empty catalog."""
    return CatalogService(database, cache)
