"""The loaders of one operation: single lookups asked for in one turn of the event loop become one.

They keep nothing (`cache=False`): the cache below them is right for every later look, a memory here would not be, and
an operation may live as long as a socket. Each is made when it is first used.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from strawberry.dataloader import DataLoader

if TYPE_CHECKING:
    from graph.accounts.records import UserRecord
    from graph.catalog.records import ProductRecord
    from graph.services import Services


class Loaders:
    """All loaders, each by the name of what it finds."""

    def __init__(self, services: Services) -> None:
        """Load from `services`."""
        self._services = services

    @cached_property
    def product(self) -> DataLoader[int, ProductRecord | None]:
        """Products by number."""

        async def load(ids: list[int]) -> list[ProductRecord | None]:
            found = await self._services.catalog.products(ids)
            return [found.get(one) for one in ids]

        return DataLoader(load, cache=False)

    @cached_property
    def player(self) -> DataLoader[int, UserRecord | None]:
        """Users by number, for what everybody may see of them."""

        async def load(ids: list[int]) -> list[UserRecord | None]:
            found = await self._services.accounts.users(ids)
            return [found.get(one) for one in ids]

        return DataLoader(load, cache=False)

    @cached_property
    def product_by_sku(self) -> DataLoader[str, ProductRecord | None]:
        """Products by sku."""

        async def load(skus: list[str]) -> list[ProductRecord | None]:
            found = await self._services.catalog.products_by_sku(skus)
            return [found.get(sku) for sku in skus]

        return DataLoader(load, cache=False)

    @cached_property
    def product_count(self) -> DataLoader[int, int]:
        """The number of active products of a category, by its number."""

        async def load(ids: list[int]) -> list[int]:
            counts = {count.category.id: count.products for count in await self._services.catalog.categories()}
            return [counts.get(one, 0) for one in ids]

        return DataLoader(load, cache=False)
