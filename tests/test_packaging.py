"""What the package needs is what it says that it needs."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import graph
from harness.serving import ROOT

if TYPE_CHECKING:
    from harness.valkey import ValkeyServer

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]

PROGRAM = """
import asyncio, importlib.abc, io, json, sys, traceback
from contextlib import redirect_stderr, redirect_stdout

class Blocked(importlib.abc.MetaPathFinder):
    names = ()

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())

def base():
    from graph.library import BadCursor, CacheWriteRefused, LockTimeout, Operator, Redis, RedisUnavailable, cached
    redis = Redis(sys.argv[1], prefix="base")

    @cached(redis, ttl=3600, tags="n:{n}")
    async def double(n):
        return 2 * n

    @redis.jobs.job()
    async def job():
        pass

    async def use():
        async with redis.lock("l"), redis.cache.writing("n:1"):
            pass
        await redis.topic("t").publish(1)
        await redis.ranking("r").submit("ann", 1)
        await redis.tokens("k").issue("v")
        await job.enqueue()
        print(await double(4))

    asyncio.run(use())
    for name in ("RateLimit", "CurrentSession"):
        try:
            getattr(__import__("graph.library", fromlist=[name]), name)
        except ImportError as error:
            print(error)
    try:
        redis.sessions()
    except ImportError as error:
        print(error)
    try:
        import graph.endpoint
    except ImportError as error:
        print(error)

def endpoint():
    import graph.endpoint, graph.library, graph.patterns
    print([name for name in graph.library.__all__ if getattr(graph.library, name) is None])
    graph.library.Redis().sessions()

def command():
    import graph.cli
    graph.cli.main()

def server():
    import graph.cli.commands, graph.app, graph.background.worker

for name, blocked in json.loads(sys.argv[2]):
    Blocked.names = set(blocked)
    out, err, status = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            globals()[name]()
        except SystemExit as end:
            status = end.code
        except Exception:
            traceback.print_exc()
            status = 1
    print(json.dumps([name, status, out.getvalue(), err.getvalue()]))
"""
"""Does each thing where some modules are missing, fewer from one to the next."""


class Done(NamedTuple):
    """How it ended."""

    status: str | int
    stdout: str
    stderr: str


def named(requirement: str) -> str:
    """The distribution that a requirement names."""
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def closure(requirements: list[str]) -> set[str]:
    """The distributions that come with `requirements`, those of every platform included."""
    known: set[tuple[str, str]] = set()
    left = list(requirements)
    while left:
        one = left.pop()
        found = re.search(r"^[\w.-]+\[([\w,-]+)\]", one)
        for extra in (found[1] if found is not None else "").split(","):
            if (named(one), extra) in known:
                continue
            known.add((named(one), extra))
            try:
                more = importlib.metadata.requires(named(one)) or []
            except importlib.metadata.PackageNotFoundError:  # of another platform
                continue
            left += [line for line in more if "extra ==" not in line or re.search(rf"extra == .{extra or '-'}\b", line)]
    return {name for name, _ in known}


def blocked(requirements: list[str]) -> list[str]:
    """The modules here that do not come with `requirements`."""
    allowed = {*closure(requirements), "graph-server"}
    return [module for module, homes in homes_of_modules().items() if not any(named(home) in allowed for home in homes)]


homes_of_modules = cache(importlib.metadata.packages_distributions)


@pytest.fixture(scope="module")
def done(valkey: ValkeyServer) -> dict[str, Done]:
    """What each function of `PROGRAM` did where only what it needs is installed, as far as imports can tell.

    One process does them all, in the order of what they need: it can have loaded nothing that is missing then.
    """
    base = PROJECT["dependencies"]
    endpoint = [*base, *EXTRAS["endpoint"]]
    server = [*endpoint, *EXTRAS["embedded"], *EXTRAS["server"]]
    needs = (("base", base), ("endpoint", endpoint), ("command", endpoint), ("server", server))
    missing = [(name, blocked(requirements)) for name, requirements in needs]
    words = [sys.executable, "-c", PROGRAM, valkey.url, json.dumps(missing)]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    return {name: Done(*how) for name, *how in map(json.loads, told.stdout.splitlines())}


def test_the_base_needs_what_it_says(done: dict[str, Done]) -> None:
    """Cache, topics, rankings, locks, tokens and jobs run without Strawberry; what needs more says so."""
    value, *told = done["base"].stdout.splitlines()
    assert (value, done["base"].stderr) == ("8", "")
    names = ("RateLimit needs", "CurrentSession needs", "sessions need", "graph.endpoint needs")
    for name, sentence in zip(names, told, strict=True):
        assert re.fullmatch(rf"{name} \w+: install graph-server\[endpoint\]", sentence)


def test_the_endpoint_needs_what_it_says(done: dict[str, Done]) -> None:
    """The whole library and `graph.endpoint`, without SQL, uvicorn and the command line."""
    assert done["endpoint"] == (0, "[]\n", "")


def test_the_command_says_what_is_missing(done: dict[str, Done]) -> None:
    """In a sentence."""
    status, *_ = done["command"]
    assert re.fullmatch(r"The command needs \w+: install graph-server\[server\]\.", str(status))


def test_the_server_needs_what_it_says(done: dict[str, Done]) -> None:
    """The commands, the application and the worker are there."""
    assert done["server"] == (0, "", "")


def test_everything_is_locked() -> None:
    """What the extras name is in what `make` installs."""
    texts = [(ROOT / f"requirements/{name}.txt").read_text() for name in ("base", "otel")]
    locked = {name for text in texts for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}
    wanted = {named(one) for one in (*PROJECT["dependencies"], *(one for extra in EXTRAS.values() for one in extra))}
    assert wanted - {"graph-server"} - {named(one) for one in locked} == set()


def test_the_oldest_strawberry_is_the_one_that_is_tried() -> None:
    """``make oldest`` runs on the lower bound of the range, the lock is within it."""
    (wanted,) = [one for one in EXTRAS["endpoint"] if named(one) == "strawberry-graphql"]
    oldest, first_beyond = re.findall(r"\d[\d.]*", wanted)
    assert (ROOT / "requirements/oldest.txt").read_text() == f"strawberry-graphql=={oldest}.0\n"
    (locked,) = re.findall(r"^strawberry-graphql==(\S+)", (ROOT / "requirements/base.txt").read_text(), re.MULTILINE)
    bounds = [tuple(map(int, one.split("."))) for one in (oldest, locked, first_beyond)]
    assert bounds == sorted(bounds)


def test_the_version_is_that_of_the_distribution() -> None:
    """``graph.__version__``."""
    assert graph.__version__ == PROJECT["version"]
    with pytest.raises(AttributeError):
        _ = graph.nothing  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]


def test_the_page_of_the_package_stands_alone() -> None:
    """It has no links that lead nowhere on an index, and names every extra."""
    text = (ROOT / PROJECT["readme"]).read_text()
    assert re.findall(r"\]\((?!https://)[^)]*\)", text) == []
    assert [extra for extra in EXTRAS if f"graph-server[{extra}]" not in text] == []
