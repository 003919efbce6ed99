"""The product's own defaults are what the documents promise, and the tests' patience changes what it names alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from harness.serving import ROOT, Serving, environment
from harness.waiting import HANG
from history.client import PATIENCE
from tests.support import patience
from tests.support.processes import fork_server

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = {
    "graph.leaderboard.index.PATIENCE": 0.5,
    "graph.engines.sqlite.near.SLOW": 0.02,
    "graph.engines.database.POOL_TIMEOUT": 5,
    "Cache(patience)": 5,
    "Cache(deadline)": 1,
    "ByteCache(patience)": 2,
    "Generations(patience)": 5,
    "Bounds(deadline)": 10,
    "Link.submit(seconds)": 5,
    "Link.deliver(seconds)": 5,
    "GRAPH_MAX_SECONDS": 10,
    "GRAPH_SLOW_SECONDS": 1,
}
OPERATING = "docs/operating.md"
PROMISED = {
    "graph.leaderboard.index.PATIENCE": (OPERATING, "for a ranking that is being repaired | {:g} s |"),
    "graph.engines.sqlite.near.SLOW": ("docs/decisions/sqlite.md", "stands still for {ms:g} ms"),
    "graph.engines.database.POOL_TIMEOUT": (OPERATING, "| whoever needs a connection to SQL | {:g} s |"),
    "Cache(patience)": ("docs/security.md", "for {:g} s at most (2 s for an answer)"),
    "Cache(deadline)": (OPERATING, "| a reader for Redis, where a cached value may be | {:g} s |"),
    "ByteCache(patience)": ("docs/security.md", "({:g} s for an answer)"),
    "Generations(patience)": (OPERATING, "to confirm that what was kept is outdated | {:g} s |"),
    "Bounds(deadline)": (OPERATING, "| an operation | {:g} s (`GRAPH_MAX_SECONDS`) |"),
    "Link.submit(seconds)": (OPERATING, "| a command to Redis | {:g} s |"),
    "Link.deliver(seconds)": (OPERATING, "| a command to Redis | {:g} s |"),
    "GRAPH_MAX_SECONDS": ("README.md", "| `GRAPH_MAX_SECONDS` | `{:g}` |"),
    "GRAPH_SLOW_SECONDS": ("README.md", "| `GRAPH_SLOW_SECONDS` | `{:g}` |"),
}
"""Where a reader is told of them."""
READ = """
import json
from graph.settings import Settings
from tests.support import patience
settings = Settings.from_environment()
found = {"GRAPH_MAX_SECONDS": settings.bounds.seconds, "GRAPH_SLOW_SECONDS": settings.endpoint.slow_seconds}
print(json.dumps({name: one.read() for name, one in {**patience.DEFAULTS, **patience.LINKS}.items()} | found))
"""
COMPARE = """
import importlib, inspect, json, os, pkgutil, sys, types
import graph
from tests.support import patience

def defaults(where, function):
    for parameter in inspect.signature(function).parameters.values():
        if parameter.default is not parameter.empty:
            yield f"{where}({parameter.name})", repr(parameter.default)

def members(module):
    for name, value in vars(module).items():
        if isinstance(value, (int, float, str, bytes, tuple)):
            yield f"{module.__name__}.{name}", repr(value)
        elif isinstance(value, types.FunctionType) and value.__module__ == module.__name__:
            yield from defaults(f"{module.__name__}.{value.__qualname__}", value)
        elif isinstance(value, type) and value.__module__ == module.__name__:
            for one in vars(value).values():
                if isinstance(one, types.FunctionType) and one.__module__ == module.__name__:
                    yield from defaults(f"{module.__name__}.{one.__qualname__}", one)

def everything():
    ours = [module for name, module in sys.modules.items() if name.partition(".")[0] == "graph"]
    found = {name: value for module in ours for name, value in members(module)}
    return found | {name: value for name, value in os.environ.items()}

for found in pkgutil.walk_packages(graph.__path__, "graph."):
    if not found.name.startswith(("graph.template", "graph.engines.migrations", "graph.__main__")):
        importlib.import_module(found.name)
before = everything()
patience.begin()
patience.of_links()
during = everything()
patience.end()
changed = {name for name in before.keys() | during.keys() if before.get(name) != during.get(name)}
named = {str(one) for one in (*patience.DEFAULTS.values(), *patience.LINKS.values())}
again = everything()
left = {name for name in before.keys() | again.keys() if before.get(name) != again.get(name)}
print(json.dumps({"changed": sorted(changed), "named": sorted(named), "left": sorted(left), "seen": len(before)}))
"""


def bare(folder: Path) -> dict[str, str]:
    """The environment of a process in which nobody is patient."""
    return {name: value for name, value in environment(folder).items() if name != patience.VARIABLE}


def test_the_product_has_the_defaults_that_are_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each default that tests replace is what it was, and what a document says."""
    monkeypatch.delenv(patience.VARIABLE)  # the process that forks has loaded the product and changes nothing
    with (tmp_path / "out").open("w+b") as out:
        assert fork_server.forked(("-c", READ), bare(tmp_path), out, out).wait(HANG) == 0
        out.seek(0)
        assert json.loads(out.read()) == SECONDS
    for name, (document, words) in PROMISED.items():
        told = " ".join((ROOT / document).read_text(encoding="utf-8").split())
        assert words.format(SECONDS[name], ms=1000 * SECONDS[name]) in told, name
    assert PROMISED.keys() == SECONDS.keys()


@pytest.mark.heavy
def test_patience_touches_what_it_names(tmp_path: Path) -> None:
    """No other number, text or default of the product is another while tests are patient, and afterwards none is."""
    words = (sys.executable, "-c", COMPARE)
    done = subprocess.run(words, cwd=ROOT, env=bare(tmp_path), check=True, capture_output=True, timeout=HANG)
    found: dict[str, Any] = json.loads(done.stdout)
    named = found["named"]
    links = {str(one) for one in patience.LINKS.values()}
    assert found["changed"] == sorted([*named, "GRAPH_MAX_SECONDS", patience.VARIABLE])
    assert found["left"] == sorted(links), "what only a fork has goes with it"
    assert found["seen"] > 1000
    table = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
    for name, seconds in SECONDS.items():
        assert f"| `{name}` | {seconds:g} s |" in table


def test_a_server_outside_the_tests_has_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks, histories and pictures start it with no time-out of anybody's, and their clients are more patient."""
    monkeypatch.delenv(patience.VARIABLE, raising=False)
    monkeypatch.setattr(Serving, "launch", None)
    plain = environment(tmp_path)
    assert patience.given(plain) == plain
    assert {name for name in plain if name.startswith("GRAPH_")} == {"GRAPH_DATA_DIR", "GRAPH_PORT"}
    assert SECONDS["GRAPH_MAX_SECONDS"] < PATIENCE


def test_a_command_of_the_tests_is_patient(tmp_path: Path) -> None:
    """A fork has the tests' time-outs, unless the test gives it others."""
    assert os.environ[patience.VARIABLE]
    code = "import os; from tests.support.patience import LINKS; "
    code += "print(os.environ['GRAPH_MAX_SECONDS'], *(one.read() for one in LINKS.values()))"
    for own, told in ({}, "120"), ({"GRAPH_MAX_SECONDS": "7"}, "7"):
        with (tmp_path / "out").open("w+b") as out:
            assert fork_server.forked(("-c", code), environment(tmp_path, **own), out, out).wait(HANG) == 0
            out.seek(0)
            assert out.read().decode().split() == [told, "30.0", "30.0"]
