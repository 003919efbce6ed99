"""Watching SQL: which statements a piece of code runs."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Generator

    from graph.engines.database import Database


_SEEN: ContextVar[list[str] | None] = ContextVar("statements", default=None)


@contextmanager
def statements(database: Database) -> Generator[list[str]]:
    """The statements, except BEGIN and PRAGMA, that the code of the block runs, and the tasks that it starts.

    What tasks from before do meanwhile (the outbox, the upkeep of the boards) does not count.
    """
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if _SEEN.get() is seen and not statement.startswith(("BEGIN", "PRAGMA")):
            seen.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    before = _SEEN.set(seen)
    try:
        yield seen
    finally:
        _SEEN.reset(before)
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
