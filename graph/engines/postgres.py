"""Sets up PostgreSQL sessions, and ends sessions whose process hangs.

A process that stops in the middle of a transaction (SIGSTOP, a debugger, a frozen machine) keeps its rows locked while
its connection stays open. Between two statements PostgreSQL ends such a session itself
(``idle_in_transaction_session_timeout``). In the middle of many executions of one statement, which the driver sends at
once, no time-out of the server applies (before ``transaction_timeout`` of PostgreSQL 17): a process that waited for a
row in vain ends such sessions, see `end_silent`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InvalidatePoolError, MissingGreenlet
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.util.concurrency import in_greenlet

from graph.errors import BadDatabaseUrl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncEngine

APPLICATION = "graph"
"""The name of this product's sessions in ``pg_stat_activity``."""

OPTIONS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("timeout", "command_timeout"), float),
    **dict.fromkeys(("statement_cache_size", "max_cached_statement_lifetime", "max_cacheable_statement_size"), int),
    **dict.fromkeys(("prepared_statement_cache_size",), int),
    **dict.fromkeys(("host", "port", "user", "password", "database", "passfile", "service", "servicefile"), str),
    **dict.fromkeys(("ssl", "target_session_attrs", "krbsrvname", "gsslib"), str),
}
"""What the query of a URL may say, and what the driver takes each for."""

_LOCK_NOT_HAD = "55P03"
_SETTINGS = """
DO $$ BEGIN
  PERFORM set_config('lock_timeout', '{lock:.0f}', false);
  PERFORM set_config('idle_in_transaction_session_timeout', '{idle:.0f}', false);
  PERFORM set_config('application_name', '{application}', false);
  BEGIN  -- PostgreSQL 14 and newer, on Linux
    PERFORM set_config('client_connection_check_interval', '1000', false);
  EXCEPTION WHEN OTHERS THEN NULL;
  END;
END $$
"""
# A session that waits within a statement waits for its next execution; each execution sets `query_start`.
_END_SILENT = text("""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND application_name = :application
  AND pid <> pg_backend_pid() AND state = 'active' AND wait_event = 'ClientRead'
  AND query_start < clock_timestamp() - make_interval(secs => :silent)
""")


def options(url: URL) -> dict[str, Any]:
    """Return the options in the query of `url` that the driver does not take as text; raises `BadDatabaseUrl`."""
    found: dict[str, Any] = {}
    for name, value in url.query.items():
        if name not in OPTIONS:
            raise BadDatabaseUrl(f"{name}: PostgreSQL's driver has no such option")
        kind = OPTIONS[name]
        if kind is not str:
            try:
                found[name] = kind(str(value))
            except ValueError:
                raise BadDatabaseUrl(f"{name}={value}: a number is wanted") from None
    return found


def set_up(engine: AsyncEngine, *, lock: float, idle: float) -> None:
    """Have each new session wait `lock` seconds for a row, and end a transaction that is idle for `idle` seconds."""
    statement = _SETTINGS.format(lock=1000 * lock, idle=1000 * idle, application=APPLICATION)

    def connected(raw: Any, _record: object) -> None:
        cursor = raw.cursor()
        cursor.execute(statement)
        cursor.close()

    event.listen(engine.sync_engine, "connect", connected)


def is_broken(error: DBAPIError) -> bool:
    """Whether the driver lost the thread of the protocol, as when a server is killed in the midst of an answer."""
    return type(error.orig).__name__ == "InternalClientError"


def waited_in_vain(error: BaseException | None) -> bool:
    """Whether another session held the lock of a row or table for all of ``lock_timeout``."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == _LOCK_NOT_HAD


async def end_silent(engine: AsyncEngine, *, silent: float) -> None:
    """End this product's sessions that have received nothing for `silent` seconds within a statement."""
    with contextlib.suppress(DBAPIError, OSError, PoolTimeoutError):  # the caller reports its own error
        async with engine.connect() as connection:
            await connection.execute(_END_SILENT, {"application": APPLICATION, "silent": silent})


def try_before_use(engine: AsyncEngine) -> None:
    """Let SQLAlchemy try each connection before it uses it, and replace all if one is lost (as ``pool_pre_ping`` does).

    One that fails in any other way (its protocol is broken, as by a kill in the midst of an answer) is replaced alone.

    `graph.engines.plain` is spared that: it reads outside any greenlet, and reads again if the connection was lost. No
    connection is opened for it either (MissingGreenlet), before there is a coroutine that nobody could await.
    """
    dialect = engine.dialect

    def open_within_greenlet(*_: object) -> None:
        if not in_greenlet():
            raise MissingGreenlet

    def check(connection: Any, _record: object, _lent: object) -> None:
        if not in_greenlet():
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            lost = dialect.is_disconnect(error, connection, None)
            raise (InvalidatePoolError if lost else DisconnectionError) from error

    event.listen(engine.sync_engine, "do_connect", open_within_greenlet)
    event.listen(engine.sync_engine, "checkout", check)


async def read(connection: Any, statement: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
    """Run a SELECT outside any transaction on a connection of SQLAlchemy's adapter, without a greenlet."""
    try:
        return await connection.driver_connection.fetch(statement, *values)
    except Exception as error:
        connection._handle_exception(error)  # noqa: SLF001 - what its cursors call
        raise
