"""Which failures of SQL are the database's, and what everybody may be told of them."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from graph.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Generator

_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
# PostgreSQL's own words for "not now": connection lost, out of resources, shut down, serialization or deadlock, a lock
# not had in time, a transaction ended because it was idle.
_AWAY = ("08", "53", "57P", "40001", "40P01", "55P03", "25P03")
_SQLITE_AWAY = (
    *("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_READONLY"),
    *_DAMAGED,
)


def is_away(error: DBAPIError) -> bool:
    """Whether the database, not the statement, is at fault."""
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.DatabaseError):
        return getattr(error.orig, "sqlite_errorname", "").startswith(_SQLITE_AWAY)
    return str(getattr(error.orig, "sqlstate", None) or "").startswith(_AWAY)


@contextlib.contextmanager
def unavailable(*also: type[Exception]) -> Generator[None]:
    """Raise `Unavailable` where the database, and not a statement, is at fault; it is with whatever is `also` named."""
    try:
        yield
    except also as error:
        raise Unavailable("the database is away") from error
    except DBAPIError as error:
        if is_away(error):
            raise Unavailable(_told(error)) from error
        raise


def _told(error: DBAPIError) -> str:
    """What everybody may be told of a database that cannot answer."""
    name: str = getattr(error.orig, "sqlite_errorname", "")
    if name.startswith(_DAMAGED):
        return "the database is damaged"
    return "the database cannot be written" if name in ("SQLITE_FULL", "SQLITE_READONLY") else "the database is away"
