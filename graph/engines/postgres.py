"""Sets up PostgreSQL sessions, ends those whose process hangs, and executes statements past SQLAlchemy's execution.

A process that stops in the middle of a transaction (SIGSTOP, a debugger, a frozen machine) keeps its rows locked while
its connection stays open. Between two statements PostgreSQL ends such a session itself
(``idle_in_transaction_session_timeout``). In the middle of many executions of one statement, which the driver sends at
once, no time-out of the server applies (before ``transaction_timeout`` of PostgreSQL 17): a process that waited for a
row in vain ends such sessions, see `end_silent`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InvalidatePoolError, MissingGreenlet
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.util.concurrency import in_greenlet

from graph.errors import BadDatabaseUrl

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncEngine

    from graph.engines.direct import Rows, Run

T = TypeVar("T")

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

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_LOCK_NOT_HAD = "55P03"
_FORGOTTEN = "26000"
"""There is no prepared statement of this name."""
_BROKEN = "InternalClientError"
"""What the driver raises when it has lost the thread of the protocol."""
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
    return type(error.orig).__name__ == _BROKEN


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

    `graph.engines.plain` is spared that: it goes to the server outside any greenlet, and leaves to SQLAlchemy what
    finds the connection lost. No connection is opened for it either (MissingGreenlet), before there is a coroutine that
    nobody could await.
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


class PostgresDirect:
    """PostgreSQL past SQLAlchemy, over the connections of its adapter: a `graph.engines.direct.DirectDriver`.

    Statements are prepared once for each connection and text. Where the server has forgotten one (``DISCARD``, a pooler
    that gave the connection another session), or a migration has changed what it returns, it is prepared again: a read
    is repeated, a transaction is rolled back and begins anew.
    """

    ends_abandoned = False

    async def read(self, connection: Any, text: str, values: Sequence[Any]) -> Rows:
        """Return the rows of a SELECT outside any transaction: one trip."""
        raw = connection.driver_connection
        try:
            return await raw.fetch(text, *values)
        except Exception as error:  # noqa: BLE001 - SQLAlchemy's own way
            if not _is_stale(error):
                _fail(connection, error)
        try:
            await raw.reload_schema_state()
            return await raw.fetch(text, *values)
        except Exception as error:  # noqa: BLE001 - as above
            _fail(connection, error)

    async def transact(self, connection: Any, work: Callable[[Run], Coroutine[Any, Any, T]]) -> T:
        """Do `work` in a transaction: a trip to begin, one for each statement, of any number of rows, one to commit."""
        raw = connection.driver_connection
        stale: list[Exception] = []

        async def run(text: str, each: Rows) -> Rows:
            try:
                return await (raw.fetch(text, *each[0]) if len(each) == 1 else raw.fetchmany(text, each))
            except Exception as error:  # noqa: BLE001 - as above
                if _is_stale(error):
                    stale.append(error)
                _fail(connection, error)

        again = False
        while True:
            await self._begin(connection, anew=again)
            try:
                result = await work(run)
            except Exception:
                await _roll_back(raw)
                if again or not stale:
                    raise
            else:
                await self._commit(connection)
                return result
            again = True

    async def _begin(self, connection: Any, *, anew: bool) -> None:
        raw = connection.driver_connection
        try:
            if anew:
                await raw.reload_schema_state()
            await raw.execute(_BEGIN)
        except Exception as error:
            if raw.is_closed():
                raise DisconnectionError from error
            _fail(connection, error)

    async def _commit(self, connection: Any) -> None:
        try:
            ended = await connection.driver_connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - as above
            await _roll_back(connection.driver_connection)
            _fail(connection, error)
        if ended != "COMMIT":  # which is how PostgreSQL answers where a statement has failed
            raise RuntimeError("a transaction was to be committed of which a statement had failed")


async def _roll_back(raw: Any) -> None:
    """Roll back, or close the connection, with which the server does the same."""
    try:
        if not raw.is_closed():
            await raw.execute("ROLLBACK")
    except Exception:  # noqa: BLE001 - what has failed before is what the caller hears of
        raw.terminate()


def _is_stale(error: Exception) -> bool:
    return getattr(error, "sqlstate", None) == _FORGOTTEN or type(error).__name__ == "InvalidCachedStatementError"


def _fail(connection: Any, error: Exception) -> NoReturn:
    """Raise what SQLAlchemy's adapter raises for the driver's `error`, which it calls a disconnect if it is one."""
    if type(error).__name__ == _BROKEN:
        connection.driver_connection.terminate()
    connection._handle_exception(error)  # noqa: SLF001 - what its cursors call
    raise error
