"""The catalog's SQL: one statement a read, and each of them answered from an index.

A page of active products walks the index of its sort (`product_by_…`, or `product_by_category_…` under a category) and
stops at its size; with inactive products it merges two such walks. A search asks the full-text index
(FTS5, or GIN on PostgreSQL) first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, false, func, literal, select, text, true, tuple_, union_all

from graph.catalog.models import CATEGORIES, PRODUCTS
from graph.catalog.paging import Position, write_cursor
from graph.catalog.records import CategoryCount, CategoryRecord, Edge, Page, ProductRecord, decimal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column, FromClause, Row, Select
    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.catalog.paging import Filter, PageRequest

P, C = PRODUCTS.c, CATEGORIES.c
_SHOWN: tuple[Column[Any], ...] = (
    *(P.id, P.sku, P.name, P.name_key, P.description, P.category_id),
    *(P.price, P.currency, P.stock, P.active, P.created_at, P.updated_at),
)


def _shown(rows: FromClause) -> Select[Any]:
    """Products with what they show of their category."""
    return select(
        *(rows.c[column.key] for column in _SHOWN), C.slug.label("category_slug"), C.name.label("category_name")
    ).join_from(rows, CATEGORIES, C.id == rows.c.category_id, isouter=True)


def record_of(row: Row[Any]) -> ProductRecord:
    """The product in a row."""
    category = None
    if row.category_slug is not None:
        category = CategoryRecord(row.category_id, row.category_slug, row.category_name)
    return ProductRecord(
        id=row.id,
        sku=row.sku,
        name=row.name,
        description=row.description,
        category=category,
        price=decimal_of(row.price, row.currency),
        currency=row.currency,
        stock=row.stock,
        active=row.active,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


async def by_id(session: AsyncSession, ids: Sequence[int]) -> list[ProductRecord]:
    """Those of the products that exist, in no order."""
    return [record_of(row) for row in await session.execute(_shown(PRODUCTS).where(P.id.in_(ids)))]


async def by_sku(session: AsyncSession, skus: Sequence[str]) -> list[ProductRecord]:
    """Those of the products that exist, in no order."""
    return [record_of(row) for row in await session.execute(_shown(PRODUCTS).where(P.sku.in_(skus)))]


async def categories(session: AsyncSession) -> tuple[CategoryCount, ...]:
    """All categories by name, with the number of their active products."""
    counted = (
        select(P.category_id.label("id"), func.count().label("products"))
        .where(P.active == true())
        .group_by(P.category_id)
        .subquery()
    )
    statement = (
        select(C.id, C.slug, C.name, func.coalesce(counted.c.products, 0))
        .join(counted, counted.c.id == C.id, isouter=True)
        .order_by(C.name, C.id)
    )
    rows = await session.execute(statement)
    return tuple(CategoryCount(CategoryRecord(row[0], row[1], row[2]), row[3]) for row in rows)


# --- pages ---


def conditions(chosen: Filter, dialect: str) -> list[ColumnElement[bool]]:
    """What a product must meet, but for being active."""
    found: list[ColumnElement[bool]] = []
    if chosen.category is not None:
        found.append(P.category_id == select(C.id).where(C.slug == chosen.category).scalar_subquery())
    if chosen.terms is not None:
        found.append(matching(chosen.terms, dialect))
    low, high = chosen.stored_prices()
    if low is not None:
        found.append(P.price >= low)
    if high is not None:
        found.append(P.price <= high)
    if chosen.in_stock is not None:
        found.append(P.stock > 0 if chosen.in_stock else P.stock == 0)
    return found


# OFFSET 0 keeps PostgreSQL from testing product after product in the order of the page instead, which is quick for a
# word that is everywhere and takes seconds for one that it wrongly believes to be.
_FOUND = {
    "sqlite": "SELECT rowid AS id FROM product_search WHERE product_search MATCH :query",
    "postgresql": "SELECT id FROM product WHERE array_to_tsvector(string_to_array(search, ' ')) "
    "@@ to_tsquery('simple', CAST(:query AS text)) OFFSET 0",
}


def matching(terms: Sequence[str], dialect: str) -> ColumnElement[bool]:
    """That each of `terms` begins a word of the product. They hold only letters and digits, and are quoted anyway."""
    if dialect == "sqlite":
        query = " ".join(f'"{term}"*' for term in terms)
    else:
        query = " & ".join(f"'{term}':*" for term in terms)
    return P.id.in_(text(_FOUND[dialect]).bindparams(query=query).columns(id=P.id.type).scalar_subquery())


def page_statement(request: PageRequest, dialect: str) -> Select[Any]:
    """The rows of a page and one more, in the order of the walk (from the end of the list if backward)."""
    column = P[request.sort.column]
    falling = request.sort.falling != request.backward
    where = conditions(request.filter, dialect)
    here = tuple_(column, P.id)
    for position, onwards in ((request.after, True), (request.before, False)):
        if position is not None:
            there = tuple_(literal(position.value, column.type), literal(position.id, P.id.type))
            where.append(here > there if onwards != request.sort.falling else here < there)
    walks = [
        select(*_SHOWN)
        .where(P.active == constant, *where)
        .order_by(*_order(column, P.id, falling=falling))
        .limit(request.size + 1)
        for constant in ((true(), false()) if request.filter.include_inactive else (true(),))
    ]
    rows = (walks[0] if len(walks) == 1 else union_all(*(select(walk.subquery()) for walk in walks))).subquery("walk")
    ordered = _order(rows.c[request.sort.column], rows.c.id, falling=falling)
    return _shown(rows).order_by(*ordered).limit(request.size + 1)


def _order(*columns: ColumnElement[Any], falling: bool) -> list[ColumnElement[Any]]:
    return [column.desc() if falling else column.asc() for column in columns]


async def page(session: AsyncSession, request: PageRequest, dialect: str) -> Page:
    """The page that `request` asks for."""
    rows = list(await session.execute(page_statement(request, dialect)))
    more = len(rows) > request.size
    rows = rows[: request.size]
    if request.backward:
        rows.reverse()
    edges = tuple(
        Edge(write_cursor(request.sort, Position(getattr(row, request.sort.column), row.id)), record_of(row))
        for row in rows
    )
    if request.backward:
        return Page(edges, has_next=request.before is not None, has_previous=more)
    return Page(edges, has_next=more, has_previous=request.after is not None)


def count_statement(chosen: Filter, dialect: str) -> Select[Any]:
    """The number of products that match."""
    where = conditions(chosen, dialect)
    if not chosen.include_inactive:
        where.append(P.active == true())
    return select(func.count()).select_from(PRODUCTS).where(*where)


async def count(session: AsyncSession, chosen: Filter, dialect: str) -> int:
    """How many products match."""
    return await session.scalar(count_statement(chosen, dialect)) or 0
