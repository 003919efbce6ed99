"""The SQL of pages: how each filter and sort finds its products without reading or sorting all of them.

A page of active products walks the index of its sort (`product_by_…`, or `product_by_category_…` under a category) and
stops at its size; with inactive products it merges two such walks. A search asks the full-text index (FTS5, or GIN on
PostgreSQL) first. `_either_way` explains bounds of the price on SQLite.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, bindparam, case, exists, false, select, true, tuple_, union_all

from graph.catalog.models import PRODUCTS
from graph.catalog.reading.filtering import FilterShape, conditions, unindexed, values_in
from graph.catalog.reading.paging import Page, Sort, plain_value
from graph.catalog.reading.queries import COLUMNS, shown, values_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Column, Select

    from graph.catalog.reading.paging import PageRequest
    from graph.catalog.reading.queries import SqlReader

P = PRODUCTS.c
_FEW = 1000
"""So many products SQLite sorts faster than it finds a page of them by walking another index."""

_SIZE = bindparam("size", type_=Integer())


class PageShape(NamedTuple):
    """Everything about a request that changes the statement."""

    filter: FilterShape
    sort: Sort
    backward: bool
    after: bool
    before: bool

    @classmethod
    def of(cls, request: PageRequest, dialect: str) -> PageShape:
        """Return the shape of a request."""
        after, before = request.after is not None, request.before is not None
        return cls(FilterShape.of(request.filter, dialect), request.sort, request.backward, after, before)

    @property
    def column(self) -> Column[Any]:
        """The column that is sorted by, before the id."""
        return P[self.sort.column]

    @property
    def falling(self) -> bool:
        """Whether the walk goes from the largest to the smallest."""
        return self.sort.falling != self.backward


def _between(shape: PageShape) -> list[ColumnElement[bool]]:
    """Return the conditions that keep the page between its two positions."""
    here = tuple_(shape.column, P.id)
    found: list[ColumnElement[bool]] = []
    for name, given, onwards in (("after", shape.after, True), ("before", shape.before, False)):
        if given:
            there = tuple_(
                bindparam(f"{name}_value", type_=shape.column.type), bindparam(f"{name}_id", type_=P.id.type)
            )
            found.append(here > there if onwards != shape.sort.falling else here < there)
    return found


def _order(*columns: ColumnElement[Any], falling: bool) -> list[ColumnElement[Any]]:
    return [column.desc() if falling else column.asc() for column in columns]


def _walks(shape: PageShape) -> list[Select[Any]]:
    """Return the selections that a page is merged from; each walks one index or sorts a few products."""
    walks: list[Select[Any]] = []
    for active in (true(), false()) if shape.filter.include_inactive else (true(),):
        if shape.filter.dialect == "sqlite" and shape.filter.priced and shape.sort.column != "price":
            walks += _either_way(shape, active)
        else:
            where = conditions(shape.filter, P.price)
            walks.append(_walk(shape, active, where, (shape.column, P.id)).limit(_SIZE))
    return walks


def _walk(
    shape: PageShape,
    active: ColumnElement[bool],
    where: Sequence[ColumnElement[bool]],
    order: Iterable[ColumnElement[Any]],
) -> Select[Any]:
    found = shown(shape.column.label("place")).where(P.active == active, *_between(shape), *where)
    return found.order_by(*_order(*order, falling=shape.falling))


def _either_way(shape: PageShape, active: ColumnElement[bool]) -> list[Select[Any]]:
    """Return two selections of the products in a price range, sorted by another column; one has the limit 0.

    Walking the index of the sort finds a page at once if many products match, and reads all of the index if hardly any
    does; sorting what the price index finds is the reverse. SQLite has no histogram to choose by, so the statement
    counts the products in the range, up to `_FEW`, and chooses by that. A search does not need this: it starts from the
    full-text index.
    """
    own = (shape.column, P.id)
    by_sort = _walk(shape, active, conditions(shape.filter, unindexed(P.price)), own)
    if shape.filter.search:
        return [by_sort.limit(_SIZE)]
    by_price = _walk(shape, active, conditions(shape.filter, P.price), map(unindexed, own))
    priced = conditions(shape.filter._replace(in_stock=None), P.price)
    many = exists(select(P.id).where(P.active == active, *priced).limit(1).offset(_FEW))
    return [by_sort.limit(case((many, _SIZE), else_=0)), by_price.limit(case((many, 0), else_=_SIZE))]


@lru_cache(maxsize=512)
def page_statement(shape: PageShape) -> Select[Any]:
    """Return the statement for a page and one more row, in the order of the walk (backward from the end if so)."""
    walks = _walks(shape)
    if len(walks) == 1:
        return walks[0]
    rows = union_all(*(select(walk.subquery()) for walk in walks)).subquery("walk")
    return select(rows).order_by(*_order(rows.c.place, rows.c.id, falling=shape.falling)).limit(_SIZE)


def values_for(request: PageRequest, dialect: str) -> dict[str, Any]:
    """Return the parameters of `page_statement` for `request`."""
    values = values_in(request.filter, dialect) | {"size": request.size + 1}
    for name, place in (("after", request.after), ("before", request.before)):
        if place is not None:
            values[f"{name}_value"], values[f"{name}_id"] = place
    return values


async def page_values(source: SqlReader, request: PageRequest, dialect: str) -> dict[str, Any]:
    """Read the page that `request` asks for, in its cached form: see `graph.catalog.reading.paging.Page`."""
    statement = page_statement(PageShape.of(request, dialect))
    rows = list(await source.execute(statement, values_for(request, dialect)))
    more = len(rows) > request.size
    rows = rows[: request.size]
    if request.backward:
        rows.reverse()
    edges = [[values_of(row), plain_value(row[COLUMNS])] for row in rows]
    if request.backward:
        return {"edges": edges, "next": request.before is not None, "previous": more}
    return {"edges": edges, "next": more, "previous": request.after is not None}


async def page(source: SqlReader, request: PageRequest, dialect: str) -> Page:
    """Read the page that `request` asks for."""
    return Page(await page_values(source, request, dialect), request.sort)
