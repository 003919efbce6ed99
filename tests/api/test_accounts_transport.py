"""How a token travels: header, connection_init, cookie; which of them counts; and where it never shows up."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import websockets
from starlette.datastructures import Headers

from graph.accounts.records import Role
from graph.api.auth.authenticator import ENDED
from graph.api.cookie import UNBELIEVED, SessionCookie
from graph.app import build_endpoint
from graph.leaderboard.records import NewBoard
from graph.settings import AccountSettings, EndpointSettings, RateLimitSettings, ServerSettings, Settings
from harness.valkey import ValkeyServer
from harness.waiting import within
from tests.support.apps.accounts import CHANGE, LOGIN, PASSWORD, REGISTER, VIEWER, Shop, shop
from tests.support.apps.serving import serving
from tests.support.engines.dumps import dump

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from graph.patterns.client import Client

OWN = {"Origin": "http://test"}
LOGOUT = "mutation { logout }"


# --- the header ---


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_header_signs_in(app: Shop, scheme: str) -> None:
    """``Authorization: Bearer <token>``, the scheme in any case."""
    token = (await app.register("ann@example.org"))["token"]
    assert await app.viewer(headers={"Authorization": f"{scheme} {token}"}) is not None


async def test_a_bad_token_is_an_anonymous_caller_and_told_so(app: Shop) -> None:
    """Reused after its end, cut, flipped, of another scheme or twice: public fields answer, the viewer's do not."""
    token = (await app.register("ann@example.org"))["token"]
    ended = (await app.login("ann@example.org"))["token"]
    await app.ask(LOGOUT, token=ended)
    bad: list[Any] = [
        {"Authorization": f"Bearer {ended}"},
        {"Authorization": f"Bearer {token[:-1]}"},
        {"Authorization": f"Bearer {token[:-1]}{chr(ord(token[-1]) ^ 1)}"},
        {"Authorization": "Bearer "},
        {"Authorization": ""},
        {"Authorization": token},
        {"Authorization": f"Basic {token}"},
        {"Authorization": f"Bearer {token} {token}"},
        {"Authorization": "Bearer " + "x" * 20_000},
        [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")],
        [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer x")],
    ]
    for headers in bad:
        assert (await app.ask("{ categories { id } }", headers=headers))["categories"] == []
        answer = await app.post(VIEWER, headers=headers)
        assert answer.status_code < 500
        assert answer.json()["data"] == {"viewer": None}
        assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["UNAUTHENTICATED"]
        assert token not in answer.text
        assert await app.codes("mutation { logoutEverywhere }", headers=headers) == ["UNAUTHENTICATED"]
    assert (await app.ask(VIEWER))["viewer"] is None
    assert await app.viewer(token) is not None


# --- the cookie ---


async def test_login_sets_a_cookie_that_scripts_cannot_read(app: Shop) -> None:
    """After a login the browser is signed in by itself, and after a logout no longer."""
    answer = await app.post(REGISTER, email="ann@example.org", password=PASSWORD, name="Ann")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("session=")
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert "path=/" in cookie.lower()
    assert "Max-Age=2592000" in cookie
    assert (await app.ask(VIEWER, headers=OWN))["viewer"]["user"]["email"] == "ann@example.org"
    gone = await app.post(LOGOUT, headers=OWN)
    assert gone.json()["data"] == {"logout": True}
    assert 'session=""' in gone.headers["set-cookie"]
    assert list(app.web.cookies) == ["device"]  # by which alone nobody is signed in
    again = await app.post(LOGIN, email="ann@example.org", password=PASSWORD)
    assert again.headers["set-cookie"].startswith("session=")


async def test_where_tls_is_on_the_cookie_is_bound_to_the_host(
    client: Client, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """It is Secure and called ``__Host-session``, and a cookie of the plain name is not looked at."""
    assert await client.execute("DBSIZE") == 0
    async with shop(valkey.url, tmp_path, accounts=AccountSettings(secure_cookie=True)) as app:
        answer = await app.post(REGISTER, email="ann@example.org", password=PASSWORD, name="Ann")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-session=")
        assert "Secure" in cookie
        assert "Domain" not in cookie
        token = answer.json()["data"]["register"]["token"]
        safe = {"Origin": "https://test"}
        assert await app.viewer(headers={"Cookie": f"__Host-session={token}", **safe}) is not None
        assert await app.codes(VIEWER, headers={"Cookie": f"__Host-session={token}", **OWN}) == ["UNAUTHENTICATED"]
        app.web.cookies.clear()
        assert await app.viewer(headers={"Cookie": f"session={token}", **safe}) is None


async def test_a_login_ends_the_session_that_it_replaces(app: Shop) -> None:
    """A browser that signs in again has one session, whoever signs in; one that came by the header is left alone."""
    first = (await app.ask(LOGIN, email=await _made(app, "ann@example.org"), password=PASSWORD, headers=OWN))["login"]
    await _made(app, "bob@example.org")
    app.web.cookies.set("session", first["token"])
    second = (await app.ask(LOGIN, email="bob@example.org", password=PASSWORD, headers=OWN))["login"]
    assert await app.codes(VIEWER, token=first["token"], headers={"Cookie": ""}) == ["UNAUTHENTICATED"]
    third = (await app.ask(LOGIN, email="ann@example.org", password=PASSWORD, headers={"Origin": "http://evil"}))[
        "login"
    ]
    app.web.cookies.clear()
    fourth = await app.login("ann@example.org", token=third["token"])
    for kept in (second, third, fourth):
        assert await app.viewer(kept["token"]) is not None


async def _made(app: Shop, email: str) -> str:
    """Register; what is left is the account."""
    await app.register(email)
    return email


async def test_the_header_wins_over_the_cookie(app: Shop) -> None:
    """Where both are sent the header alone decides, even a bad one."""
    ann, bob = (await app.register("ann@example.org"))["token"], (await app.register("bob@example.org"))["token"]
    cookie = {"Cookie": f"session={ann}", **OWN}
    assert (await app.viewer(bob, headers=cookie))["user"]["email"] == "bob@example.org"
    assert (await app.viewer(headers=cookie))["user"]["email"] == "ann@example.org"
    assert await app.codes(VIEWER, token="nonsense", headers=cookie) == ["UNAUTHENTICATED"]


async def test_a_bad_cookie_is_told_like_a_bad_header(app: Shop) -> None:
    """A cookie whose session has ended makes an anonymous caller."""
    for value in ("nonsense", "1." + "A" * 43, '"', "%00", "a=b=c"):
        headers = {"Cookie": f"session={value}", **OWN}
        assert (await app.ask("{ categories { id } }", headers=headers))["categories"] == []
        assert await app.codes(VIEWER, headers=headers) == ["UNAUTHENTICATED"]


ORIGINS: list[tuple[dict[str, str], bool]] = [
    ({"origin": "http://test"}, True),
    ({"origin": "https://test"}, True),  # TLS may end in front of this server; ports are then both the default
    ({"origin": "http://test:80"}, True),
    ({"origin": "http://TEST"}, True),
    ({"origin": "https://shop.example"}, True),
    ({"origin": "http://test:8080"}, False),
    ({"origin": "http://evil.example"}, False),
    ({"origin": "http://test.evil.example"}, False),
    ({"origin": "http://eviltest"}, False),
    ({"origin": "null"}, False),
    ({"origin": ""}, False),
    ({"origin": "file://test"}, False),
    ({"origin": "http://[broken"}, False),
    ({"origin": "http://test:port"}, False),
    ({}, True),
    ({"sec-fetch-site": "same-origin"}, True),
    ({"sec-fetch-site": "none"}, True),
    ({"sec-fetch-site": "cross-site"}, False),
    ({"sec-fetch-site": "same-site"}, False),
    ({"sec-websocket-key": "x"}, False),
    ({"sec-websocket-key": "x", "origin": "http://test"}, True),
    ({"sec-websocket-key": "x", "origin": "http://evil.example"}, False),
    # Behind a proxy that rewrites Host: what the browser says of itself counts.
    ({"sec-fetch-site": "same-origin", "origin": "http://localhost:5173"}, True),
    ({"sec-fetch-site": "same-origin", "origin": "http://localhost:5173", "sec-websocket-key": "x"}, True),
    ({"sec-fetch-site": "cross-site", "origin": "http://test"}, False),
    ({"sec-fetch-site": "same-site", "origin": "http://test"}, False),
    ({"sec-fetch-site": "cross-site", "origin": "https://shop.example"}, True),
    ({"sec-fetch-site": "none", "origin": "http://evil.example"}, False),
]


@pytest.mark.parametrize(("headers", "counts"), ORIGINS)
def test_the_cookie_counts_only_from_our_own_pages(headers: dict[str, str], counts: bool) -> None:  # noqa: FBT001 - a table
    """The origin decides whether a cookie is looked at; a socket without one is no browser's."""
    cookie = SessionCookie(origins=["https://Shop.example/"])
    read = cookie.read(Headers({"cookie": "a=b; session=token", "host": "test", **headers}))
    assert read == ("token" if counts else UNBELIEVED)


def test_two_origins_are_none() -> None:
    """A request that names two origins is nobody's page."""
    safe = SessionCookie(secure=True, origins=["http://shop.example", "http://localhost:5173", "https://shop.example"])
    for origin, host, believed in (
        ("http://test", "test", False),
        ("https://test", "test", True),
        ("http://shop.example", "test", False),
        ("https://shop.example", "test", True),
        ("http://localhost:5173", "test", True),
        ("null", "test", False),
    ):
        page = Headers({"cookie": "__Host-session=token", "host": host, "origin": origin})
        assert (safe.read(page) == "token") is believed, origin
    raw = [(b"cookie", b"session=token"), (b"host", b"test"), (b"origin", b"http://test"), (b"origin", b"http://test")]
    assert SessionCookie().read(Headers(raw=raw)) == UNBELIEVED
    twice = [(b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"cross-site"), *raw]
    assert SessionCookie().read(Headers(raw=twice)) == UNBELIEVED


async def test_a_cookie_that_is_not_believed_is_told_of(app: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """The viewer's fields say why nobody is signed in, public ones answer, and the log hears of it once a minute."""
    token = (await app.register("ann@example.org"))["token"]
    behind = {"Cookie": f"session={token}", "Origin": "http://localhost:5173"}
    for _ in range(3):
        answer = (await app.post(VIEWER, headers=behind)).json()
        assert answer["data"] == {"viewer": None}
        assert answer["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED", "reason": "COOKIE_NOT_BELIEVED"}
        assert "X-Forwarded-Host" in answer["errors"][0]["message"]
        assert (await app.ask("{ categories { id } }", headers=behind))["categories"] == []
    told = [record.getMessage() for record in caplog.records if "was not believed" in record.getMessage()]
    assert len(told) == 1
    assert "localhost:5173" in told[0]
    assert token not in told[0]
    ended = (await app.post("mutation { logout }", headers=behind)).json()  # the session goes on: it must not say "out"
    assert ended["errors"][0]["extensions"]["reason"] == "COOKIE_NOT_BELIEVED"
    assert await app.viewer(headers=behind | {"Sec-Fetch-Site": "same-origin"}) is not None


# --- sockets ---


class Socket:
    """One graphql-transport-ws connection."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self.connection = connection

    async def start(self, payload: Any = None) -> None:
        """Initialise it."""
        message = {"type": "connection_init", **({} if payload is None else {"payload": payload})}
        await self.connection.send(json.dumps(message))
        assert json.loads(await self.connection.recv())["type"] == "connection_ack"

    async def ask(self, query: str) -> Any:
        """Run one operation and give its result."""
        await self.connection.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": query}}))
        message: dict[str, Any] = {}
        while message.get("type") not in {"next", "error"} or message.get("id") != "1":
            message = json.loads(await self.connection.recv())
        return message["payload"]

    async def subscribe(self, query: str) -> None:
        """Start an operation that goes on."""
        await self.connection.send(json.dumps({"type": "subscribe", "id": "on", "payload": {"query": query}}))

    async def close_code(self) -> int | None:
        """Wait until the server closes."""
        async with within("the server to close the socket"):
            await self.connection.wait_closed()
        return self.connection.close_code


@pytest.fixture
async def port(app: Shop, tmp_path: Path) -> AsyncGenerator[int]:
    """The port of the same application, served with its sockets."""
    settings = Settings(
        server=ServerSettings(data_dir=tmp_path),
        rate_limit=RateLimitSettings(anonymous=1_000_000, authenticated=1_000_000),
        endpoint=EndpointSettings(cors_origins="https://shop.example"),
    )
    async with build_endpoint(app.services, settings) as endpoint, serving(endpoint) as opened:
        yield opened


def connect(port: int, **headers: str) -> websockets.connect:
    """Open a socket as a browser would, with these headers."""
    return websockets.connect(
        f"ws://127.0.0.1:{port}/graphql",
        subprotocols=[websockets.Subprotocol("graphql-transport-ws")],
        additional_headers=headers,
    )


async def test_sockets_sign_in_by_payload_header_or_cookie(app: Shop, port: int) -> None:
    """The connection_init payload signs in; so do header and cookie; a foreign page's cookie does not."""
    token = (await app.register("ann@example.org"))["token"]
    own = f"http://127.0.0.1:{port}"
    cases: list[tuple[dict[str, str], Any, str | None]] = [
        ({}, {"authorization": f"Bearer {token}"}, "ann@example.org"),
        ({}, {"Authorization": f"Bearer {token}"}, "ann@example.org"),
        ({"Authorization": f"Bearer {token}"}, None, "ann@example.org"),
        ({"Cookie": f"session={token}", "Origin": own}, None, "ann@example.org"),
        ({"Cookie": f"session={token}", "Origin": "https://shop.example"}, {}, "ann@example.org"),
        ({"Cookie": f"session={token}", "Origin": "http://evil.example"}, None, None),
        ({"Cookie": f"session={token}"}, None, None),
        ({}, None, None),
    ]
    for headers, payload, expected in cases:
        async with connect(port, **headers) as connection:
            socket = Socket(connection)
            await socket.start(payload)
            viewer = (await socket.ask("{ viewer { user { email } } }"))["data"]["viewer"]
            assert (viewer and viewer["user"]["email"]) == expected, (headers, payload)


async def test_an_ended_session_closes_its_sockets(app: Shop, port: int) -> None:
    """Ending a session from anywhere closes its sockets (4403), and what runs on them, within a second."""
    ann, bob = (await app.register("ann@example.org"))["token"], (await app.register("bob@example.org"))["token"]
    async with connect(port) as one, connect(port) as two, connect(port) as three:
        sockets = [Socket(one), Socket(two), Socket(three)]
        for socket, token in zip(sockets, (ann, ann, bob), strict=True):
            await socket.start({"authorization": f"Bearer {token}"})
            assert (await socket.ask("{ viewer { user { id } } }"))["data"]["viewer"]
            await socket.subscribe("subscription { productChanged { cursor } }")
        loop = asyncio.get_running_loop()
        assert (await app.ask("mutation { logoutEverywhere }", token=ann))["logoutEverywhere"] == 1
        acknowledged = loop.time()
        assert [await sockets[0].close_code(), await sockets[1].close_code()] == [4403, 4403]
        assert loop.time() - acknowledged < 1.0
        assert (await sockets[2].ask("{ viewer { user { id } } }"))["data"]["viewer"]


async def test_an_ended_token_is_told_on_subscriptions_too(app: Shop, port: int) -> None:
    """A subscription that needs a viewer says that the session has ended, over each transport, however often."""
    await app.services.leaderboards.create_board(NewBoard("b", "Board"))
    token = (await app.register("ann@example.org"))["token"]
    await app.ask(LOGOUT, token=token)
    mine = 'subscription { myRankChanged(board: "b", range: 1) { previousRank } }'
    expected = {"code": "UNAUTHENTICATED", "reason": "SESSION_ENDED"}
    async with connect(port) as connection:
        socket = Socket(connection)
        await socket.start({"authorization": f"Bearer {token}"})
        for _ in range(2):
            (error,) = await socket.ask(mine)
            assert error["message"] == ENDED
            assert error["extensions"] == expected
    async with connect(port) as connection:
        socket = Socket(connection)
        await socket.start()
        (error,) = await socket.ask(mine)
        assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    events = await app.web.post(
        "/graphql", json={"query": mine}, headers={"Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
    )
    assert json.dumps(ENDED) in events.text


# --- secrets stay secret ---


def _files(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())


async def test_no_token_and_no_password_is_stored_or_logged(
    app: Shop, client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After a day's work neither Redis, nor the database's files, nor any log line holds what signs anybody in."""
    caplog.set_level(logging.DEBUG)
    new = "another long phrase"
    await app.services.accounts.add("root@example.org", PASSWORD, "Root", Role.ADMIN)
    tokens = [(await app.register("ann@example.org"))["token"], (await app.login("ann@example.org"))["token"]]
    await app.login("ann@example.org", "a wrong guess")
    await app.viewer(tokens[0])
    await app.post(CHANGE, token=tokens[1], current=PASSWORD, new=new)
    await app.post("{ nonsense(", token=tokens[1])
    await app.codes(VIEWER, token=tokens[0])
    held = await dump(client) + _files(tmp_path) + caplog.text.encode()
    assert b"ann@example.org" in held
    for secret in (*tokens, *(token.partition(".")[2] for token in tokens), PASSWORD, new, "a wrong guess"):
        assert secret.encode() not in held


async def test_without_redis_nobody_is_let_in(tmp_path: Path) -> None:
    """While Redis is away sign-in and session checks answer UNAVAILABLE, and work again when it is back."""
    with ValkeyServer(aof=True) as server:
        async with shop(server.url, tmp_path) as app:
            token = (await app.register("ann@example.org"))["token"]
            await app.ask("mutation { logoutEverywhere(keepCurrent: true) }", token=token)
            server.kill()
            for query, variables in ((VIEWER, {}), (LOGIN, {"email": "ann@example.org", "password": PASSWORD})):
                answer = await app.post(query, token=token, **variables)
                assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["UNAVAILABLE"]
                assert answer.status_code in {200, 503}
            server.start()
            async with within("sessions to be known again"):
                while await app.codes(VIEWER, token=token):
                    await asyncio.sleep(0.05)
            assert await app.viewer(token) is not None
