"""The application around the endpoint: health, metrics, pages and their files, and its lifespan."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from typing import TYPE_CHECKING, Any, Literal

import httpx
import pytest
from graphql import parse, validate
from sqlalchemy import event, text
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from graph.api.leaderboard import BoardPage
from graph.api.schema import build_schema
from graph.app import STATIC, create_app
from graph.catalog.keys import CATEGORY_LIST
from graph.endpoint.observe import AccessLog
from graph.engines.database import PER_CALLER
from graph.leaderboard import NewBoard
from graph.patterns.fair_queue import Sharers, on_behalf_of
from graph.services import open_services
from graph.settings import BoundSettings, EndpointSettings, RedisSettings, ServerSettings, Settings
from harness.refusing import WAYS, refusing
from harness.subscriber import subscriber
from harness.valkey import ValkeyServer
from harness.waiting import until, within
from tests.support.apps.lifespan import Lifespan
from tests.support.apps.one_schema import schema_made_once
from tests.support.apps.serving import serving
from tests.support.engines.migrated import migrated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, MutableMapping
    from pathlib import Path

    from graph.patterns.client import Client

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}

FOREIGN = re.compile(rb"""(?:src|href)="(?:https?:)?//[^"]*|url\(\s*["']?(?:https?:)?//[^)]*|@import[^;]*""")
STYLES: tuple[tuple[Literal["text", "json"], bool], ...] = (("text", False), ("text", True), ("json", False))


@pytest.fixture(autouse=True)
def made_once() -> Iterator[None]:
    """What the application serves is not made anew for each test."""
    with schema_made_once():
        yield


@pytest.fixture
async def settings(valkey: ValkeyServer, client: Client, tmp_path: Path) -> Settings:
    """Settings for a migrated database and an empty Valkey, where no process on another database seems to live."""
    assert client
    chosen = Settings(server=ServerSettings(data_dir=tmp_path), redis=RedisSettings(url=valkey.url))
    migrated(tmp_path / "graph.db")
    return chosen


@pytest.fixture
async def web(settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the running application."""
    async with (
        Lifespan(create_app(settings)) as manager,
        httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://test") as client,
    ):
        yield client


async def test_it_answers_graphql(web: httpx.AsyncClient) -> None:
    """A query posted to /graphql is answered by the schema."""
    answer = await web.post("/graphql", json={"query": "{ __typename }"})
    assert (answer.status_code, answer.json()) == (200, {"data": {"__typename": "Query"}})


async def test_a_browser_gets_graphiql(web: httpx.AsyncClient) -> None:
    """Opened in a browser, /graphql is a page that may load from this origin only, and its files are all here."""
    page = await web.get("/graphql", headers=BROWSER)
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Vary"] == "Accept"
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == policy["script-src"] == "'self'"
    assert "http" not in page.headers["Content-Security-Policy"]
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) >= 3
    for link in links:
        assert link.startswith("./static/")
        assert (await web.get(link.removeprefix("."))).status_code == 200
    head = await web.head("/graphql", headers=BROWSER)
    assert (head.status_code, dict(head.headers)) == (200, dict(page.headers))
    below = await web.get("/graphql/", headers=BROWSER)
    assert re.findall(r'(?:src|href)="([^"]+)"', below.text) == [f".{link}" for link in links]


async def test_the_console_is_a_page_of_files_that_are_here(web: httpx.AsyncClient) -> None:
    """With and without a slash; from this origin alone, with no script and no style in the page; so are its modules."""
    page = await web.get("/console")
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Cache-Control"] == "no-cache"
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 4
    assert re.findall(r'(?:src|href)="([^"]+)"', (await web.get("/console/")).text) == [f".{link}" for link in links]
    for file in (*STATIC.glob("console/*"), *STATIC.glob("common/*")):
        served = await web.get(f"/static/{file.relative_to(STATIC)}")
        assert served.status_code == 200
        assert served.headers["Cache-Control"] == "no-cache"
        for module in re.findall(r"from '([^']+)'", served.text):
            assert (file.parent / module).is_file(), (file, module)
    assert (await web.head("/console")).status_code == 200
    assert (await web.post("/console")).status_code == 405


async def test_what_the_console_asks_is_in_the_schema() -> None:
    """Each operation in its modules is valid, and named so that metrics tell it from others."""
    schema = build_schema()._schema  # pyright: ignore[reportPrivateUsage]
    found = [
        document
        for file in STATIC.glob("console/*.js")
        for document in re.findall(r"""[`'](?=(?:query|mutation|subscription)\b)([^`']+)[`']""", file.read_text())
    ]
    assert len(found) >= 25
    for document in found:
        assert document.partition(" ")[2].startswith("Console"), document
        assert validate(schema, parse(document)) == [], document


async def test_the_console_may_be_left_out(settings: Settings) -> None:
    """GRAPH_CONSOLE=false serves none."""
    without = settings.model_copy(update={"endpoint": EndpointSettings(console=False)})
    async with (
        Lifespan(create_app(without)) as manager,
        httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://test") as client,
    ):
        assert (await client.get("/console")).status_code == 404


async def test_each_board_has_a_page(settings: Settings) -> None:
    """Of files that are here, from this origin alone; a board that there is not has a page that says so, with 404."""
    async with open_services(settings) as services, Lifespan(create_app(settings, services)) as manager:
        await services.leaderboards.create_board(NewBoard(slug="weekly-1", name="Weekly"))
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for path, status in (("weekly-1", 200), ("weekly", 404), ("%3Cb%3E", 404), ("%00", 404), ("é" * 99, 404)):
                page = await client.get(f"/board/{path}")
                assert (page.status_code, page.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
                policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
                assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
                assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
                assert ("There is no such leaderboard" in page.text) == (status == 404)
                below = await client.get(f"/board/{path}/")
                for level, html in ((1, page.text), (2, below.text)):
                    links = re.findall(r'(?:src|href)="([^"]+)"', html)
                    assert len(links) >= 3
                    for link in links:
                        assert link.startswith("../" * level + "static/")
                        assert (await client.get(f"/{link.removeprefix('../' * level)}")).status_code == 200
                assert (await client.head(f"/board/{path}")).status_code == status
            assert (await client.post("/board/weekly-1")).status_code == 405
            assert (await client.get("/board")).status_code == 404
        for file in STATIC.glob("board/*.js"):
            for module in re.findall(r"from '([^']+)'", file.read_text()):
                assert (file.parent / module).is_file(), (file, module)
        async with services.database.transaction() as session:
            await session.execute(text("ALTER TABLE boards RENAME TO elsewhere"))
        for boards in (services.leaderboards, None):  # no word about a board while SQL fails, nor before the start
            shown = await BoardPage(STATIC / "board").response({"type": "http", "path": "/board/x"}, "x", boards)
            assert shown.status_code == 503
            assert shown.headers["Retry-After"] == "5"
            assert b"not there just now" in shown.body


async def test_what_the_pages_of_boards_ask_is_in_the_schema() -> None:
    """Each operation is valid, and has a name for the metrics."""
    schema = build_schema()._schema  # pyright: ignore[reportPrivateUsage]
    found = re.findall(r"""[`'](query [^`']+)[`']""", (STATIC / "board/main.js").read_text())
    assert len(found) == 3
    for document in found:
        assert document.startswith("query Board"), document
        assert validate(schema, parse(document)) == [], document


async def test_graphiql_names_no_other_host() -> None:
    """Neither the pages nor their style sheets refer to an address elsewhere."""
    for file in STATIC.glob("*/*"):
        if file.suffix in {".html", ".css"}:
            found = re.findall(
                rb"(?:src|href)=\"https?:[^\"]*|url\(\s*[\"']?https?:[^)]*|@import[^;]*", file.read_bytes()
            )
            assert found == [], file.name


async def test_a_client_gets_no_page(web: httpx.AsyncClient) -> None:
    """A GET that does not ask for HTML is a GraphQL request."""
    answer = await web.get("/graphql", params={"query": "{ __typename }"}, headers={"X-Requested-With": "test"})
    assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        ("application/json, text/html;q=0.1", False),
        ("text/html;q=0, application/json", False),
        ("application/graphql-response+json, text/html", False),
        ("text/html, text/event-stream", False),
        ("TEXT/HTML", True),
        ("text/html, application/json;q=0.9", True),
    ],
)
async def test_the_page_is_for_those_who_prefer_it(web: httpx.AsyncClient, accept: str, page: bool) -> None:  # noqa: FBT001 - a table
    """A client that takes HTML as well, but not before its own types, gets its answer."""
    answer = await web.get("/graphql", params={"query": "{ __typename }"}, headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith("text/html") is page


async def test_a_slash_at_the_end_makes_no_difference(web: httpx.AsyncClient) -> None:
    """``/graphql/`` answers like ``/graphql``."""
    answer = await web.post("/graphql/", json={"query": "{ __typename }"})
    assert (answer.status_code, answer.json()) == (200, {"data": {"__typename": "Query"}})


async def test_every_other_answer_is_json_too(settings: Settings) -> None:
    """What is not there, is not done or is elsewhere: JSON with a code, readable for the pages that may ask."""
    chosen = settings.model_copy(update={"endpoint": EndpointSettings(cors_origins="https://shop.example")})
    async with (
        Lifespan(create_app(chosen)) as manager,
        httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://test") as web,
    ):
        for method, path, status, code in (
            ("GET", "/nothing", 404, "NOT_FOUND"),
            ("POST", "/nothing/at/all/", 404, "NOT_FOUND"),
            ("GET", "/static/none.js", 404, "NOT_FOUND"),
            ("GET", "/static", 404, "NOT_FOUND"),
            ("POST", "/healthz", 405, "METHOD_NOT_ALLOWED"),
            ("DELETE", "/static/icon.svg", 405, "METHOD_NOT_ALLOWED"),
            ("GET", "/", 307, "MOVED"),
        ):
            answer = await web.request(method, path, headers={"Origin": "https://shop.example"})
            assert (answer.status_code, answer.json()["errors"][0]["extensions"]) == (status, {"code": code}), path
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            foreign = await web.request(method, path, headers={"Origin": "https://evil.example"})
            assert "Access-Control-Allow-Origin" not in foreign.headers
            asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type"}
            allowed = await web.options(path, headers={"Origin": "https://shop.example", **asked})
            assert (allowed.status_code, allowed.content) == (204, b"")
            assert allowed.headers["Access-Control-Allow-Origin"] == "https://shop.example"
            assert allowed.headers["Access-Control-Allow-Headers"] == "content-type"
            refused = await web.options(path, headers={"Origin": "https://evil.example", **asked})
            assert "Access-Control-Allow-Origin" not in refused.headers
        assert (await web.get("/")).headers["Location"] == "graphql"


async def test_a_socket_elsewhere_is_told_where_to_go(settings: Settings) -> None:
    """A WebSocket at a wrong address is refused with 404 and the right one."""
    async with Lifespan(create_app(settings)) as manager, serving(manager.app) as port:
        for path in ("/", "/subscriptions", "/static/", "/graphql/more"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://127.0.0.1:{port}{path}")
            answer = refused.value.response
            assert answer.status_code == 404
            assert answer.body is not None
            assert json.loads(answer.body)["errors"][0]["message"] == "There is nothing here: GraphQL is at /graphql."


async def test_files_named_by_their_content_may_be_kept(web: httpx.AsyncClient) -> None:
    """A hashed file may be cached for ever, the page must be asked for again."""
    script = next(STATIC.glob("graphiql/graphiql-*.js")).name
    assert "immutable" in (await web.get(f"/static/graphiql/{script}")).headers["Cache-Control"]
    assert (await web.get("/graphql", headers=BROWSER)).headers["Cache-Control"] == "no-cache"
    assert (await web.get("/static/icon.svg")).headers["Cache-Control"] == "no-cache"


async def test_files_outside_are_not_served(web: httpx.AsyncClient) -> None:
    """The way out of the static folder is closed."""
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"):
        assert (await web.get(path)).status_code in {404, 405}


async def test_health_and_readiness(web: httpx.AsyncClient) -> None:
    """Both say ok while Redis and SQL answer."""
    assert (await web.get("/healthz")).json() == {"status": "ok"}
    ready = await web.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "sql": "ok", "redis": "ok"})


async def test_without_redis_it_is_ready_but_degraded(tmp_path: Path) -> None:
    """The catalog is served from SQL, so a balancer keeps the process; the body tells what is away."""
    with ValkeyServer() as valkey:
        settings = Settings(server=ServerSettings(data_dir=tmp_path), redis=RedisSettings(url=valkey.url))
        migrated(tmp_path / "graph.db")
        async with (
            Lifespan(create_app(settings)) as manager,
            httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://test") as web,
        ):
            valkey.kill()
            ready = await web.get("/readyz")
            assert (ready.status_code, ready.json()) == (200, {"status": "degraded", "sql": "ok", "redis": "away"})
            valkey.start()
            async with within("Redis to be back"):
                while (await web.get("/readyz")).json()["status"] != "ok":
                    await asyncio.sleep(0.02)


@pytest.mark.parametrize("way", WAYS)
async def test_a_redis_that_refuses_makes_no_error_but_unavailable(
    tmp_path: Path, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Pages are served, what needs Redis is UNAVAILABLE, readiness is degraded meanwhile; the log stays short."""
    with ValkeyServer() as valkey:
        settings = Settings(server=ServerSettings(data_dir=tmp_path), redis=RedisSettings(url=valkey.url))
        migrated(tmp_path / "graph.db")
        async with (
            Lifespan(create_app(settings)) as manager,
            httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://test") as web,
        ):

            async def ask(query: str) -> tuple[int, Any]:
                answer = await web.post("/graphql", json={"query": query})
                return answer.status_code, answer.json()

            caplog.clear()
            with refusing(valkey, way):
                for number in range(8):  # within the local budget of a stranger
                    status, page = await ask(f"{{products(first:{number + 1}){{nodes{{name}}}}}}")
                    assert (status, "errors" in page) == (200, False), page
                    status, answer = await ask(
                        f'mutation{{login(input:{{email:"a{number}@example.com",password:"no matter"}}){{__typename}}}}'
                    )
                    codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
                    assert codes <= {"UNAVAILABLE"}, answer
                    assert status in {200, 503}
                ready = (await web.get("/readyz")).json()
                assert ready == {"status": "degraded", "sql": "ok", "redis": "refuses"}
            if way != "NOPERM":  # told for a minute, because nobody asks for what was denied
                async with within("Redis to take everything again"):
                    while (await web.get("/readyz")).json()["status"] != "ok":
                        await asyncio.sleep(0.02)
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) <= 10, told


def _replace_by_a_folder(path: Path) -> None:
    path.rename(path.with_suffix(".gone"))
    while True:
        try:
            path.mkdir()
        except FileExistsError:  # whoever looks at the database in the background has made an empty one
            path.unlink()
        else:
            return


async def test_without_sql_it_is_not_ready(web: httpx.AsyncClient, settings: Settings) -> None:
    """A database that is gone takes the process out of the balancer, and nothing of the inside is told."""
    path = settings.database_path
    assert path is not None
    assert (await web.get("/readyz")).status_code == 200  # a connection is open now, which goes on in the old file
    await asyncio.to_thread(_replace_by_a_folder, path)
    for leftover in path.parent.glob("graph.db-*"):
        await asyncio.to_thread(leftover.unlink)
    ready = await web.get("/readyz")
    assert ready.status_code == 503
    assert ready.json() == {"status": "unavailable", "sql": "away", "redis": "ok"}
    assert (await web.get("/healthz")).status_code == 200


async def test_before_its_services_are_open_it_is_not_ready(settings: Settings) -> None:
    """A process that has not finished starting says so with 503."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(settings)), base_url="http://test") as web:
        assert (await web.get("/readyz")).status_code == 503


async def test_requests_are_counted_and_strangers_make_no_series(web: httpx.AsyncClient) -> None:
    """/metrics tells requests by route, method and status; unknown paths and methods share one label."""
    await web.post("/graphql", json={"query": "{ __typename }"})
    for n in range(3):
        await web.request(f"BREW{n}", f"/nowhere/{n}")
    metrics = (await web.get("/metrics")).text
    assert re.search(r'graph_http_requests_total\{method="POST",route="/graphql",status="200"\} [1-9]', metrics)
    assert re.search(r'graph_http_requests_total\{method="other",route="other",status="40\d"\} [3-9]', metrics)
    assert "nowhere" not in metrics
    assert "BREW" not in metrics
    assert 'graph_http_request_seconds_bucket{le="0.001",route="/graphql"}' in metrics


async def test_given_services_are_used_and_left_open(settings: Settings) -> None:
    """The lifespan opens none beside those it was given, and closes only what it opened."""
    async with open_services(settings) as services:
        observed: Any = create_app(settings, services)
        async with Lifespan(observed):
            assert observed._app.web.state.services is services
        assert await services.client.execute("PING") in (b"PONG", "PONG")


async def test_the_settings_bound_a_connection(settings: Settings) -> None:
    """GRAPH_MAX_OPERATIONS and GRAPH_MAX_BODY hold on a WebSocket of the whole application."""
    bounds = BoundSettings(operations=2, body=1000)
    app = create_app(settings.model_copy(update={"bounds": bounds}))
    async with Lifespan(app) as manager, serving(manager.app) as port, subscriber(port) as socket:
        for _ in range(2):
            await socket.follow("subscription { productChanged { kind } }")
        refused = await socket.follow("{ __typename }")
        assert await refused.refused() == "TOO_MANY_OPERATIONS"
        await socket.follow("{ __typename }" + " " * 1000)
        assert await socket.closed() == 1009


async def test_a_lifespan_that_is_cancelled_has_not_failed(settings: Settings) -> None:
    """As servers do after a second Ctrl-C: everything is closed, and nothing is there to log."""
    told: list[str] = []
    asked = iter(["lifespan.startup"])

    async def receive() -> dict[str, str]:
        for kind in asked:
            return {"type": kind}
        return await asyncio.Future[dict[str, str]]()

    async def send(message: MutableMapping[str, Any]) -> None:
        told.append(message["type"])

    async def run() -> None:
        await create_app(settings)({"type": "lifespan", "state": {}}, receive, send)

    running = asyncio.create_task(run())
    await until(lambda: told)
    running.cancel()
    async with within("the application to close"):
        await asyncio.wait([running])
    assert running.cancelled()
    assert told == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_nothing_is_left_running(settings: Settings) -> None:
    """After the lifespan no task of the application lives on."""
    before = asyncio.all_tasks()
    async with Lifespan(create_app(settings)):
        pass
    assert asyncio.all_tasks() <= before


async def test_the_access_log_takes_no_forged_line(settings: Settings) -> None:
    """A path with a line break and terminal codes stays one harmless line; the query string is not in it."""
    for style, color in STYLES:
        written: list[bytes] = []
        log = AccessLog(written.append, style=style, color=color)
        async with (
            Lifespan(create_app(settings, log=log)) as manager,
            httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://test") as web,
        ):
            await web.get("/a%0a20:00:00%20%20200%1b[2J%7f?token=secret")
        text = b"".join(written)
        assert text.count(b"\n") == 1
        assert b"\x1b[2J" not in text
        assert b"secret" not in text
        assert b"404" in text


async def test_the_access_log_names_the_operation(settings: Settings) -> None:
    """A line carries the operation's name, and neither its variables nor what it selects."""
    written: list[bytes] = []
    log = AccessLog(written.append, style="json")
    async with (
        Lifespan(create_app(settings, log=log)) as manager,
        httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://test") as web,
    ):
        document = "query Shelf($sku: String!) { product(by: {sku: $sku}) { name } }"
        await web.post("/graphql", json={"query": document, "variables": {"sku": "hunter2"}})
    (line,) = b"".join(written).splitlines()
    assert json.loads(line)["operation"] == "Shelf"
    assert b"hunter2" not in line
    assert b"product" not in line


async def test_sql_works_on_behalf_of_whoever_asks(settings: Settings) -> None:
    """Statements of a query are its caller's, an address or a user, whoever loads them; a health check is nobody's."""
    seen: list[str | None] = []

    def note(*_: object) -> None:
        now = on_behalf_of.get()
        seen.extend(now.callers if isinstance(now, Sharers) else [now])

    async with open_services(settings) as services:
        event.listen(services.database.engine.sync_engine, "before_cursor_execute", note)
        async with (
            Lifespan(create_app(settings, services)) as manager,
            httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://test") as web,
        ):
            for text in ('{products(filter:{search:"a"}){totalCount}}', '{a:product(by:{sku:"x"}){id}}'):
                seen.clear()
                answer = await asyncio.create_task(web.post("/graphql", json={"query": text}))  # as a server would
                assert answer.status_code == 200
                assert "127.0.0.1" in seen
                assert set(seen) <= {"127.0.0.1", None}  # None: the outbox
            seen.clear()
            assert (await asyncio.create_task(web.get("/readyz"))).status_code == 200
            assert set(seen) == {None}


async def test_nobody_waits_for_the_statements_of_whoever_asked_first(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that has all statements under way that it may have asks for an answer; so does another, and has it."""
    monkeypatch.setattr("graph.engines.database.POOL_TIMEOUT", 600.0)
    settings = settings.model_copy(update={"bounds": BoundSettings(seconds=600.0)})
    async with open_services(settings) as services, Lifespan(create_app(settings, services)) as manager:

        async def ask(address: str, text: str) -> int:
            transport = httpx.ASGITransport(manager.app, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as web:
                return (await web.post("/graphql", json={"query": text})).status_code

        services.answers._patience = services.cache._flights._patience = 600.0  # it is not by giving up on the first
        services.database._plain.close()  # SQLite would be read at once, which waits for no connection
        text = "{categories{name}}"
        for _ in ("unknown", "known"):  # the document
            async with contextlib.AsyncExitStack() as stack:
                on_behalf_of.set("192.0.2.1")
                for _ in range(PER_CALLER):
                    await stack.enter_async_context(services.database.session())
                waiting = services.database._connections._waiting
                first = asyncio.create_task(ask("192.0.2.1", text))
                await until(lambda waiting=waiting: "192.0.2.1" in waiting)
                async with within("the other"):
                    assert await asyncio.create_task(ask("192.0.2.2", text)) == 200
                    assert await first == 200
            await services.cache.invalidate(CATEGORY_LIST)
