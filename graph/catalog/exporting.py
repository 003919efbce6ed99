"""Writes the catalog to a file that can be imported: CSV, NDJSON or one JSON array.

The same catalog gives the same bytes: products in the order in which they were added, columns in a fixed order, prices
with their currency's decimals. Importing the file changes nothing; importing it elsewhere and exporting again gives the
same bytes. Memory stays flat: products are read in pages, each by a statement of its own, so changes made meanwhile may
be seen.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sqlalchemy import select

from graph.catalog import rules
from graph.catalog.importing import FIELDS, name_of, slug_of, write_images, write_pairs
from graph.catalog.models import CATEGORIES, PRODUCTS
from graph.catalog.reading.queries import shown, values_of
from graph.catalog.records import product_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from graph.catalog.records import CategoryRecord, ProductRecord
    from graph.engines.database import Database

Form: TypeAlias = Literal["csv", "json", "ndjson"]
PAGE = 1000


class Export:
    """One export in progress."""

    def __init__(self, database: Database, form: Form) -> None:
        """Export the products of `database`."""
        self._database = database
        self._form: Form = form
        self.count = 0
        """Products written so far."""

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the file piece by piece."""
        shelves = await _shelves(self._database)
        if self._form == "csv":
            yield _lines([FIELDS])
        elif self._form == "json":
            yield b"["
        async for page in _pages(self._database):
            if self._form == "csv":
                yield _lines(_cells(product, shelves) for product in page)
            else:
                rows = [json.dumps(_fields(product, shelves), ensure_ascii=False).encode() for product in page]
                if self._form == "ndjson":
                    yield b"".join(row + b"\n" for row in rows)
                else:
                    yield (b",\n" if self.count else b"\n") + b",\n".join(rows)
            self.count += len(page)
        if self._form == "json":
            yield b"\n]\n"


async def _pages(database: Database) -> AsyncIterator[list[ProductRecord]]:
    after = 0
    while True:
        statement = shown().where(PRODUCTS.c.id > after).order_by(PRODUCTS.c.id).limit(PAGE)
        async with database.session() as session:
            page = [product_of(values_of(row)) for row in await session.execute(statement)]
        if page:
            yield page
        if len(page) < PAGE:
            return
        after = page[-1].id


async def _shelves(database: Database) -> dict[int, str]:
    """Return how each category is written, by its id."""
    async with database.session() as session:
        rows = {row.id: row for row in await session.execute(select(CATEGORIES))}
    return {number: _shelf(number, rows) for number in rows}


def _shelf(number: int, rows: Mapping[int, Any]) -> str:
    """Return the category's slug, or the path of names if an import would make the same slug of it."""
    slug, names = rows[number].slug, list[str]()
    here: int | None = number
    while here is not None and here in rows and len(names) < len(rows):
        names.append(rows[here].name)
        here = rows[here].parent_id
    path = tuple(reversed(names))
    known = len(path) == 1 and path[0] == name_of(slug)
    unclear = any(
        name != " ".join(name.split()) or any(mark in name for mark in ">\u203a\u00bb\u2192") for name in path
    )
    text = " > ".join(path)
    return slug if known or unclear or rules.is_slug(text) or slug_of(path) != slug else text


def _category(category: CategoryRecord | None, shelves: Mapping[int, str]) -> str | None:
    return None if category is None else shelves.get(category.id, category.slug)


def _fields(product: ProductRecord, shelves: Mapping[int, str]) -> dict[str, Any]:
    """Return the product as a JSON object."""
    return {
        "sku": product.sku,
        "name": product.name,
        "description": product.description,
        "category": _category(product.category, shelves),
        "price": f"{product.price:f}",
        "currency": product.currency,
        "compareAtPrice": None if product.compare_at_price is None else f"{product.compare_at_price:f}",
        "stock": product.stock,
        "inStock": product.in_stock,
        "active": product.active,
        "groupId": product.group_id,
        "options": [{"name": name, "value": value} for name, value in product.options],
        "images": [{"url": url, "alt": alt} for url, alt in product.images],
        "brand": product.brand,
        "gtin": product.gtin,
        "attributes": [{"name": name, "value": value} for name, value in product.attributes],
    }


def _cells(product: ProductRecord, shelves: Mapping[int, str]) -> list[str]:
    """Return the product as the cells of a CSV row; what it does not have is blank."""
    fields = _fields(product, shelves)
    fields |= {
        "options": write_pairs(product.options),
        "images": write_images(product.images),
        "attributes": write_pairs(product.attributes),
    }
    return [_text(fields[name]) for name in FIELDS]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
