"""What the catalog's service gives out: frozen values, and how they are read from the JSON that is cached."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from graph.engines.columns import stored_moment

if TYPE_CHECKING:
    from datetime import datetime

SCALE = 4
"""Prices are stored as whole numbers of 10**-SCALE."""


class ChangeKind(StrEnum):
    """What became of a product."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"


class Pair(NamedTuple):
    """An option or an attribute."""

    name: str
    value: str


class Image(NamedTuple):
    """A picture: its address (or its path in the shop's own store), and what it shows."""

    url: str
    alt: str | None


@dataclass(frozen=True, slots=True)
class CategoryRecord:
    """A category as a product shows it."""

    id: int
    slug: str
    name: str
    parent_id: int | None = None


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """A category with the number of its active products."""

    category: CategoryRecord
    products: int


@dataclass(frozen=True, slots=True)
class ProductRecord:
    """A product with its category."""

    id: int
    sku: str
    name: str
    description: str
    category: CategoryRecord | None
    price: Decimal
    currency: str
    stock: int | None
    """Pieces; None where they are not counted."""
    active: bool
    created_at: datetime
    updated_at: datetime
    compare_at_price: Decimal | None = None
    in_stock: bool = True
    group_id: str | None = None
    brand: str | None = None
    gtin: str | None = None
    options: tuple[Pair, ...] = ()
    images: tuple[Image, ...] = ()
    attributes: tuple[Pair, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """A product on a page, and where it stands."""

    cursor: str
    product: ProductRecord


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a sorted list of products."""

    edges: tuple[Edge, ...]
    has_next: bool
    has_previous: bool


@lru_cache(maxsize=4096)
def decimal_of(stored: int, currency: str) -> Decimal:
    """The amount that is stored as `stored`, with as many decimals as the currency has."""
    return Decimal(stored).scaleb(-SCALE).quantize(_UNITS[decimals_of(currency)])


_UNITS = tuple(Decimal(1).scaleb(-decimals) for decimals in range(SCALE + 1))


# ISO 4217: the currencies whose minor unit is not a hundredth.
_DECIMALS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND"), 0),
    **dict.fromkeys(("VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def decimals_of(currency: str) -> int:
    """How many decimals an amount in `currency` has (ISO 4217)."""
    return _DECIMALS.get(currency, 2)


# --- JSON ---

EMPTY = "[]"


def pairs_of(stored: str) -> tuple[Pair, ...]:
    """Options or attributes as they are stored."""
    return () if stored == EMPTY else tuple(Pair(*pair) for pair in json.loads(stored))


def images_of(stored: str) -> tuple[Image, ...]:
    """Images as they are stored."""
    return () if stored == EMPTY else tuple(Image(*image) for image in json.loads(stored))


def product_of(values: list[Any]) -> ProductRecord:
    """The product of a cached row: price and moments as SQLite stores them, at last its category or None."""
    (number, sku, name, description, price, currency, stock, active, created, updated, category, *more) = values
    (former, tracked, in_stock, group, brand, gtin, options, images, attributes, slug, title, parent) = more
    return ProductRecord(
        id=number,
        sku=sku,
        name=name,
        description=description,
        category=None if slug is None else CategoryRecord(category, slug, title, parent),
        price=decimal_of(price, currency),
        currency=currency,
        stock=stock if tracked else None,
        active=active,
        created_at=stored_moment(created),
        updated_at=stored_moment(updated),
        compare_at_price=None if former is None else decimal_of(former, currency),
        in_stock=bool(in_stock),
        group_id=group,
        brand=brand,
        gtin=gtin,
        options=pairs_of(options),
        images=images_of(images),
        attributes=pairs_of(attributes),
    )


def page_of(value: dict[str, Any]) -> Page:
    """The page of a cached one: `edges` of a cursor and a row each, and whether more is `next` or `previous`."""
    edges = tuple(Edge(cursor, product_of(product)) for cursor, product in value["edges"])
    return Page(edges, value["next"], value["previous"])


def counts_json(counts: tuple[CategoryCount, ...]) -> list[Any]:
    """Write the categories for the cache."""
    return [
        [count.category.id, count.category.slug, count.category.name, count.category.parent_id, count.products]
        for count in counts
    ]


def counts_of(value: list[Any]) -> tuple[CategoryCount, ...]:
    """Read what `counts_json` wrote."""
    return tuple(CategoryCount(CategoryRecord(*row[:4]), row[4]) for row in value)
