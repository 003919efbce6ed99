"""What the package needs is what it says that it needs."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

import graph
from harness.serving import ROOT

if TYPE_CHECKING:
    from harness.valkey import ValkeyServer

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]

CHILD = """
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

BLOCKED = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Blocked())
"""

BASE = """
import asyncio
from graph.library import BadCursor, CacheWriteRefused, LockTimeout, Operator, Redis, RedisUnavailable, cached
redis = Redis(sys.argv[2], prefix="base")

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
"""

ENDPOINT = """
import graph.endpoint, graph.library, graph.patterns
print([name for name in graph.library.__all__ if getattr(graph.library, name) is None])
graph.library.Redis().sessions()
"""

COMMAND = "import graph.cli; graph.cli.main()"


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


def blocked(requirements: list[str]) -> str:
    """The modules here that do not come with `requirements`."""
    allowed = {*closure(requirements), "graph-server"}
    return ",".join(
        module
        for module, homes in importlib.metadata.packages_distributions().items()
        if not any(named(home) in allowed for home in homes)
    )


def run(program: str, requirements: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `program` where only `requirements` are installed, as far as imports can tell."""
    command = [sys.executable, "-c", CHILD + program, blocked(requirements), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_base_needs_what_it_says(valkey: ValkeyServer) -> None:
    """Cache, topics, rankings, locks, tokens and jobs run without Strawberry; what needs more says so."""
    done = run(BASE, PROJECT["dependencies"], valkey.url)
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "8"
    names = ("RateLimit needs", "CurrentSession needs", "sessions need", "graph.endpoint needs")
    for name, told in zip(names, done.stdout.splitlines()[1:], strict=True):
        assert re.fullmatch(rf"{name} \w+: install graph-server\[endpoint\]", told)


def test_the_endpoint_needs_what_it_says() -> None:
    """The whole library and `graph.endpoint`, without SQL, uvicorn and the command line."""
    done = run(ENDPOINT, [*PROJECT["dependencies"], *EXTRAS["endpoint"]])
    assert (done.stderr, done.stdout) == ("", "[]\n")


def test_the_command_says_what_is_missing() -> None:
    """In a sentence."""
    done = run(COMMAND, [*PROJECT["dependencies"], *EXTRAS["endpoint"]])
    assert done.returncode == 1
    assert re.fullmatch(r"The command needs \w+: install graph-server\[server\]\.\n", done.stderr)


def test_the_server_needs_what_it_says() -> None:
    """The commands, the application and the worker are there."""
    needs = [*PROJECT["dependencies"], *EXTRAS["endpoint"], *EXTRAS["embedded"], *EXTRAS["server"]]
    done = run("import graph.cli.commands, graph.app, graph.background.worker", needs)
    assert done.stderr == ""


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
