"""Creates, renames, moves and deletes categories.

Each write is one transaction, and holds the tags of what shows the category until it is committed. A category that
still has products or subcategories is not deleted, so deleting one changes nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from sqlalchemy import delete as delete_from
from sqlalchemy import insert, select
from sqlalchemy import update as update_of
from sqlalchemy.exc import IntegrityError

from graph.catalog import rules
from graph.catalog.keys import CATEGORY_LIST, EVERYTHING
from graph.catalog.models import CATEGORIES, PRODUCTS
from graph.catalog.records import CategoryRecord
from graph.errors import Invalid, Missing, Taken

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.engines.database import Database
    from graph.patterns.cache import Cache

C = CATEGORIES.c


class CategoryChanges(TypedDict, total=False):
    """The fields to change; `parent` is a slug, or None for no parent."""

    name: str
    parent: str | None


async def create(database: Database, cache: Cache, slug: str, name: str, parent: str | None = None) -> CategoryRecord:
    """Add a category, below a parent if one is given. Raises `Invalid`, or `Taken` if its slug is in use."""
    values: dict[str, Any] = {"slug": rules.check_slug(slug, "slug"), "name": rules.check_name(name)}
    async with database.transaction() as session:
        await _locked(session)
        values["parent_id"] = await _parent(session, parent)
        try:
            number = int(await session.scalar(insert(CATEGORIES).returning(C.id), values) or 0)
        except IntegrityError as error:
            raise Taken from error
        async with cache.invalidating(CATEGORY_LIST):
            await session.commit()
    return CategoryRecord(number, values["slug"], values["name"], values["parent_id"])


async def update(database: Database, cache: Cache, number: int, changes: CategoryChanges) -> CategoryRecord:
    """Rename or move a category. Raises `Missing`, or `Invalid`, for instance if it would be below itself."""
    values: dict[str, Any] = {}
    if "name" in changes:
        values["name"] = rules.check_name(changes["name"])
    async with database.transaction() as session:
        parents = await _parents(session)
        if number not in parents:
            raise Missing("category")
        if "parent" in changes:
            values["parent_id"] = here = await _parent(session, changes["parent"])
            while here is not None:
                if here == number:
                    raise Invalid("parent", "A category does not lie within itself.")
                here = parents.get(here)
        if values:
            await session.execute(update_of(CATEGORIES).where(C.id == number).values(values))
        row = (await session.execute(select(C.id, C.slug, C.name, C.parent_id).where(C.id == number))).one()
        async with cache.invalidating(EVERYTHING):  # its products show its name
            await session.commit()
    return CategoryRecord(*row)


async def delete(database: Database, cache: Cache, number: int) -> None:
    """Delete an empty category. Raises `Missing`, or `Invalid` if it is not empty."""
    async with database.transaction() as session:
        await _locked(session)
        found = await session.scalar(select(C.id).where(C.id == number))
        if found is None:
            raise Missing("category")
        if await session.scalar(select(PRODUCTS.c.id).where(PRODUCTS.c.category_id == number).limit(1)) is not None:
            raise Invalid("id", "The category holds products.")
        if await session.scalar(select(C.id).where(C.parent_id == number).limit(1)) is not None:
            raise Invalid("id", "The category holds other categories.")
        await session.execute(delete_from(CATEGORIES).where(C.id == number))
        async with cache.invalidating(EVERYTHING):
            await session.commit()


async def _locked(session: AsyncSession) -> None:
    """Let one writer at a time change the tree of categories; such writes are rare."""
    await session.execute(select(C.id).order_by(C.id).with_for_update())


async def _parents(session: AsyncSession) -> dict[int, int | None]:
    """Return the parent of each category, locked until the transaction ends."""
    await _locked(session)
    return {int(row.id): row.parent_id for row in await session.execute(select(C.id, C.parent_id))}


async def _parent(session: AsyncSession, slug: str | None) -> int | None:
    if slug is None:
        return None
    found = await session.scalar(select(C.id).where(C.slug == slug)) if rules.is_slug(slug) else None
    if found is None:
        raise Invalid("parent", "There is no such category.")
    return int(found)
