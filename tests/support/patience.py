"""Patience of the tests: what the product ends, or leaves to others, after some seconds goes on for longer.

`DEFAULTS` names every default that is another while tests are patient, `LINKS` those that are so in a forked command
alone, and `SETTINGS` what such a command, a server above all, is given unless the test says otherwise. Nothing else of
the product is touched, and nothing at import; docs/testing.md has the list.

`VARIABLE` is set in the environment while tests are patient, for the processes that they start.
"""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from graph.endpoint.document.bounds import Bounds
from graph.engines import database
from graph.engines.sqlite import near
from graph.leaderboard import index
from graph.patterns.cache import ByteCache, Cache, Generations
from graph.patterns.client.connection import Link
from harness import serving
from harness.waiting import HANG

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import FunctionType, ModuleType

VARIABLE = "PATIENT_TESTS"
SETTINGS = {"GRAPH_MAX_SECONDS": f"{HANG:g}", "GRAPH_SLOW_SECONDS": "0"}


class Constant(NamedTuple):
    """Seconds that a module names."""

    module: ModuleType
    name: str

    def __str__(self) -> str:
        return f"{self.module.__name__}.{self.name}"

    def read(self) -> float:
        return float(getattr(self.module, self.name))

    def write(self, seconds: float) -> None:
        setattr(self.module, self.name, seconds)


class Parameter(NamedTuple):
    """Seconds that a function takes where its caller names none."""

    function: Any
    name: str

    def __str__(self) -> str:
        return f"{self.function.__module__}.{self.function.__qualname__}({self.name})"

    def read(self) -> float:
        return float(inspect.signature(self.function).parameters[self.name].default)

    def write(self, seconds: float) -> None:
        function: FunctionType = self.function
        if function.__kwdefaults__ and self.name in function.__kwdefaults__:
            function.__kwdefaults__[self.name] = seconds
            return
        ordered = [one for one in inspect.signature(function).parameters.values() if one.kind is not one.KEYWORD_ONLY]
        with_default = [one for one in ordered if one.default is not one.empty]
        function.__defaults__ = tuple(seconds if one.name == self.name else one.default for one in with_default)


DEFAULTS = {
    "graph.leaderboard.index.PATIENCE": Constant(index, "PATIENCE"),
    "graph.engines.sqlite.near.SLOW": Constant(near, "SLOW"),
    "graph.engines.database.POOL_TIMEOUT": Constant(database, "POOL_TIMEOUT"),
    "Cache(patience)": Parameter(Cache.__init__, "patience"),
    "Cache(deadline)": Parameter(Cache.__init__, "deadline"),
    "ByteCache(patience)": Parameter(ByteCache.__init__, "patience"),
    "Generations(patience)": Parameter(Generations.__init__, "patience"),
    "Bounds(deadline)": Parameter(Bounds.__init__, "deadline"),
}
LINKS = {
    "Link.submit(seconds)": Parameter(Link.submit, "seconds"),
    "Link.deliver(seconds)": Parameter(Link.deliver, "seconds"),
}
OWN = {name: one.read() for name, one in {**DEFAULTS, **LINKS}.items()}
"""What the product says itself."""


def begin() -> None:
    """Be patient in this process, and in those that it starts from now on."""
    for one in DEFAULTS.values():
        one.write(HANG)
    os.environ[VARIABLE] = "1"
    os.environ["GRAPH_MAX_SECONDS"] = SETTINGS["GRAPH_MAX_SECONDS"]  # of an application that reads its settings


def end() -> None:
    """Leave the product to its own defaults again."""
    for name, one in DEFAULTS.items():
        one.write(OWN[name])
    for name in (VARIABLE, "GRAPH_MAX_SECONDS"):
        os.environ.pop(name, None)


def of_links() -> None:
    """Let commands to Redis be waited for in this process.

    One that is not answered in five seconds would be told of as "Redis is away", and tests read logs.
    """
    for one in LINKS.values():
        one.write(HANG / 4)  # and who waits for the answer waits longer


def given(environment: Mapping[str, str]) -> dict[str, str]:
    """That environment of a command, with `SETTINGS` where tests are patient."""
    return {**(SETTINGS if VARIABLE in environment else {}), **environment}


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """As `harness.serving.environment`, for a command that is started without `fork_server`."""
    return given(serving.environment(folder, **settings))
