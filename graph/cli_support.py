"""What every command needs: settings read from the environment, an event loop, and failures told in one sentence.

A command exits with 0 when it did what it was asked, with 1 when it could not, with 2 when it was called wrongly, with
130 when it was interrupted. Imports are kept inside the functions, so that ``graph --help`` stays quick.
"""

import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from graph.settings import Settings

T = TypeVar("T")


def console(*, stderr: bool = False) -> "Console":
    """A rich console: tables and colours on a terminal, plain text elsewhere."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def fail(message: str) -> NoReturn:
    """End the command with exit status 1 and `message` on standard error."""
    typer.echo(f"graph: {message}", err=True)
    raise typer.Exit(1)


def read_settings(**given: Any) -> "Settings":
    """The settings of the environment; a field of `ServerSettings` that was `given` and is not None wins."""
    from graph.settings import ServerSettings, Settings, SettingsError, unknown_variables

    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        fail(str(error))
    for name, near in unknown_variables():
        typer.echo(f"graph: {name} is no setting{f'; did you mean {near}?' if near else ''}", err=True)
    chosen = {name: value for name, value in given.items() if value is not None}
    if not chosen:
        return settings
    server = ServerSettings(**{**settings.server.model_dump(exclude_unset=True), **chosen})
    return settings.model_copy(update={"server": server})


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main` on a new event loop; failures that a person can do something about become one sentence."""
    from redis.exceptions import ConnectionError as RedisConnectionError
    from sqlalchemy.exc import InterfaceError, OperationalError

    from graph.embedded import EmbeddedError
    from graph.errors import DomainError

    try:
        return _loop_run(main())
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except EmbeddedError as error:
        fail(str(error))
    except RedisConnectionError as error:
        fail(f"Redis: {error}")
    except (OperationalError, InterfaceError) as error:
        fail(f"SQL: {error.orig or error}")
    except DomainError as error:
        fail(error.message)


def _loop_run(main: Coroutine[Any, Any, T]) -> T:
    if sys.platform == "win32":
        import asyncio

        return asyncio.run(main)
    import uvloop

    return uvloop.run(main)
