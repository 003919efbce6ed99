"""A filter in SQL: its shape decides the statement, its values are bound to it.

So a statement is built once for each shape of filter, and not for each request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, Text, UnaryExpression, bindparam, select, text
from sqlalchemy.sql.operators import custom_op

from graph.catalog.models import CATEGORIES, PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.catalog.reading.paging import Filter

P, C = PRODUCTS.c, CATEGORIES.c


class Shape(NamedTuple):
    """Which conditions a filter has, whatever their values."""

    dialect: str
    category: bool
    search: bool
    low: bool
    high: bool
    in_stock: bool | None
    include_inactive: bool

    @classmethod
    def of(cls, chosen: Filter, dialect: str) -> Shape:
        """The shape of a filter."""
        low, high = chosen.min_price is not None, chosen.max_price is not None
        searched = chosen.terms is not None
        return cls(dialect, chosen.category is not None, searched, low, high, chosen.in_stock, chosen.include_inactive)

    @property
    def priced(self) -> bool:
        """Whether the price is bounded."""
        return self.low or self.high


def values_in(chosen: Filter, dialect: str) -> dict[str, Any]:
    """The values that statements of the filter's shape want."""
    values: dict[str, Any] = {}
    if chosen.category is not None:
        values["category"] = chosen.category
    if (terms := chosen.terms) is not None:
        values["words"] = _match(terms, dialect)
    low, high = chosen.stored_prices()
    if low is not None:
        values["low"] = low
    if high is not None:
        values["high"] = high
    return values


def _match(terms: Sequence[str], dialect: str) -> str:
    """That each of `terms` begins a word of the product. They hold only letters and digits, and are quoted anyway."""
    if dialect == "sqlite":
        return " ".join(f'"{term}"*' for term in terms)
    return " & ".join(f"'{term}':*" for term in terms)


# OFFSET 0 keeps PostgreSQL from testing product after product in the order of the page instead, which is quick for a
# word that is everywhere and takes seconds for one that it wrongly believes to be.
_FOUND = {
    "sqlite": "SELECT rowid AS id FROM product_search WHERE product_search MATCH :words",
    "postgresql": "SELECT id FROM product WHERE array_to_tsvector(string_to_array(search, ' ')) "
    "@@ to_tsquery('simple', CAST(:words AS text)) OFFSET 0",
}


def conditions(shape: Shape, price: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """What a product must meet, but for being active."""
    found: list[ColumnElement[bool]] = []
    if shape.category:
        wanted = select(C.id).where(C.slug == bindparam("category", type_=C.slug.type))
        found.append(P.category_id == wanted.scalar_subquery())
    if shape.search:
        matching = text(_FOUND[shape.dialect]).bindparams(bindparam("words", type_=Text()))
        found.append(P.id.in_(matching.columns(id=P.id.type).scalar_subquery()))
    if shape.low:
        found.append(price >= bindparam("low", type_=P.price.type))
    if shape.high:
        found.append(price <= bindparam("high", type_=P.price.type))
    if shape.in_stock is not None:
        found.append(P.stock > 0 if shape.in_stock else P.stock == 0)
    return found


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The same value, for which SQLite looks in no index."""
    plus: custom_op[Any] = custom_op("+")
    return UnaryExpression(column, operator=plus, type_=column.type)
