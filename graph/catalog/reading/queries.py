"""The catalog's SQL except pages (`graph.catalog.reading.pages`): one statement per read, each answered from an index.

A statement is built once for each shape of request and kept; a read only binds values. Building and compiling the
statement of a page takes SQLAlchemy ten times as long as reading the page takes SQLite.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import ColumnElement, bindparam, func, select, true, type_coerce

from graph.catalog.models import CATEGORIES, PRODUCTS
from graph.catalog.reading.filtering import FilterShape, conditions, unindexed, values_in
from graph.catalog.records import CategoryCount, CategoryRecord, ProductRecord, product_of
from graph.engines.columns import UtcText

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Executable, Select

    from graph.catalog.reading.paging import Filter

P, C = PRODUCTS.c, CATEGORIES.c
_PRODUCT: tuple[ColumnElement[Any], ...] = (
    *(P.id, P.sku, P.name, P.description, P.price, P.currency, P.stock, P.active),
    *(type_coerce(column, UtcText()).label(column.key) for column in (P.created_at, P.updated_at)),
    P.category_id,
    *(P.compare_at_price, P.tracked, P.in_stock, P.group_id, P.brand, P.gtin, P.options, P.images, P.attributes),
)
_CATEGORY = (C.slug, C.name.label("category_name"), C.parent_id)
PRODUCT_COLUMNS = tuple(column.key for column in (*_PRODUCT, *_CATEGORY))
"""The columns of a product and its category with which every row begins; prices and times are as SQLite stores them."""
COLUMNS = len(PRODUCT_COLUMNS)


class SqlReader(Protocol):
    """What a read runs on: the database, or a session that has read or written before."""

    def execute(self, statement: Executable, params: Mapping[str, Any], /) -> Awaitable[Iterable[Sequence[Any]]]:
        """Return the rows of a statement."""
        ...


class RowReader:
    """A `SqlReader` of one function, such as `graph.engines.database.Database.rows`."""

    def __init__(self, rows: Callable[[Executable, Mapping[str, Any]], Awaitable[Iterable[Sequence[Any]]]]) -> None:
        self.execute = rows


def shown(*more: ColumnElement[Any]) -> Select[Any]:
    """Select products with their category, in the column order that `values_of` expects, followed by `more`."""
    return select(*_PRODUCT, *_CATEGORY, *more).join_from(PRODUCTS, CATEGORIES, C.id == P.category_id, isouter=True)


def with_id(*more: ColumnElement[Any]) -> Select[Any]:
    """Select the product whose id is the parameter `id`, with its category, followed by `more`."""
    return shown(*more).where(P.id == bindparam("id", type_=P.id.type))


def values_of(row: Sequence[Any]) -> list[Any]:
    """Return a row of `shown` as it is cached and as `graph.catalog.records.product_of` reads it."""
    values = row[:COLUMNS]
    return values if isinstance(values, list) else list(values)


def category_values(category: CategoryRecord | None) -> dict[str, Any]:
    """Return the columns of a row that show its category."""
    if category is None:
        return dict.fromkeys(("category_id", "slug", "category_name", "parent_id"))
    number, slug, name, parent = category
    return {"category_id": number, "slug": slug, "category_name": name, "parent_id": parent}


_BY_ID = shown().where(P.id.in_(bindparam("ids", expanding=True)))
_BY_SKU = shown().where(P.sku.in_(bindparam("skus", expanding=True)))
# One product is what is asked for most often; its statement has the same text each time.
WITH_ID = with_id()
_WITH_SKU = shown().where(P.sku == bindparam("sku", type_=P.sku.type))
_COUNTED = (
    select(P.category_id.label("id"), func.count().label("products"))
    .where(P.active == true())
    .group_by(P.category_id)
    .subquery()
)
_CATEGORIES = (
    select(C.id, C.slug, C.name, C.parent_id, func.coalesce(_COUNTED.c.products, 0))
    .join(_COUNTED, _COUNTED.c.id == C.id, isouter=True)
    .order_by(C.name, C.id)
)


async def values_by_id(source: SqlReader, ids: Sequence[int]) -> list[list[Any]]:
    """Those of the products that exist, in no order, as they are cached."""
    if len(ids) == 1:
        return [values_of(row) for row in await source.execute(WITH_ID, {"id": ids[0]})]
    return [values_of(row) for row in await source.execute(_BY_ID, {"ids": ids})]


async def values_by_sku(source: SqlReader, skus: Sequence[str]) -> list[list[Any]]:
    """Those of the products that exist, in no order, as they are cached."""
    if len(skus) == 1:
        return [values_of(row) for row in await source.execute(_WITH_SKU, {"sku": skus[0]})]
    return [values_of(row) for row in await source.execute(_BY_SKU, {"skus": skus})]


async def by_id(source: SqlReader, ids: Sequence[int]) -> list[ProductRecord]:
    """Return those of the products that exist, in no order."""
    return [product_of(values) for values in await values_by_id(source, ids)]


async def categories(source: SqlReader) -> tuple[CategoryCount, ...]:
    """Return all categories by name, with the number of their active products."""
    rows = await source.execute(_CATEGORIES, {})
    return tuple(CategoryCount(CategoryRecord(row[0], row[1], row[2], row[3]), row[4]) for row in rows)


@lru_cache(maxsize=512)
def count_statement(shape: FilterShape) -> Select[Any]:
    """Return the statement that counts the matching products."""
    hidden = shape.search and shape.dialect == "sqlite"  # the words select, not the price
    where = conditions(shape, unindexed(P.price) if hidden else P.price)
    if not shape.include_inactive:
        where.append(P.active == true())
    return select(func.count()).select_from(PRODUCTS).where(*where)


async def count(source: SqlReader, chosen: Filter, dialect: str) -> int:
    """Count the matching products."""
    rows = await source.execute(count_statement(FilterShape.of(chosen, dialect)), values_in(chosen, dialect))
    return next(int(row[0]) for row in rows)
