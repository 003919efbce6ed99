"""The whole schema over real services, without a socket; and the whole application."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from graph.api.schema import build_schema
from graph.services import open_services
from graph.settings import DatabaseSettings, RedisSettings, Settings
from tests.support.apps.accounts import Shop, shop
from tests.support.apps.api import Api, asking
from tests.support.engines.proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator
    from pathlib import Path

    import strawberry

    from graph.patterns.client import Client
    from graph.services import Services
    from harness.valkey import ValkeyServer


@pytest.fixture
def proxy(valkey: ValkeyServer) -> Iterator[FaultProxy]:
    """What stands between the services and Redis, and counts."""
    with FaultProxy(valkey.socket) as opened:
        yield opened


@pytest.fixture
async def services(database_url: str, proxy: FaultProxy, client: Client) -> AsyncIterator[Services]:
    """Everything, on an empty database of each engine."""
    settings = Settings(redis=RedisSettings(url=proxy.url), database=DatabaseSettings(url=database_url))
    async with open_services(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def schema() -> strawberry.Schema:
    """The product's schema."""
    return build_schema()


@pytest.fixture
async def api(services: Services, client: Client) -> AsyncGenerator[Api]:
    """Ask the product's schema as it is served."""
    async with asking(services, client) as opened:
        yield opened


@pytest.fixture
async def app(client: Client, valkey: ValkeyServer, tmp_path: Path) -> AsyncGenerator[Shop]:
    """The application on an empty Redis and an empty database."""
    assert await client.execute("DBSIZE") == 0
    async with shop(valkey.url, tmp_path) as opened:
        yield opened
