"""Stock Strawberry on FastAPI, as its documentation begins: `GraphQLRouter`, no cache, no session, no limit, no Redis.

The data are ready objects in memory, which is the best that can happen to it.
"""

from __future__ import annotations

import json
import os
from decimal import Decimal
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import strawberry
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

if TYPE_CHECKING:
    from starlette.types import ASGIApp


@strawberry.type
class Money:
    """A price."""

    amount: Decimal
    currency: str


@strawberry.type
class Category:
    """A category."""

    id: strawberry.ID
    slug: str
    name: str


@strawberry.type
class Product:
    """A product."""

    id: strawberry.ID
    sku: str
    name: str
    description: str
    category: Category | None
    price: Money
    stock: int
    active: bool


@strawberry.type
class ProductConnection:
    """A page."""

    nodes: list[Product]


@strawberry.input(one_of=True)
class ProductBy:
    """Names one product."""

    id: strawberry.ID | None = strawberry.UNSET
    sku: str | None = strawberry.UNSET


@strawberry.input
class ProductFilter:
    """Which products."""

    min_price: Decimal | None = None


def product_of(value: dict[str, Any]) -> Product:
    """A ready object."""
    price, category = value["price"], value["category"]
    return Product(
        **{name: value[name] for name in ("id", "sku", "name", "description", "stock", "active")},
        price=Money(amount=Decimal(price["amount"]), currency=price["currency"]),
        category=category and Category(**category),
    )


@strawberry.enum
class ProductSort(Enum):
    """In which order."""

    NAME_ASC = "NAME_ASC"
    PRICE_ASC = "PRICE_ASC"


SORTED: dict[ProductSort, list[Product]] = {}
BY_SKU: dict[str, Product] = {}


@strawberry.type
class Query:
    """Reads."""

    @strawberry.field
    async def product(self, by: ProductBy) -> Product | None:
        """One product."""
        return BY_SKU.get(by.sku or "")

    @strawberry.field
    async def products(
        self,
        first: int,
        filter: ProductFilter | None = None,  # noqa: A002 - the contract's name
        sort: ProductSort = ProductSort.NAME_ASC,
    ) -> ProductConnection:
        """The first products."""
        least = filter.min_price if filter is not None else None
        found = (product for product in SORTED[sort] if least is None or product.price.amount >= least)
        return ProductConnection(nodes=list(islice(found, first)))


def app() -> ASGIApp:
    """The application; the products are in the file that ``DATA`` names."""
    data = json.loads(Path(os.environ["DATA"]).read_text())
    SORTED[ProductSort.NAME_ASC] = list(map(product_of, data["products"]))
    SORTED[ProductSort.PRICE_ASC] = list(map(product_of, data["cheapest"]))
    BY_SKU.update((product.sku, product) for product in SORTED[ProductSort.NAME_ASC])
    router: GraphQLRouter[Any, Any] = GraphQLRouter(strawberry.Schema(Query))
    application = FastAPI()
    application.include_router(router, prefix="/graphql")
    return application
