"""The whole server in this process, on an embedded Valkey and an SQLite file of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from graph.app import create_app
from graph.engines.database import migrate
from graph.settings import RateLimitSettings, ServerSettings, Settings
from newproject.app import APP

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An HTTP client of it."""
    settings = Settings(
        server=ServerSettings(app="newproject.app:APP", data_dir=tmp_path_factory.mktemp("data")),
        rate_limit=RateLimitSettings(anonymous=10_000, authenticated=10_000),
    )
    asyncio.run(migrate(settings.database_url, more=APP.migrations))
    with TestClient(create_app(settings)) as opened:
        yield opened


@pytest.fixture(scope="session")
def token(client: TestClient) -> str:
    """The token of a user, for ``Authorization: Bearer``."""
    query = """mutation {
      register(input: {email: "ann@example.org", password: "correct horse battery", displayName: "Ann"}) {
        ... on AuthPayload { token }
      }
    }"""
    answer = client.post("/graphql", json={"query": query}).json()
    client.cookies.clear()
    token: str = answer["data"]["register"]["token"]
    return token
