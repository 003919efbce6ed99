"""Notes: read through the cache, written to SQL.

A write holds the tag of what it changes until it is committed, so that no later read can miss it. Both raise
`graph.errors.Unavailable` while SQL is away, and writing also while Redis is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from graph.errors import Invalid

if TYPE_CHECKING:
    from graph.engines.database import Database
    from graph.patterns.cache import Cache

NOTES_TTL = 300.0
"""Seconds that the list is cached at most; a change outdates it before that."""

_NOTES = sa.table("notes", sa.column("id"), sa.column("text"))
_SHOWN = 20


class NoteService:
    """All notes."""

    def __init__(self, database: Database, cache: Cache, *, longest: int) -> None:
        """Keep notes of up to `longest` characters in `database`."""
        self._database = database
        self._cache = cache
        self._longest = longest

    async def newest(self) -> list[str]:
        """The newest notes first."""

        async def load() -> Any:
            found = await self._database.execute(sa.select(_NOTES).order_by(_NOTES.c.id.desc()).limit(_SHOWN))
            return [row.text for row in found]

        notes: list[str] = await self._cache.get("notes", load, tags=["notes"], ttl=NOTES_TTL)
        return notes

    async def add(self, text: str) -> None:
        """Add a note; raises `Invalid` if it is empty or too long."""
        if not 0 < len(text.strip()) <= self._longest:
            raise Invalid("text", f"A note has 1 to {self._longest} characters.")
        async with self._cache.invalidating("notes"), self._database.transaction() as session:
            await session.execute(sa.insert(_NOTES), {"text": text.strip()})
