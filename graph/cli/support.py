"""What every command needs: settings from the environment, an event loop, and errors as one sentence.

A command exits with 0 on success, with 1 on failure, with 2 for a usage error, with 130 if it was interrupted. Imports
are inside the functions, so that ``graph --help`` stays fast.
"""

import contextlib
import gc
import os
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    import asyncio
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from rich.console import Console
    from rich.table import Table

    from graph.feature import App
    from graph.jobs import Job, Jobs
    from graph.services import Services
    from graph.settings import Settings

T = TypeVar("T")

_UNWRAPPED = 10_000  # columns; what is piped or read by a program is one line a row
_PLAIN_STEP = 50_000  # rows between two lines of progress if there is no terminal


def console(*, stderr: bool = False) -> "Console":
    """Return a rich console: tables and colours on a terminal; elsewhere plain text, whose lines are never wrapped."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False)
    if not (made.is_terminal or "COLUMNS" in os.environ):
        made.width = _UNWRAPPED
    return made


def fail(message: str) -> NoReturn:
    """End the command with exit status 1 and `message` on standard error."""
    typer.echo(f"graph: {message}", err=True)
    raise typer.Exit(1)


def read_dotenv(file: Path) -> None:
    """Read settings that are not in the environment from an ``.env`` file; other variables in it are ignored."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file}: {error}")
    from io import StringIO

    from dotenv import dotenv_values

    for name, value in dotenv_values(stream=StringIO(text), interpolate=False).items():
        if name.startswith("GRAPH_") and value is not None:
            os.environ.setdefault(name, value)


def between(document: str, start: str, end: str, made: str) -> str:
    """Return `document` with `made` between its two marks; raises `ValueError` if a mark is missing."""
    before, mark, rest = document.partition(start)
    _, last, after = rest.partition(end)
    if not mark or not last:
        raise ValueError(f"the document has no {start} and {end}")
    return f"{before}{mark}\n{made}\n{last}{after}"


def read_settings(**given: Any) -> "Settings":
    """Read the settings from the environment; a field of `ServerSettings` that is `given` and not None wins."""
    from pydantic import ValidationError

    from graph.settings import ServerSettings, Settings, unknown_variables
    from graph.settings_group import SettingsError

    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        fail(str(error))
    others = () if "app" not in settings.server.model_fields_set else application(settings).settings
    try:
        settings.of(others)
    except SettingsError as error:
        fail(str(error))
    for name, near in unknown_variables(others):
        typer.echo(f"graph: {name} is no setting{f'; did you mean {near}?' if near else ''}", err=True)
    chosen = {name: value for name, value in given.items() if value is not None}
    if not chosen:
        return settings
    try:
        server = ServerSettings(**{**settings.server.model_dump(exclude_unset=True), **chosen})
    except ValidationError as error:
        first = error.errors()[0]
        fail(
            f"--{str(first['loc'][0]).replace('_', '-')}={first['input']}: {first['msg'][:1].lower()}{first['msg'][1:]}"
        )
    return settings.model_copy(update={"server": server})


def application(settings: "Settings") -> "App":
    """Load the application that the settings name."""
    from graph.feature import BadApp, load_app

    try:
        return load_app(settings.server.app)
    except BadApp as error:
        fail(f"GRAPH_APP={settings.server.app}: {error}")


