"""Watching SQL: which statements a piece of code runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Generator

    from graph.engines.database import Database


@contextmanager
def statements(database: Database) -> Generator[list[str]]:
    """The statements that run within the block, but for SQLite's BEGIN, and the looks that the outbox takes unasked."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("BEGIN", "SELECT product_event_log")):
            seen.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
