"""Filters in SQL: the shape of a filter determines the statement, its values are bound as parameters.

So a statement is built once for each shape of filter, and not for each request.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, Text, UnaryExpression, bindparam, false, select, text, true
from sqlalchemy.sql.operators import custom_op

from graph.catalog.models import CATEGORIES, PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.catalog.reading.paging import Filter

P, C = PRODUCTS.c, CATEGORIES.c


class FilterShape(NamedTuple):
    """Which conditions a filter has, whatever their values."""

    dialect: str
    category: bool
    search: bool
    low: bool
    high: bool
    in_stock: bool | None
    include_inactive: bool
    brand: bool = False
    group: bool = False
    attributes: int = 0

    @classmethod
    def of(cls, chosen: Filter, dialect: str) -> FilterShape:
        """Return the shape of a filter."""
        low, high = chosen.min_price is not None, chosen.max_price is not None
        searched = chosen.terms is not None
        told = (chosen.category is not None, searched, low, high, chosen.in_stock, chosen.include_inactive)
        return cls(dialect, *told, chosen.brand is not None, chosen.group is not None, len(chosen.attributes))

    @property
    def priced(self) -> bool:
        """Whether there is a bound on the price."""
        return self.low or self.high


def values_in(chosen: Filter, dialect: str) -> dict[str, Any]:
    """Return the parameters for statements of the filter's shape."""
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
    if chosen.brand is not None:
        values["brand"] = chosen.brand
    if chosen.group is not None:
        values["group"] = chosen.group
    for place, (name, value) in enumerate(chosen.attributes):
        if dialect == "sqlite":
            values[f"attribute_{place}"], values[f"value_{place}"] = name, value
        else:
            values[f"attribute_{place}"] = json.dumps([[name, value]], ensure_ascii=False)
    return values


def _match(terms: Sequence[str], dialect: str) -> str:
    """Return the full-text query: each term begins a word. Terms are only letters and digits, and quoted anyway."""
    if dialect == "sqlite":
        return " ".join(f'"{term}"*' for term in terms)
    return " & ".join(f"'{term}':*" for term in terms)


# OFFSET 0 keeps PostgreSQL from testing product after product in the order of the page, which is fast for a frequent
# word but takes seconds for a rare one that it believes to be frequent.
_FOUND = {
    "sqlite": "SELECT rowid AS id FROM product_search WHERE product_search MATCH :words",
    "postgresql": "SELECT id FROM product WHERE array_to_tsvector(string_to_array(search, ' ')) "
    "@@ to_tsquery('simple', CAST(:words AS text)) OFFSET 0",
}


def conditions(shape: FilterShape, price: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter, except that the product is active."""
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
        found.append(P.in_stock == (true() if shape.in_stock else false()))
    # Select by these first, like a search, and sort afterwards: few products share such a value.
    if shape.brand:
        found.append(
            P.id.in_(select(_Q.id).where(_Q.brand == bindparam("brand", type_=P.brand.type)).scalar_subquery())
        )
    if shape.group:
        wanted = bindparam("group", type_=P.group_id.type)
        found.append(P.id.in_(select(_Q.id).where(_Q.group_id == wanted).scalar_subquery()))
    found += [P.id.in_(_having(shape.dialect, place)) for place in range(shape.attributes)]
    return found


_Q = PRODUCTS.alias("chosen").c


def _having(dialect: str, place: int) -> ScalarSelect[Any]:
    """Return the statement for the products that have an attribute with this value."""
    if dialect == "sqlite":
        sql = (
            f"SELECT product_id AS id FROM product_attribute WHERE name = :attribute_{place} AND value = :value_{place}"  # noqa: S608 - a number
        )
        bound = (bindparam(f"attribute_{place}", type_=Text()), bindparam(f"value_{place}", type_=Text()))
    else:
        sql = (
            "SELECT id FROM product WHERE attributes <> '[]' AND attributes::jsonb @> "  # noqa: S608 - a number
            f"CAST(CAST(:attribute_{place} AS text) AS jsonb) OFFSET 0"
        )
        bound = (bindparam(f"attribute_{place}", type_=Text()),)
    return text(sql).bindparams(*bound).columns(id=P.id.type).scalar_subquery()


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the same expression in a form for which SQLite does not use an index."""
    plus: custom_op[Any] = custom_op("+")
    return UnaryExpression(column, operator=plus, type_=column.type)
