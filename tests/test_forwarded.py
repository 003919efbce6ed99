"""What proxies say of a request, and the path prefix that they serve the server under."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from graph.app import create_app
from graph.endpoint.observe import AccessLog
from graph.server.forwarded import Forwarded
from graph.settings import RedisSettings, ServerSettings, Settings
from tests.support.apps.lifespan import Lifespan
from tests.support.engines.migrated import migrated

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

QUERY = {"query": "{ __typename }"}
ANSWER = {"data": {"__typename": "Query"}}


class Seen:
    """An application that keeps what it was asked."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = dict(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


async def seen(path: str, headers: Any, *, trusted: str = "127.0.0.1", root_path: str = "") -> dict[str, Any]:
    """The scope that the application gets for a GET of `path` from 127.0.0.1."""
    app = Seen()
    wrapped: ASGIApp = Forwarded(app, trusted, root_path)
    transport = httpx.ASGITransport(wrapped, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://inside") as web:
        await web.get(path, headers=headers)
    return app.scope | {"host": [value for name, value in app.scope["headers"] if name == b"host"]}


async def test_a_trusted_proxy_names_host_client_and_scheme() -> None:
    """Host, client and scheme are those that the browser saw; the first proxy's word counts where there are several."""
    headers = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "shop.example, inside",
        "X-Forwarded-Prefix": "/shop/",
    }
    scope = await seen("/graphql", headers)
    assert scope["host"] == [b"shop.example"]
    assert scope["client"] == ("192.0.2.1", 0)
    assert scope["scheme"] == "https"
    assert (scope["root_path"], scope["path"]) == ("/shop", "/shop/graphql")


async def test_nobody_else_is_believed() -> None:
    """From a peer that is not trusted they are headers like any other."""
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil", "X-Forwarded-For": "192.0.2.1"}
    for trusted in ("", "10.0.0.0/8"):
        scope = await seen("/graphql", headers, trusted=trusted)
        assert (scope["host"], scope["client"][0], scope["root_path"]) == ([b"inside"], "127.0.0.1", "")


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a:123456", "<x>", "user@host", "[::1", "ä.example"])
async def test_what_is_no_host_is_ignored(host: str) -> None:
    """A proxy that sends nonsense leaves Host as it was."""
    assert (await seen("/", [(b"x-forwarded-host", host.encode())]))["host"] == [b"inside"]


@pytest.mark.parametrize("prefix", ["shop", "//evil.example", "/a//b", "/a?b", "/../x y", "/%2e"])
async def test_what_is_no_prefix_is_ignored(prefix: str) -> None:
    """Nor does a prefix that is no path lead anywhere."""
    scope = await seen("/graphql", [(b"x-forwarded-prefix", prefix.encode())])
    assert (scope["root_path"], scope["path"]) == ("", "/graphql")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/graphql", "/shop/graphql"),
        ("/shop/graphql", "/shop/graphql"),
        ("/shop", "/shop/"),
        ("/", "/shop/"),
        ("/shopping", "/shop/shopping"),
    ],
)
async def test_the_path_begins_with_the_prefix(path: str, expected: str) -> None:
    """Whether or not the proxy took the prefix off."""
    assert (await seen(path, {}, root_path="/shop"))["path"] == expected


async def test_everything_works_under_a_prefix(valkey: ValkeyServer, client: Client, tmp_path: Path) -> None:
    """Endpoint, page, files, health and redirect, with the prefix taken off by the proxy and left on."""
    settings = Settings(server=ServerSettings(data_dir=tmp_path), redis=RedisSettings(url=valkey.url))
    migrated(tmp_path / "graph.db")
    lines: list[bytes] = []
    log = AccessLog(lines.append, style="json")
    async with Lifespan(create_app(settings, log=log)) as manager:
        app = Forwarded(manager.app, root_path="/shop")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as web:
            for root in ("", "/shop"):
                assert (await web.post(f"{root}/graphql", json=QUERY)).json() == ANSWER
                assert (await web.post(f"{root}/graphql/", json=QUERY)).json() == ANSWER
                assert (await web.get(f"{root}/static/icon.svg")).status_code == 200
                assert (await web.get(f"{root}/healthz")).json() == {"status": "ok"}
                assert (await web.get(f"{root}/")).headers["Location"] == "/shop/graphql"
                assert (await web.get(f"{root}/none")).json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"
            metrics = (await web.get("/metrics")).text
        log.flush()
    assert 'route="/graphql"' in metrics
    assert b"/shop/graphql" in b"".join(lines)
    assert b"healthz" not in b"".join(lines)
