"""Fixtures of the whole suite: a real Valkey per test process, emptied for each test, and a client of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from graph.patterns.client import Client, open_client
from tests.support.servers import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --full: the fault tests run at the size that the guarantees are stated for."""
    parser.addoption("--full", action="store_true", help="run the fault and race tests at full size")


@pytest.fixture(scope="session")
def scaled(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """``scaled(full, quick)``: how many rounds a fault test runs: all of them with --full, else a quick sample."""
    whole = bool(request.config.getoption("--full"))
    return lambda full, quick: full if whole else quick


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """One server for all tests of this process that do not break theirs."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
async def client(valkey: ValkeyServer) -> AsyncIterator[Client]:
    """A client of an empty server."""
    async with open_client(valkey.url) as opened:
        await opened.execute("FLUSHALL", retry=False)
        yield opened
