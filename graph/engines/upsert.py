"""INSERT … ON CONFLICT, which both engines have but SQLAlchemy writes differently for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Callable


def upsert(dialect: str) -> Callable[[Any], Any]:
    """Return the engine's INSERT; `dialect` is `graph.engines.database.Database.dialect`, or a connection's."""
    return postgresql.insert if dialect == "postgresql" else sqlite.insert
