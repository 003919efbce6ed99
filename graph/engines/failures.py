"""Recognises SQL errors that mean that the database is away: what clients get to know, and which are worth a wait."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import DBAPIError

from graph.engines import postgres
from graph.errors import Unavailable
from graph.patterns.tasks import to_its_end

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.patterns.outage import Outage

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds for which a start waits while other processes write."""

_PAUSE = 0.1  # seconds, so that a failure that comes at once is not tried without end

logger = logging.getLogger(__name__)

_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
# PostgreSQL's error classes for "not now", or not until an operator has changed something: connection lost, sign-in
# refused, no such database, out of resources, cancelled or shut down by an operator, an error of the system, damaged
# data, serialization or deadlock, a lock not obtained in time, a transaction ended because it took too long, a server
# that takes no writes, a role that may not do this.
_GONE = ("08", "57P")
_READ_ONLY = "25006"
_AWAY = (
    *("08", "28", "3D", "53", "57", "58", "XX001", "XX002", "40001", "40P01", "55P03", "25P03", "25P04"),
    *(_READ_ONLY, "42501"),
)
_SQLITE_AWAY = (
    *("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_READONLY"),
    *_DAMAGED,
)


def is_away(error: DBAPIError) -> bool:
    """Whether the cause is the database and not the statement."""
    if error.connection_invalidated or isinstance(getattr(error.orig, "__cause__", None), OSError):
        return True
    if isinstance(error.orig, sqlite3.DatabaseError):
        return getattr(error.orig, "sqlite_errorname", "").startswith(_SQLITE_AWAY)
    return postgres.is_broken(error) or _code(error).startswith(_AWAY)


@contextlib.contextmanager
def unavailable(*also: type[Exception]) -> Generator[None]:
    """Raise `Unavailable` for errors caused by the database and not a statement, and for the exceptions in `also`."""
    try:
        yield
    except also as error:
        raise Unavailable("the database is away") from error
    except DBAPIError as error:
        if is_away(error):
            raise Unavailable(_told(error)) from error
        raise


@contextlib.contextmanager
def opening(outage: Outage) -> Generator[None]:
    """Raise `Unavailable` for whatever fails in the block, in which nothing is done but to open a connection.

    The driver may fail in any way while it shakes hands with a server that is being killed. `outage` is told, but not
    of a database that is only busy, or only takes no writes.
    """
    try:
        yield
    except Exception as error:
        if not (is_locked(error) or takes_no_writes(error)):
            code = _code(error)
            outage.began(reason(error), "" if code.startswith(_GONE) else code)
        raise Unavailable(_told(error)) from error
    outage.ended()


def reason(error: BaseException) -> str:
    """What the engine said, which may be more than a client should hear: `error` itself, or why it is `Unavailable`."""
    cause = error.__cause__ if isinstance(error, Unavailable) and error.__cause__ is not None else error
    cause = getattr(cause, "orig", None) or cause
    return str(cause).partition("\n")[0] or type(cause).__name__


@contextlib.asynccontextmanager
async def closing(session: AsyncSession) -> AsyncGenerator[AsyncSession]:
    """Close `session` at the end of the block; that it cannot roll back over a connection that is lost is no error.

    What was read has been read, what was not committed is gone, and an error of the block itself is what counts.
    """
    try:
        yield session
    finally:
        try:
            await to_its_end(session.close())
        except DBAPIError as error:
            if not is_away(error):
                raise


def _told(error: Exception) -> str:
    """Return a message, fit for clients, about a database that cannot answer."""
    code = _code(error)
    if code.startswith((*_DAMAGED, "XX00")):
        return "the database is damaged"
    return "the database is away" if not takes_no_writes(error) else "the database cannot be written"


def takes_no_writes(error: BaseException | None) -> bool:
    """Whether the database may be read, and takes no writes."""
    return _code(error).startswith(("SQLITE_FULL", "SQLITE_READONLY", _READ_ONLY, "53100"))


def _code(error: BaseException | None) -> str:
    """What the engine itself calls an error of SQLAlchemy's; empty where it has no word for it."""
    orig = getattr(error, "orig", None)
    return str(getattr(orig, "sqlite_errorname", None) or getattr(orig, "sqlstate", None) or "")


def is_locked(error: BaseException | None) -> bool:
    """Whether somebody else was writing for as long as the statement could wait."""
    name: str = getattr(getattr(error, "orig", None), "sqlite_errorname", "")
    return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or postgres.waited_in_vain(error)


async def patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Do `work`, again for as long as another process is writing, `PATIENCE` at most; it must be harmless to repeat.

    A request is better refused than kept waiting; what a start does is better late than refused.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await work()
        except Unavailable as error:
            if not is_locked(error.__cause__) or time.monotonic() > deadline:
                raise
        logger.info("another process is writing to the database: waiting for it")
        await asyncio.sleep(_PAUSE)
