"""Browsers and clients through nginx, Caddy and Vite, as docs/proxies.md configures them and as they come."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from harness.serving import Serving
from harness.waiting import HANG
from tests.conformance.proxies import BLOCKS, caddy, nginx, vite

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
LIMITS = {"GRAPH_RATE_LIMIT_ANONYMOUS": "100000", "GRAPH_RATE_LIMIT_AUTHENTICATED": "100000"}
EMAIL = "admin@example.com"
SITES = ["nginx", "nginx under a prefix", "Caddy", "Caddy under a prefix"]
LARGE = {"large": [413, "PAYLOAD_TOO_LARGE"]}
ALL_WELL: dict[str, Any] = {
    "failures": [],
    "errors": [],
    "page": "graphql",
    "graphiql": ["data"],
    "login": "AuthPayload",
    "viewer": dict.fromkeys(("post", "get", "socket", "events"), EMAIL),
    "followed": dict.fromkeys(("socket", "events", "persisted"), True),
    "events": "each change once",
    "persisted": "each change once",
    **LARGE,
}
WITHOUT_SOCKETS = ALL_WELL | {
    "viewer": ALL_WELL["viewer"] | {"socket": '"no WebSocket"'},
    "followed": {"events": True, "persisted": True},
}


class Shop(NamedTuple):
    """A server, with what the scripts have to know of it."""

    server: Serving
    variables: dict[str, str]


def shop(server: Serving) -> Shop:
    """A server that has started, its first admin signed in."""
    _, password, _ = server.ready().admin()
    login = "mutation ($input: LoginInput!) { login(input: $input) { ... on AuthPayload { token } } }"
    signed_in = server.query(login, input={"email": EMAIL, "password": password})
    page = server.query("{ products(first: 1) { nodes { id } } }")
    variables = {
        "DIRECT": f"{server.url}/graphql",
        "EMAIL": EMAIL,
        "PASSWORD": password,
        "TOKEN": signed_in["data"]["login"]["token"],
        "PRODUCT": page["data"]["products"]["nodes"][0]["id"],
    }
    return Shop(server, variables)


@pytest.fixture(scope="module")
def believing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """`graph serve` with the proxies named, as the page says."""
    with Serving(tmp_path_factory.mktemp("believing"), GRAPH_TRUSTED_PROXIES="127.0.0.1", **LIMITS) as server:
        yield shop(server)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """`graph serve` as it comes."""
    with Serving(tmp_path_factory.mktemp("plain"), **LIMITS) as server:
        yield shop(server)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, believing: Shop, plain: Shop) -> Iterator[dict[str, str]]:
    """The addresses of all sites."""
    folder, ports = tmp_path_factory.mktemp("proxies"), (believing.server.port, plain.server.port)
    with nginx(folder / "nginx", *ports) as some, caddy(folder / "caddy", *ports) as others:
        yield some | others


def browse(shop: Shop, address: str, host: str, start: str = "") -> dict[str, Any]:
    """What a browser saw."""
    command = ["node", "browser.mjs", address, host]
    variables = {**os.environ, **shop.variables, "START": start}
    done = subprocess.run(command, cwd=HERE, env=variables, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_configuration_of_the_page_is_tried() -> None:
    """The blocks of docs/proxies.md are those that the proxies here run by."""
    assert set(BLOCKS) == {"graph.conf", "prefix.conf", "Caddyfile", "Caddyfile.prefix", "vite.config.js"}


@pytest.mark.usefixtures("node_modules")
def test_a_browser_needs_no_proxy(plain: Shop) -> None:
    """Directly: GraphiQL, sign-in by cookie, WebSocket, EventSource that resumes, 413 for 50 MB."""
    assert browse(plain, f"{plain.server.url}/", "127.0.0.1") == ALL_WELL


@pytest.mark.usefixtures("node_modules")
@pytest.mark.parametrize("name", SITES)
def test_a_browser_behind_a_proxy(sites: dict[str, str], believing: Shop, name: str) -> None:
    """All of that works through the page's configurations, by a name for which browsers send no Sec-Fetch-Site."""
    assert browse(believing, sites[name], "shop.example") == ALL_WELL


@pytest.mark.parametrize("name", SITES)
def test_metrics_are_for_the_inside(sites: dict[str, str], name: str) -> None:
    """The page's configurations pass nobody on to them, and everything else, health among it."""
    found: dict[str, int] = {}
    for path in ("metrics", "healthz"):
        try:
            with urllib.request.urlopen(sites[name] + path, timeout=HANG) as answer:
                found[path] = answer.status
        except urllib.error.HTTPError as error:
            found[path] = error.code
    assert found == {"metrics": 404, "healthz": 200}


@pytest.mark.usefixtures("node_modules")
def test_a_browser_behind_caddy_as_it_comes(sites: dict[str, str], plain: Shop) -> None:
    """One line of Caddy is enough, and no setting here."""
    assert browse(plain, sites["Caddy, one line"], "shop.example") == ALL_WELL


@pytest.mark.usefixtures("node_modules")
def test_a_browser_behind_a_bare_proxy_pass(sites: dict[str, str], plain: Shop) -> None:
    """The shortest nginx does all but WebSockets and bodies above its own bound; the cookie counts on localhost."""
    seen = browse(plain, sites["nginx, a bare proxy_pass"], "127.0.0.1")
    assert seen == WITHOUT_SOCKETS | {"large": [413, "no JSON"]}


@pytest.mark.usefixtures("node_modules")
def test_a_browser_behind_vite(plain: Shop, tmp_path: Path) -> None:
    """Its proxy does that by the page's configuration; where it rewrites Host, a WebSocket's cookie does not count.

    It does not pass on an answer that comes while the client still sends, so 50 MB are not tried.
    """
    with vite(tmp_path / "vite", plain.server.port, HERE / "node_modules") as addresses:
        seen = browse(plain, addresses["Vite"], "127.0.0.1", "graphql")
        assert seen | LARGE == ALL_WELL
        seen = browse(plain, addresses["Vite, Host rewritten"], "127.0.0.1", "graphql")
        told = ALL_WELL["viewer"] | {"socket": "COOKIE_NOT_BELIEVED"}
        assert seen | LARGE == ALL_WELL | {"viewer": told}


@pytest.mark.usefixtures("node_modules")
def test_a_cookie_that_is_not_believed_is_told(sites: dict[str, str], plain: Shop) -> None:
    """By another name than localhost the bare proxy_pass loses the cookie, and every answer says why."""
    seen = browse(plain, sites["nginx, a bare proxy_pass"], "shop.example")
    assert seen["login"] == "AuthPayload"
    assert seen["viewer"]["post"] == "COOKIE_NOT_BELIEVED"
    assert seen["viewer"]["get"] == seen["viewer"]["events"] == EMAIL  # browsers name no Origin there


@pytest.mark.usefixtures("node_modules")
@pytest.mark.parametrize("name", SITES)
def test_clients_that_stream_work_behind_a_proxy(sites: dict[str, str], believing: Shop, name: str) -> None:
    """graphql-ws, graphql-sse, Apollo and urql do through each what they do without: the checks of streams.mjs."""
    command = ["node", "streams.mjs", f"{sites[name]}graphql"]
    variables = {**os.environ, **believing.variables}
    done = subprocess.run(command, cwd=HERE, env=variables, capture_output=True, text=True, timeout=300, check=False)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one for one in results if not one["ok"]] == [], done.stderr
    assert len(results) == 26
