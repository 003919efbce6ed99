"""Writes many products at once: inserts new ones, updates those that differ, leaves the others alone.

A bulk write runs in batches, each one transaction with its events, and is acknowledged once, when all of it has ended
(`acknowledged_once`). Nobody was promised to see any of it before that, so a batch leaves the cache alone: readers keep
getting cached values, and values loaded meanwhile show what is committed. At the end, however it ends, the whole cached
catalog is invalidated in one step: invalidating a tag for each of thousands of rows would cost more than reloading what
is read. During a long write this happens every `MILESTONE` seconds too, so that the write becomes visible gradually.

A writer that dies leaves unpublished events behind; another process then invalidates the catalog and publishes them
within seconds (`graph.catalog.outbox`).
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sqlalchemy import bindparam, insert, literal, select, true, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.exc import IntegrityError

from graph.catalog import writing
from graph.catalog.importing.texts import name_of, slug_of
from graph.catalog.models import CATEGORIES, EVENTS, PRODUCTS
from graph.catalog.records import EMPTY
from graph.errors import Invalid
from graph.patterns.tasks import to_its_end

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.catalog.service import CatalogService
    from graph.engines.database import Database

BATCH = 2000
"""Rows per transaction: other writers on SQLite wait for it, about a tenth of a second."""
_STEP = 1000
"""Rows between two progress reports within a batch."""
MILESTONE = 10.0
"""Seconds between two moments at which a running write becomes visible. After each, every requested page is loaded
again once, which has to affect far less than one answer in a hundred."""
_ATTEMPTS = 3

_DEFAULTS: dict[str, Any] = {
    "description": "",
    "currency": "USD",
    "active": True,
    "category_id": None,
    "compare_at_price": None,
    "stock": 0,
    "tracked": False,
    "in_stock": True,  # a file without a stock does not say that the product is sold out
    "group_id": None,
    "brand": None,
    "gtin": None,
    "options": EMPTY,
    "images": EMPTY,
    "attributes": EMPTY,
}
_COMPARED = ("name", "price", *_DEFAULTS)


class ImportedProduct(NamedTuple):
    """What a file says about one product: the columns that it gives, checked, and a category's slug if it gives one.

    `path` holds the names from the topmost category down to that one, where they are known.
    """

    sku: str
    values: dict[str, Any]
    category: str | None
    has_category: bool
    path: tuple[str, ...] = ()


@dataclass(slots=True)
class BatchOutcome:
    """The result of a batch; `refused` maps positions in it to reasons."""

    created: int
    updated: int
    unchanged: int
    refused: dict[int, Invalid]


Write: TypeAlias = "Callable[[Sequence[ImportedProduct], OnWay], Awaitable[BatchOutcome]]"
OnWay: TypeAlias = "Callable[[float], None]"
"""Called with the fraction of the rows written by a transaction that may still fail."""


@contextlib.asynccontextmanager
async def acknowledged_once(catalog: CatalogService) -> AsyncGenerator[Write]:
    """Write batches as one write: once the block has ended, in whatever way, no reader gets older values.

    Raises `graph.patterns.cache.generations.CacheWriteRefused` before the first batch if the cache could not be
    invalidated, and `CacheWriteUnconfirmed` at a milestone or at the end if the invalidation was not confirmed. In that
    case the writer repeats the whole write, even if nothing differs any more: its end invalidates what the first try
    wrote.
    """
    shown = time.monotonic()
    begun = changed = False

    async def write_batch(changes: Sequence[ImportedProduct], on_way: OnWay) -> BatchOutcome:
        nonlocal shown, begun, changed
        if not begun:
            await catalog.cache.generations.ready()
        begun = True
        outcome = await write(catalog, changes, on_way=on_way)
        changed = changed or outcome.created + outcome.updated > 0
        if changed and time.monotonic() - shown >= MILESTONE:
            await catalog.outdate()
            shown, changed = time.monotonic(), False
        return outcome

    try:
        yield write_batch
    finally:
        if begun:
            await to_its_end(catalog.outdate())


async def write(
    catalog: CatalogService,
    changes: Sequence[ImportedProduct],
    *,
    dry_run: bool = False,
    now: datetime | None = None,
    on_way: OnWay = lambda _: None,
) -> BatchOutcome:
    """Apply `changes`, in which no sku occurs twice. A dry run only reports what would happen.

    Categories that do not exist yet are created, named as in their path or after their slug. The cache is not
    invalidated: see `acknowledged_once`.
    """
    moment = now or datetime.now(UTC)
    for attempt in range(_ATTEMPTS):
        try:
            return await _write(catalog.database, changes, moment, on_way, dry_run=dry_run)
        except IntegrityError:  # another process has just created one of them
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError


async def _write(
    database: Database,
    changes: Sequence[ImportedProduct],
    moment: datetime,
    on_way: OnWay,
    *,
    dry_run: bool,
) -> BatchOutcome:
    async with database.session() if dry_run else database.transaction() as session:
        wanted = {change.category: change.path for change in changes if change.category is not None}
        categories = await _categories(session, wanted, database.dialect, dry_run=dry_run)
        before = await _existing(session, [change.sku for change in changes], lock=not dry_run)
        inserts, updates, outcome = _sorted_out(changes, before, categories, moment)
        if dry_run or not (inserts or updates):
            await session.rollback()  # includes a category that only a refused row names
        else:
            await _apply(session, inserts, updates, before, moment, on_way=on_way)
    return outcome


async def _categories(
    session: AsyncSession, wanted: dict[str, tuple[str, ...]], dialect: str, *, dry_run: bool
) -> dict[str, int]:
    """Return the ids of categories by slug; `wanted` has the path of each. They stay until the transaction ends."""
    known = await _numbers(session, wanted, lock=not dry_run)
    missing = sorted(wanted.keys() - known.keys())
    if dry_run or not missing:
        return known | dict.fromkeys(missing, 0)
    # Their parents too; the topmost first, so that each one's parent exists.
    paths: dict[str, tuple[str, ...]] = {slug: () for slug in missing if not wanted[slug]}
    for slug in missing:
        path = wanted[slug]
        for depth in range(1, len(path)):
            paths.setdefault(slug_of(path[:depth]), path[:depth])
        if path:
            paths.setdefault(slug, path)
    numbers = await _numbers(session, paths, lock=True)
    add = (insert_sqlite if dialect == "sqlite" else insert_postgresql)(CATEGORIES).on_conflict_do_nothing()
    for depth in sorted({len(path) for path in paths.values()}):
        rows = [
            {
                "slug": slug,
                "name": path[-1] if path else name_of(slug),
                "parent_id": numbers.get(slug_of(path[:-1])) if depth > 1 else None,
            }
            for slug, path in sorted(paths.items())
            if len(path) == depth and slug not in numbers
        ]
        if rows:
            await session.execute(add, rows)
            added = [slug for slug, path in paths.items() if len(path) == depth]
            numbers |= await _numbers(session, added, lock=True)
    return known | numbers


async def _numbers(session: AsyncSession, slugs: Iterable[str], *, lock: bool) -> dict[str, int]:
    """Return the ids of those of the categories that exist; with `lock` they cannot be deleted any more.

    Whoever deletes one locks them in the same order (`graph.catalog.shelving`).
    """
    found = select(CATEGORIES.c.slug, CATEGORIES.c.id).where(CATEGORIES.c.slug.in_(list(slugs)))
    if lock:
        found = found.order_by(CATEGORIES.c.id).with_for_update(read=True, key_share=True)
    return {row.slug: int(row.id) for row in await session.execute(found)}


async def _existing(session: AsyncSession, skus: list[str], *, lock: bool) -> dict[str, dict[str, Any]]:
    """Return the existing rows by sku, locked against other writers."""
    columns = (PRODUCTS.c.id, PRODUCTS.c.sku, PRODUCTS.c.updated_at, *(PRODUCTS.c[name] for name in _COMPARED))
    statement = select(*columns).where(PRODUCTS.c.sku.in_(skus)).order_by(PRODUCTS.c.id)
    rows = await session.execute(statement.with_for_update() if lock else statement)
    return {row["sku"]: dict(row) for row in rows.mappings()}


def _sorted_out(
    changes: Sequence[ImportedProduct], before: dict[str, dict[str, Any]], categories: dict[str, int], moment: datetime
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], BatchOutcome]:
    """Return the complete rows to insert and those to update."""
    inserts: list[dict[str, Any]] = []
    updates: list[dict[str, Any]] = []
    refused: dict[int, Invalid] = {}
    for position, change in enumerate(changes):
        values = dict(change.values)
        if change.has_category:
            values["category_id"] = categories[change.category] if change.category is not None else None
        old = before.get(change.sku)
        if old is None:
            missing = next((name for name in ("name", "price") if name not in values), None)
            if missing:
                refused[position] = Invalid(missing, f"A new product needs a {missing}.")
                continue
            row: dict[str, Any] = {**_DEFAULTS, **values, "sku": change.sku, "created_at": moment, "updated_at": moment}
            inserts.append(row | writing.derived(change.sku, row["name"], row["description"]))
        elif any(old[name] != value for name, value in values.items()):
            if values.get("currency", old["currency"]) != old["currency"]:
                values.setdefault("compare_at_price", None)  # it was in the former currency
            row = {name: values.get(name, old[name]) for name in _COMPARED}
            row |= writing.derived(change.sku, row["name"], row["description"])
            updates.append(row | {"the_id": old["id"], "updated_at": max(moment, old["updated_at"])})
    same = len(changes) - len(inserts) - len(updates) - len(refused)
    return inserts, updates, BatchOutcome(len(inserts), len(updates), same, refused)


_CHANGED = (*_COMPARED, "name_key", "search", "updated_at")
_UPDATE = update(PRODUCTS).where(PRODUCTS.c.id == bindparam("the_id")).values({n: bindparam(n) for n in _CHANGED})


async def _apply(
    session: AsyncSession,
    inserts: list[dict[str, Any]],
    updates: list[dict[str, Any]],
    before: dict[str, dict[str, Any]],
    moment: datetime,
    *,
    on_way: OnWay,
) -> None:
    connection = await session.connection()
    count = len(inserts) + len(updates)
    for first in range(0, len(inserts), _STEP):
        await connection.execute(insert(PRODUCTS), inserts[first : first + _STEP])
        on_way(min(first + _STEP, len(inserts)) / count)
    if inserts:
        await _tell_created(session, [row["sku"] for row in inserts], moment)
    for first in range(0, len(updates), _STEP):
        await connection.execute(_UPDATE, updates[first : first + _STEP])
        on_way((len(inserts) + min(first + _STEP, len(updates))) / count)
    if updates:
        left = {row["id"]: row["category_id"] for row in before.values()}
        await _tell_updated(
            session, [(row["the_id"], row["category_id"], left[row["the_id"]]) for row in updates], moment
        )


async def _tell_created(session: AsyncSession, skus: list[str], moment: datetime) -> None:
    """Add new products to the outbox in one statement, because only SQL knows their ids."""
    rows = (
        select(literal("CREATED"), PRODUCTS.c.id, CATEGORIES.c.slug, literal(moment, EVENTS.c.at.type), true())
        .join_from(PRODUCTS, CATEGORIES, CATEGORIES.c.id == PRODUCTS.c.category_id, isouter=True)
        .where(PRODUCTS.c.sku.in_(skus))
        .order_by(PRODUCTS.c.id)
    )
    await session.execute(insert(EVENTS).from_select(["kind", "product_id", "category", "at", "bulk"], rows))


async def _tell_updated(
    session: AsyncSession, moves: list[tuple[int, int | None, int | None]], moment: datetime
) -> None:
    """Add changed products to the outbox: their ids, and the categories after and before."""
    numbers = {number for move in moves for number in move[1:] if number is not None}
    found = await session.execute(select(CATEGORIES.c.id, CATEGORIES.c.slug).where(CATEGORIES.c.id.in_(numbers)))
    slugs: dict[int | None, str | None] = {row.id: row.slug for row in found}
    events = [
        {
            "kind": "UPDATED",
            "product_id": product_id,
            "category": slugs.get(now),
            "previous_category": slugs.get(then) if then != now else None,
            "at": moment,
            "bulk": True,
        }
        for product_id, now, then in moves
    ]
    await session.execute(insert(EVENTS), events)
