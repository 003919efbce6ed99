"""The values that the catalog's service returns, and how they are read from cached JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from graph.engines.columns import stored_moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

SCALE = 4
"""Prices are stored as whole numbers of 10**-SCALE."""


class ChangeKind(StrEnum):
    """What happened to a product."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"


class Pair(NamedTuple):
    """An option or an attribute: a name and a value."""

    name: str
    value: str


class Image(NamedTuple):
    """A picture: its URL (or its path in the shop's own store), and a description."""

    url: str
    alt: str | None


class CategoryRecord(NamedTuple):
    """A category as a product shows it."""

    id: int
    slug: str
    name: str
    parent_id: int | None = None


@lru_cache(maxsize=1024)
def category_of(number: int, slug: str | None, name: str, parent: int | None) -> CategoryRecord | None:
    """Return the category of a product; None if it has none. Most products of a page are in the same few ones."""
    return None if slug is None else CategoryRecord(number, slug, name, parent)


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """A category with the number of its active products."""

    category: CategoryRecord
    products: int


class ProductRecord(NamedTuple):
    """A product with its category."""

    id: int
    sku: str
    name: str
    description: str
    category: CategoryRecord | None
    price: Decimal
    currency: str
    stock: int | None
    """Number of items; None if stock is not counted."""
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


@lru_cache(maxsize=4096)
def decimal_of(stored: int, currency: str) -> Decimal:
    """Return the amount that is stored as `stored`, with as many decimals as the currency has."""
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
    """Return how many decimals an amount in `currency` has (ISO 4217)."""
    return _DECIMALS.get(currency, 2)


# --- JSON ---

EMPTY = "[]"


def pairs_of(stored: str) -> tuple[Pair, ...]:
    """Read options or attributes from their stored form."""
    return tuple(Pair(*pair) for pair in json.loads(stored))


def images_of(stored: str) -> tuple[Image, ...]:
    """Read images from their stored form."""
    return tuple(Image(*image) for image in json.loads(stored))


def product_of(values: Sequence[Any]) -> ProductRecord:
    """Build a product from a row as it is cached: `graph.catalog.reading.queries.PRODUCT_COLUMNS`."""
    # fmt: off
    (number, sku, name, description, price, currency, stock, active, created, updated, category, former,
     tracked, in_stock, group, brand, gtin, options, images, attributes, slug, title, parent) = values
    # fmt: on
    return ProductRecord(
        number,
        sku,
        name,
        description,
        category_of(category, slug, title, parent),
        decimal_of(price, currency),
        currency,
        stock if tracked else None,
        active,
        stored_moment(created),
        stored_moment(updated),
        None if former is None else decimal_of(former, currency),
        bool(in_stock),
        group,
        brand,
        gtin,
        () if options == EMPTY else pairs_of(options),
        () if images == EMPTY else images_of(images),
        () if attributes == EMPTY else pairs_of(attributes),
    )


def counts_json(counts: tuple[CategoryCount, ...]) -> list[Any]:
    """Return the categories in the form that is cached."""
    return [
        [count.category.id, count.category.slug, count.category.name, count.category.parent_id, count.products]
        for count in counts
    ]


def counts_of(value: list[Any]) -> tuple[CategoryCount, ...]:
    """Read what `counts_json` returned."""
    return tuple(CategoryCount(CategoryRecord(*row[:4]), row[4]) for row in value)
