"""Work for whole transactions: categories by their slugs, as statements and as what is done with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Integer, Text, bindparam, column, insert, select, table

if TYPE_CHECKING:
    from graph.engines.plain import Statements

SHELF = table("category", column("slug", Text), column("name", Text), column("id", Integer))
ADD = insert(SHELF).values(slug=bindparam("slug"), name=bindparam("slug"))
SHELVES = select(SHELF.c.slug.label("called")).order_by(SHELF.c.id)


async def two_shelves(connection: Statements) -> list[str]:
    """Add two categories, and name all there are."""
    await connection.execute(ADD, [{"slug": "a"}, {"slug": "b"}])
    return [row.called for row in (await connection.execute(SHELVES)).all()]