def run(
    main: Callable[[], Coroutine[Any, Any, T]], new_loop: "Callable[[], asyncio.AbstractEventLoop] | None" = None
) -> T:
    """Run `main` on a new event loop; errors that the user can do something about become one sentence.

    The loop is one that `new_loop` makes, or else uvloop's where that runs.
    Garbage collection starts here (`graph.cli.main` disables it), and ignores what was imported before.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    try:
        return _loop_run(main(), new_loop)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except Exception as error:
        if (sentence := _sentence(error)) is None:
            raise
        fail(sentence)


def _sentence(error: Exception) -> str | None:
    """Return the sentence for an error; None for a bug."""
    from redis.exceptions import ConnectionError as RedisConnectionError

    from graph.engines.embedded import EmbeddedError
    from graph.errors import BadDatabaseUrl, DomainError, Invalid
    from graph.feature import BadApp, NotListed
    from graph.patterns.client import BadRedisUrl
    from graph.patterns.keyspace import ForeignKeyspace

    if isinstance(error, (BadApp, EmbeddedError, ForeignKeyspace, NotListed)):
        return str(error)
    if isinstance(error, (BadRedisUrl, BadDatabaseUrl)):
        return f"GRAPH_{'REDIS' if isinstance(error, BadRedisUrl) else 'DATABASE'}_URL: {error}"
    if isinstance(error, RedisConnectionError):
        return f"Redis: {error}"
    if isinstance(error, (DomainError, Invalid)):
        return error.message + _why(error)
    if "sqlalchemy" in sys.modules:  # takes half a second to load, and only commands that use SQL fail this way
        from sqlalchemy.exc import InterfaceError, OperationalError

        if isinstance(error, (OperationalError, InterfaceError)):
            return f"SQL: {error.orig or error}"
    return None


def _why(error: Exception) -> str:
    """Return what an engine said that is not available, which no client is told."""
    from graph.errors import Unavailable

    if not isinstance(error, Unavailable) or error.__cause__ is None:
        return ""
    from graph.engines.failures import reason

    return f": {reason(error)}"


async def prepare(settings: "Settings") -> None:
    """Migrate the database; on a terminal, ask before creating a new one."""
    file = settings.database_path
    if file is not None and not file.exists() and sys.stdin.isatty():
        typer.confirm(f"There is no database in {file.parent.absolute()}. Make one?", abort=True, err=True)
    await migrate(settings)


async def migrate(settings: "Settings") -> None:
    """Bring the database up to this version's migrations, and to those of the application's features."""
    from graph.engines import database

    await database.migrate(settings.database_url, more=application(settings).migrations)


@contextlib.asynccontextmanager
async def services() -> "AsyncGenerator[Services]":
    """Migrate the database and open all services during the block."""
    from graph.services import open_services

    settings = read_settings()
    await prepare(settings)
    async with open_services(settings) as opened:
        yield opened


def with_services(work: "Callable[[Services], Coroutine[Any, Any, T]]") -> T:
    """Run `work` with all services, on a migrated database, as `run` does; returns its result."""

    async def main() -> T:
        async with services() as opened:
            return await work(opened)

    return run(main)


def moment(value: "datetime | float") -> str:
    """Return a time, aware or in seconds since 1970, as tables show it: in UTC, to the second."""
    from datetime import UTC, datetime

    at = value.astimezone(UTC) if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
    return at.strftime("%Y-%m-%d %H:%M:%SZ")


def show(table: "Table") -> None:
    """Print a table; text that does not fit is folded, never cut."""
    for column in table.columns:
        column.overflow = "fold"
    printed = console()
    if not printed.is_terminal:
        printed.width = _UNWRAPPED
    printed.print(table)


@contextlib.asynccontextmanager
async def jobs(settings: "Settings") -> "AsyncGenerator[Jobs]":
    """Open the job queue of the Redis in use, without the other services."""
    from graph.jobs import Jobs
    from graph.patterns.client import open_client

    async with redis(settings) as url, open_client(url) as client:
        yield Jobs(client, prefix=settings.redis.prefix)


def redis(settings: "Settings") -> "AbstractAsyncContextManager[str]":
    """Return the URL of the Redis in use, which is kept running during the block."""
    from graph.engines.embedded import redis_url

    return redis_url(settings.redis.url, settings.server.data_dir, max_memory=settings.redis.max_memory)


async def find_job(queue: "Jobs", beginning: str) -> "Job":
    """Return the job whose id has this beginning; ends the command if there is none or more than one."""
    if (exact := await queue.get(beginning)) is not None:
        return exact
    found = [job for job in await queue.list(limit=1000) if job.id.startswith(beginning)]
    if not found:
        fail(f"there is no job {beginning}; graph jobs list shows those there are")
    if len(found) > 1:
        fail(f"{len(found)} jobs begin with {beginning}; give more of the id")
    return found[0]


def _loop_run(main: Coroutine[Any, Any, T], new_loop: "Callable[[], asyncio.AbstractEventLoop] | None" = None) -> T:
    import asyncio

    if new_loop is None and sys.platform != "win32":
        from uvloop import new_event_loop as new_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


@contextlib.contextmanager
def progress(what: str, total: int) -> "Generator[Callable[[int, int], None]]":
    """Show progress on standard error: a bar on a terminal, an occasional line elsewhere.

    The yielded function takes how much of `total` is done, and the corresponding number of rows.
    """
    shown_on = console(stderr=True)
    if not shown_on.is_terminal:
        told = 0

        def tell(done: int, rows: int) -> None:
            nonlocal told
            if rows - told >= _PLAIN_STEP:
                told = rows
                typer.echo(f"{what}: {rows:,} rows, {100 * done // max(total, 1)} %", err=True)

        yield tell
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), TextColumn("{task.percentage:>3.0f} % {task.fields[rows]:,} rows"))
    with Progress(*columns, TimeRemainingColumn(), console=shown_on, transient=True) as bar:
        task = bar.add_task(what, total=total, rows=0)
        yield lambda done, rows: bar.update(task, completed=done, rows=rows)
