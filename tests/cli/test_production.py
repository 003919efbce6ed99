"""GRAPH_ENV=production: what is off by itself, and what it does not start with."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import httpx
import pytest

from graph.app import create_app
from graph.cli.listening import unsafe
from graph.engines.database import migrate
from graph.services import open_services
from graph.settings import Settings
from harness.waiting import until
from tests.support.apps.lifespan import Lifespan
from tests.support.processes.fork_server import command

if TYPE_CHECKING:
    from pathlib import Path

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

BEHIND = {"GRAPH_TRUSTED_PROXIES": "10.0.0.0/8", "GRAPH_ACCOUNTS_SECURE_COOKIE": "true"}
SAFE: list[dict[str, str]] = [
    BEHIND,
    BEHIND | {"GRAPH_CORS_ORIGINS": "https://shop.example, https://admin.example"},
    BEHIND | {"GRAPH_REDIS_URL": "redis://:secret@redis.internal:6379"},
    BEHIND | {"GRAPH_REDIS_URL": "rediss://redis.internal"},
    BEHIND | {"GRAPH_REDIS_URL": "redis://localhost:6379"},
    BEHIND | {"GRAPH_REDIS_URL": "redis+sentinel://user:secret@a:1,b:2/main"},
    BEHIND | {"GRAPH_DATABASE_URL": "postgresql+asyncpg://user:secret@db.internal/shop"},
    BEHIND | {"GRAPH_DATABASE_URL": "postgresql+asyncpg://user@db.internal/shop?sslmode=verify-full"},
]
UNSAFE: list[tuple[dict[str, str], str]] = [
    ({}, "Nobody ends TLS"),
    ({"GRAPH_TRUSTED_PROXIES": "10.0.0.1"}, "GRAPH_ACCOUNTS_SECURE_COOKIE=true"),
    ({"GRAPH_ACCOUNTS_SECURE_COOKIE": "true"}, "GRAPH_TRUSTED_PROXIES"),
    (BEHIND | {"GRAPH_TRUSTED_PROXIES": "*"}, "which address they have"),
    (BEHIND | {"GRAPH_TRUSTED_PROXIES": "10.0.0.1, 0.0.0.0/0"}, "which address they have"),
    (BEHIND | {"GRAPH_TRUSTED_PROXIES": "::/0"}, "which address they have"),
    (BEHIND | {"GRAPH_CORS_ORIGINS": "*"}, "every page"),
    (BEHIND | {"GRAPH_CORS_ORIGINS": "https://a.example,http://b.example"}, "http://b.example"),
    (BEHIND | {"GRAPH_DEBUG": "true"}, "GRAPH_DEBUG"),
    (BEHIND | {"GRAPH_REDIS_URL": "redis://redis.internal:6379"}, "GRAPH_REDIS_URL"),
    (BEHIND | {"GRAPH_REDIS_URL": "redis+cluster://a:1,b:2"}, "GRAPH_REDIS_URL"),
    (BEHIND | {"GRAPH_DATABASE_URL": "postgresql+asyncpg://user@db.internal/shop"}, "GRAPH_DATABASE_URL"),
]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Production, on a directory of its own."""
    (tmp_path / "data").mkdir(mode=0o700)
    monkeypatch.setenv("GRAPH_ENV", "production")
    monkeypatch.setenv("GRAPH_DATA_DIR", str(tmp_path / "data"))
    return monkeypatch


@pytest.mark.parametrize("given", SAFE)
def test_what_is_safe_starts(environment: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    """TLS at a proxy that is named, stores that ask for a password or show a certificate."""
    for name, value in given.items():
        environment.setenv(name, value)
    assert list(unsafe(Settings.from_environment())) == []


@pytest.mark.parametrize(("given", "why"), UNSAFE)
def test_what_is_unsafe_is_told_in_a_sentence(environment: pytest.MonkeyPatch, given: dict[str, str], why: str) -> None:
    """One for each, and no other."""
    for name, value in given.items():
        environment.setenv(name, value)
    (sentence,) = unsafe(Settings.from_environment())
    assert why in sentence


def test_files_that_others_may_read_are_unsafe(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The directory, the database, and the key of the certificate."""
    key = tmp_path / "key.pem"
    key.write_text("key")
    key.chmod(0o644)
    for name, value in (BEHIND | {"GRAPH_TLS_CERTIFICATE": str(key), "GRAPH_TLS_KEY": str(key)}).items():
        environment.setenv(name, value)
    (tmp_path / "data").chmod(0o755)
    (tmp_path / "data" / "graph.db").touch()
    (tmp_path / "data" / "graph.db").chmod(0o644)  # whatever the umask is
    found = list(unsafe(Settings.from_environment()))
    assert len(found) == 3
    assert all("chmod o-rwx" in one for one in found)


def test_the_command_ends_with_all_of_it(tmp_path: Path) -> None:
    """Before it opens a socket, a database or a Valkey."""
    done = command(tmp_path / "data", "serve", GRAPH_ENV="production", GRAPH_DEBUG="true")
    assert done.returncode == 1
    assert "Nobody ends TLS" in done.stderr
    assert "GRAPH_DEBUG" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


async def test_introspection_and_graphiql_are_off_unless_they_are_set(
    environment: pytest.MonkeyPatch, valkey: ValkeyServer, client: Client
) -> None:
    """A browser gets JSON, and nobody the schema; what is set on purpose counts."""
    assert client
    environment.setenv("GRAPH_REDIS_URL", valkey.url)
    await migrate(Settings.from_environment().database_url)
    for on in (False, True):
        if on:
            environment.setenv("GRAPH_INTROSPECTION", "true")
            environment.setenv("GRAPH_GRAPHIQL", "true")
        settings = Settings.from_environment()
        for name, value in settings.environment().items():  # as a worker process reads it
            environment.setenv(name, value)
        assert Settings.from_environment().endpoint == settings.endpoint
        async with (
            Lifespan(create_app(settings)) as manager,
            httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://test") as web,
        ):
            asked = await web.post("/graphql", json={"query": "{ __schema { types { name } } }"})
            assert ("data" in asked.json()) is on
            page = await web.get("/graphql", headers={"Accept": "text/html"})
            assert page.status_code == (200 if on else 406)
            assert page.headers["content-type"].startswith("text/html" if on else "application/json")


async def test_no_token_gets_into_the_log(
    environment: pytest.MonkeyPatch, valkey: ValkeyServer, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no mail server is named a message is not sent, which the log tells, without what is in it."""
    assert client
    environment.setenv("GRAPH_REDIS_URL", valkey.url)
    settings = Settings.from_environment()
    await migrate(settings.database_url)
    caplog.set_level(logging.INFO)
    async with open_services(settings) as services:
        assert await services.accounts.add_first_admin("admin@example.org", "Admin") is not None
        services.recovery._retry = 0.01
        await services.recovery.request_reset("admin@example.org", "192.0.2.1")
        await until(lambda: "no GRAPH_MAIL_URL is set" in caplog.text)
    assert "a message to a user was not sent" in caplog.text
    assert "Token" not in caplog.text
