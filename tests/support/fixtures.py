"""Fixtures of the whole suite: real engines, each empty for each test."""

from __future__ import annotations

import asyncio
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import settings

from graph.accounts import passwords
from graph.engines.database import Database
from graph.patterns.client import Client, Script, open_client
from graph.patterns.client.connection import primary, sentinels
from graph.patterns.keyspace import keyspace
from graph.server.http_express import HttpProtocol
from graph.settings import sqlite_url
from harness.postgres import Postgres
from harness.serving import Serving
from harness.valkey import NEXT_CLUSTER, ValkeyServer
from harness.waiting import HANG, within
from tests.support import patience
from tests.support.engines.migrated import migrated
from tests.support.processes import fork_server, hashers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from graph.patterns.client.connection.wire import Wire

OWN_SECONDS = {"conformance", "browser", "test_histories.py"}
"""Folders and files of tests that see the product on its own defaults."""

settings.register_profile("patient", deadline=None)  # what an example takes is the machine's business
settings.load_profile("patient")


@pytest.fixture(scope="session")
def scaled(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """``scaled(full, quick)``: how many rounds a test runs: `full` with --full, as `make full` does, else `quick`."""
    whole = bool(request.config.getoption("--full"))
    return lambda full, quick: full if whole else quick


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Be patient with the product, or not, before any fixture of the test is made.

    Where histories are checked, and beside clients of other people, its own seconds hold.
    """
    if OWN_SECONDS.intersection(item.path.parts):
        patience.end()
    else:
        patience.begin()


def pytest_unconfigure() -> None:
    """Leave nothing of that."""
    patience.end()


@pytest.fixture(autouse=True)
def uninterrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether Redis and SQL belong together is compared at the start alone: tests count trips and statements."""
    monkeypatch.setattr(keyspace, "INTERVAL", 3600.0)
    monkeypatch.setattr(keyspace, "LOOKS", 3600.0)


@pytest.fixture(scope="session", autouse=True)
def forked() -> Iterator[None]:
    """A server is a fork of a process that has loaded everything: loading takes most of the time of a start."""
    Serving.launch = fork_server.launch
    yield
    Serving.launch = None


@pytest.fixture(autouse=True)
def forked_hashers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that hashes passwords is a fork, too: most tests that start one hash a password or two."""
    monkeypatch.setattr(passwords, "launch", hashers.launch)


@pytest.fixture(scope="session", autouse=True)
def trust() -> Iterator[None]:
    """The certificates that httpx trusts are read once: that takes as long as a small test, for each client."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", cache(httpx.create_ssl_context))
        yield


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """One server for all tests of this process that do not break theirs."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def next_cluster() -> Iterator[None]:
    """A test whose cluster is not the first of this process does not wait for its nodes to be old enough."""
    with NEXT_CLUSTER.ahead():
        yield


@pytest.fixture(scope="session")
def scripts() -> tuple[Script, ...]:
    """Every script of the product."""
    root = Path(__file__).parents[2]
    paths = sorted((root / "graph").rglob("lua/*.lua"))
    return tuple(Script(".".join((*path.parts[len(root.parts) : -2], "module")), path.stem) for path in paths)


async def alone(client: Client) -> None:
    """Wait until nobody else has a connection to its server.

    What a killed ``graph serve`` leaves behind, its worker and the other processes of `--workers`, ends by itself, but
    in order: it writes for a while, into the Redis of the next test. A connection whose other end is closed stays until
    the server has done what came over it.
    """
    own = await client.execute("CLIENT", "ID", retry=False)
    async with within("the processes of a test before to end"):
        while others := (await client.execute("CLIENT", "LIST", retry=False)).splitlines():
            if all(line.startswith(b"id=%d " % own) for line in others):
                return
            await asyncio.sleep(0.01)


@pytest.fixture
async def client(valkey: ValkeyServer, scripts: tuple[Script, ...]) -> AsyncIterator[Client]:
    """A client of a server that is empty but for the scripts.

    The server knows every script, whatever the test before did to it: no test depends on being the first to send one,
    which takes another trip.
    """
    async with open_client(valkey.url) as opened:
        await alone(opened)
        await opened.execute("FLUSHALL", retry=False)
        known = await opened.execute("SCRIPT", "EXISTS", *(script.sha for script in scripts), retry=False)
        for script in (script for script, there in zip(scripts, known, strict=True) if not there):
            await opened.execute("SCRIPT", "LOAD", script.source, retry=False)
        yield opened


@pytest.fixture
def expressed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each ready answer was sent."""
    seen: list[bool] = []
    send = HttpProtocol.answer

    def answer(self: HttpProtocol, status: int, head: bytes, body: bytes) -> bool:
        seen.append(send(self, status, head, body))
        return seen[-1]

    monkeypatch.setattr(HttpProtocol, "answer", answer)
    return seen


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL server for all tests of this process."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrated(path)
    return path


@pytest.fixture(params=["sqlite", "postgres"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a migrated, empty database, on each engine in turn."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        shutil.copyfile(template, tmp_path / "graph.db")
        yield sqlite_url(tmp_path / "graph.db")
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = await server.lend()
    yield server.url(name)
    await server.take_back(name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """That database, opened."""
    async with Database(database_url) as opened:
        yield opened


@pytest.fixture
def undisputed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first primary that a client sees has been that for long: no write waits for leases on one before it.

    Nor does a Sentinel count as silent that is slow to answer.
    """
    found = primary.Primary.found

    def soon(self: primary.Primary, wire: Wire) -> None:
        found(self, wire)
        if self._former is None:
            self._quiet_at = 0.0

    monkeypatch.setattr(primary.Primary, "found", soon)
    monkeypatch.setattr(sentinels, "_TIMEOUT", HANG)
