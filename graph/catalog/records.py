"""What the catalog's service gives out: frozen values, and how they are written into the cache as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

SCALE = 4
"""Prices are stored as whole numbers of 10**-SCALE."""


@dataclass(frozen=True, slots=True)
class CategoryRecord:
    """A category as a product shows it."""

    id: int
    slug: str
    name: str


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
    stock: int
    active: bool
    created_at: datetime
    updated_at: datetime


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


def decimal_of(stored: int, currency: str) -> Decimal:
    """The amount that is stored as `stored`, with as many decimals as the currency has."""
    return Decimal(stored).scaleb(-SCALE).quantize(Decimal(1).scaleb(-decimals_of(currency)))


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


def product_json(product: ProductRecord) -> dict[str, Any]:
    """Write a product for the cache."""
    category = product.category
    return {
        "id": product.id,
        "sku": product.sku,
        "name": product.name,
        "description": product.description,
        "category": [category.id, category.slug, category.name] if category else None,
        "price": str(product.price),
        "currency": product.currency,
        "stock": product.stock,
        "active": product.active,
        "created": product.created_at.isoformat(),
        "updated": product.updated_at.isoformat(),
    }


def product_of(value: dict[str, Any]) -> ProductRecord:
    """Read what `product_json` wrote."""
    category = value["category"]
    return ProductRecord(
        id=value["id"],
        sku=value["sku"],
        name=value["name"],
        description=value["description"],
        category=CategoryRecord(*category) if category else None,
        price=Decimal(value["price"]),
        currency=value["currency"],
        stock=value["stock"],
        active=value["active"],
        created_at=datetime.fromisoformat(value["created"]),
        updated_at=datetime.fromisoformat(value["updated"]),
    )


def page_json(page: Page) -> dict[str, Any]:
    """Write a page for the cache."""
    return {
        "edges": [[edge.cursor, product_json(edge.product)] for edge in page.edges],
        "next": page.has_next,
        "previous": page.has_previous,
    }


def page_of(value: dict[str, Any]) -> Page:
    """Read what `page_json` wrote."""
    edges = tuple(Edge(cursor, product_of(product)) for cursor, product in value["edges"])
    return Page(edges, value["next"], value["previous"])


def counts_json(counts: tuple[CategoryCount, ...]) -> list[Any]:
    """Write the categories for the cache."""
    return [[count.category.id, count.category.slug, count.category.name, count.products] for count in counts]


def counts_of(value: list[Any]) -> tuple[CategoryCount, ...]:
    """Read what `counts_json` wrote."""
    return tuple(CategoryCount(CategoryRecord(*row[:3]), row[3]) for row in value)
