"""What an application is made of: features, what each brings along, and what its service is built from.

A feature's package names a `Feature` called FEATURE. An `App` lists features: `graph.product` those of this product, a
module of one's own those of another application, which ``GRAPH_APP`` names. The services are opened in the order of the
list and closed in reverse; the schema is joined from the features' parts, the worker runs their jobs, and
``graph serve`` brings the database up to their migrations. A feature gets everything that it needs from `Tools`, and
hands out one object, its service.

`load_app` raises `BadApp`, in a sentence, where a name leads to no `App`; an error within the module is passed on.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from graph.engines.revisions import Migrations
from graph.settings_group import PREFIX

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from graph.engines.database import Database
    from graph.jobs import Definition, Jobs, Schedule
    from graph.patterns.broker import Broker
    from graph.patterns.cache import ByteCache, Cache
    from graph.patterns.client import Client
    from graph.patterns.limiter import Limiter
    from graph.patterns.lock import Locks
    from graph.patterns.sessions import Revocations, Sessions
    from graph.settings_group import SettingsGroup
    from graph.telemetry import Telemetry

S = TypeVar("S")
K = TypeVar("K")


_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class BadApp(Exception):
    """What ``GRAPH_APP`` names is no application; the text says why."""


class NotListed(LookupError):
    """A feature is asked for that the application does not list."""


def _nothing(_tools: Tools) -> Sequence[Any]:
    return ()


@asynccontextmanager
async def _no_service(_tools: Tools) -> AsyncGenerator[Any]:
    yield None


@dataclass(frozen=True, kw_only=True, eq=False)
class Feature(Generic[S]):
    """One feature: its service, and what of the schema, the background, the database and the settings is its own.

    Raises ValueError for migrations without a name fit for a table, and for settings whose variables could be another
    program's.
    """

    name: str
    open: Callable[[Tools], AbstractAsyncContextManager[S]] = _no_service
    """The service, for the length of a block. Features that come earlier in the list are open (`Tools.of`)."""
    schema: str | None = None
    """Where its `graph.api.schema_part.SchemaPart` is, as ``module:attribute``: whoever needs no schema loads none."""
    jobs: Callable[[Tools], Sequence[Definition]] = _nothing
    """The kinds of jobs that its service needs a worker for."""
    schedules: Sequence[Schedule] = ()
    """Those of its jobs that come by themselves."""
    migrations: Path | None = None
    """The folder of its migrations: Alembic's files, one line of them, noted in a table of its own."""
    settings: type[SettingsGroup] | None = None
    """Its settings; their variables begin with ``GRAPH_``. `Tools.option` has them."""

    def __post_init__(self) -> None:
        """Check what cannot be noticed later, where it is nobody's fault."""
        if self.migrations is not None and not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} names a table of migrations: up to 40 of a-z, 0-9 and _, a letter first")
        if self.settings is not None and not self.settings.variable("").startswith(PREFIX):
            raise ValueError(f"the variables of {self.settings.__name__} must begin with {PREFIX}")


@dataclass(frozen=True, kw_only=True, eq=False)
class App:
    """An application: features in the order in which they are opened, and what its schema says of itself.

    Raises ValueError if two features have one name.
    """

    features: Sequence[Feature[Any]]
    description: str = ""

    def __post_init__(self) -> None:
        """Check the names: two features of one name would share a table of migrations."""
        twice = [name for name, number in Counter(one.name for one in self.features).items() if number > 1]
        if twice:
            raise ValueError(f"two features are called {twice[0]}")

    @property
    def migrations(self) -> Sequence[Migrations]:
        """The migrations that come after the server's own, in order."""
        return [Migrations(one.migrations, f"alembic_version_{one.name}") for one in self.features if one.migrations]

    @property
    def settings(self) -> Sequence[type[SettingsGroup]]:
        """The groups of settings beside the server's own."""
        return [one.settings for one in self.features if one.settings is not None]


def located(place: str) -> Any:
    """What `place` names, as ``module:attribute``."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


def load_app(place: str) -> App:
    """The application at `place`, whose module may lie in the current directory; raises `BadApp`."""
    module = place.partition(":")[0]
    here = str(Path.cwd())
    if not module.startswith("graph.") and here not in sys.path:  # as uvicorn and others look for an application
        sys.path.insert(0, here)
    try:
        found = located(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise BadApp(f"there is no module {error.name}: run this in the project's folder, or install it") from error
    except AttributeError as error:
        if getattr(error, "obj", None) is not sys.modules.get(module):
            raise
        raise BadApp(f"{module} has no {place.partition(':')[2]}") from error
    if not isinstance(found, App):
        raise BadApp(f"{place} is no graph.feature.App")
    return found


def opening(build: Callable[[Tools], S]) -> Callable[[Tools], AbstractAsyncContextManager[S]]:
    """The `Feature.open` of a service that has nothing to close."""

    @asynccontextmanager
    async def opened(tools: Tools) -> AsyncGenerator[S]:
        yield build(tools)

    return opened


@dataclass(frozen=True, kw_only=True, eq=False)
class Tools:
    """What every feature is built from: the stores and the patterns on them, all open."""

    app: App
    """Whose features are open."""
    prefix: str
    """Begins the name of every key in Redis."""
    client: Client
    cache: Cache
    answers: ByteCache
    limiter: Limiter
    database: Database
    broker: Broker
    sessions: Sessions
    revocations: Revocations
    jobs: Jobs
    locks: Locks
    telemetry: Telemetry | None = None
    """Makes the spans of traces, where they are configured."""
    imports: Path
    """The directory of files that a client may name."""
    options: tuple[object, ...] = ()
    """Plain values from the settings, a dataclass a feature."""
    opened: dict[Feature[Any], Any] = field(default_factory=dict["Feature[Any]", Any], repr=False)

    def of(self, feature: Feature[S]) -> S:
        """The service of `feature`; raises `NotListed` unless the application has it."""
        try:
            return self.opened[feature]
        except KeyError:
            raise NotListed(f"this application has no feature {feature.name}") from None

    def find(self, feature: Feature[S]) -> S | None:
        """The service of `feature`; None where the application does without it."""
        return self.opened.get(feature)

    def option(self, kind: type[K]) -> K:
        """The options of this kind, or their defaults."""
        return next((one for one in self.options if isinstance(one, kind)), None) or kind()
