"""The whole schema over real services, without a socket; and the whole application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from graph.api.context import Context
from graph.api.schema import build_schema
from graph.endpoint.identity.caller import Caller
from graph.services import open_services
from graph.settings import DatabaseSettings, RedisSettings, Settings
from tests.support.accounts_app import Shop, shop
from tests.support.proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator
    from pathlib import Path

    import strawberry
    from strawberry.types import ExecutionResult

    from graph.patterns.client import Client
    from graph.services import Services
    from tests.support.servers import ValkeyServer

ANYBODY = Caller(address="192.0.2.1")
ADMIN = Caller(address="192.0.2.1", user="1", role="ADMIN")
PLAYER = Caller(address="192.0.2.1", user="2", role="PLAYER")


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


class Api:
    """Runs operations; each has a context of its own, which `context` keeps for a look."""

    def __init__(self, schema: strawberry.Schema, services: Services) -> None:
        self.schema = schema
        self.services = services
        self.context = Context(services, ANYBODY)

    async def execute(self, document: str, caller: Caller = ANYBODY, **variables: Any) -> ExecutionResult:
        """The whole result."""
        self.context = Context(self.services, caller)
        return await self.schema.execute(document, variables, self.context)

    async def __call__(self, document: str, caller: Caller = ANYBODY, **variables: Any) -> dict[str, Any]:
        """The data of an operation that has no errors."""
        result = await self.execute(document, caller, **variables)
        assert result.errors is None
        assert result.data is not None
        return result.data

    async def refused(self, document: str, caller: Caller = ANYBODY, **variables: Any) -> dict[str, Any]:
        """The extensions of the only error of an operation."""
        result = await self.execute(document, caller, **variables)
        assert result.errors is not None
        (error,) = result.errors
        return dict(getattr(error.original_error, "extensions", None) or error.extensions or {})


@pytest.fixture
def api(schema: strawberry.Schema, services: Services) -> Api:
    """Ask the schema."""
    return Api(schema, services)


@pytest.fixture
async def app(client: Client, valkey: ValkeyServer, tmp_path: Path) -> AsyncGenerator[Shop]:
    """The application on an empty Redis and an empty database."""
    assert await client.execute("DBSIZE") == 0
    async with shop(valkey.url, tmp_path) as opened:
        yield opened
