"""What Strawberry's users rely on beside the schema: responses, root values, mounting, connection parameters, Relay."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterable  # noqa: TC003 - Strawberry reads annotations at run time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import strawberry
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from strawberry import UNSET, relay
from strawberry.asgi import GraphQL as GraphQLView
from strawberry.exceptions import ConnectionRejectionError
from strawberry.fastapi import GraphQLRouter
from strawberry.types import Info
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from graph.endpoint import GraphQLEndpoint, KeptAnswers, connection_params
from graph.endpoint.websocket import SUBPROTOCOL
from graph.library import FastGraphQL
from graph.patterns.cache import ByteCache, Generations
from tests.support.apps.serving import serving
from tests.support.apps.small import make_admission
from tests.support.clients.browser import browse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import HTTPConnection
    from starlette.responses import Response

    from graph.endpoint import Caller
    from graph.patterns.client import Client

LOG: list[str] = []


@dataclass
class Stage:
    """What a resolver sees."""

    caller: Caller
    connection: HTTPConnection
    response: Response | None


@strawberry.type
class Fruit(relay.Node):
    """Something with an id."""

    code: relay.NodeID[int]
    name: str

    @classmethod
    def resolve_nodes(cls, *, info: Info, node_ids: Iterable[str], required: bool = False) -> Any:
        known = {"1": Fruit(code=1, name="apple")}
        return [known.get(one) for one in node_ids]


@strawberry.type
class Stone(relay.Node):
    """Something else with an id, and with what nobody may see."""

    code: relay.NodeID[int]
    grain: strawberry.Private[str] = "the secret"

    @classmethod
    def resolve_nodes(cls, *, info: Info, node_ids: Iterable[str], required: bool = False) -> Any:
        return [Stone(code=int(one)) for one in node_ids]


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field
    async def eaten(self, info: Info, id: relay.GlobalID) -> Fruit:  # noqa: A002 - as Relay has it
        return await id.resolve_node(info, ensure_type=Fruit)

    @strawberry.field
    def tasted(self, info: Info, id: relay.GlobalID) -> Fruit:  # noqa: A002 - as Relay has it
        return id.resolve_node_sync(info, ensure_type=Fruit)

    node: relay.Node | None = relay.node()

    @strawberry.field
    def teapot(self, info: Info[Stage, None], *, fails: bool = False) -> str | None:
        response = info.context.response
        assert response is not None
        response.status_code = 418
        response.headers["x-pot"] = "short"
        response.set_cookie("tea", "green")
        response.background = BackgroundTask(brew, fails=fails)
        return "stout"

    @relay.connection(relay.ListConnection[Fruit])
    def fruits(self) -> Iterable[Fruit]:
        return [Fruit(code=n, name=f"fruit {n}") for n in range(5)]

    @strawberry.field
    def root(self) -> str:
        return repr(self)  # Strawberry calls resolvers with the root value


@strawberry.type
class Subscription:
    """What can be followed."""

    @strawberry.subscription
    async def params(self, info: Info[Stage, None]) -> AsyncGenerator[str]:
        yield json.dumps(connection_params(info.context.connection))


async def brew(*, fails: bool) -> None:
    """Take note, after the answer."""
    LOG.append("brewed")
    if fails:
        raise ZeroDivisionError("burnt")


SCHEMA = strawberry.Schema(Query, subscription=Subscription, types=[Stone])  # `relay.node()` can be in one schema only


def endpoint(client: Client, **options: Any) -> GraphQLEndpoint[Stage]:
    """The endpoint over that schema."""
    return GraphQLEndpoint(
        SCHEMA,
        admission=make_admission(client),
        context=Stage,
        **options,
    )


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("fails", [False, True], ids=["works", "fails"])
async def test_what_a_resolver_sets_on_the_response_counts(
    client: Client, caplog: pytest.LogCaptureFixture, accept: str, *, fails: bool
) -> None:
    """Status, headers, cookies; the background task runs after the answer, and what fails there is logged.

    A client of server-sent events reads no body whose status is another than 200.
    """
    LOG.clear()
    query = "query($fails: Boolean!){teapot(fails: $fails)}"
    async with browse(endpoint(client)) as http:
        answer = await http.ask(query, headers={"accept": accept}, variables={"fails": fails})
    assert answer.status_code == (200 if accept == "text/event-stream" else 418)
    assert answer.headers["x-pot"] == "short"
    assert answer.cookies["tea"] == "green"
    assert "stout" in answer.text
    assert LOG == ["brewed"]
    assert ["burnt" in str(record.exc_info) for record in caplog.records] == [True] * fails


async def test_a_batch_has_the_status_and_the_tasks_of_its_operations(client: Client) -> None:
    """The status and the headers that were set last are those of the batch; every cookie and background task counts."""
    LOG.clear()
    async with browse(endpoint(client)) as http:
        answer = await http.post("/graphql", json=[{"query": "{teapot}"}, {"query": "{root}"}, {"query": "{teapot}"}])
    assert answer.status_code == 418
    assert answer.headers.get_list("x-pot") == ["short"]
    assert len(answer.headers.get_list("set-cookie")) == 2
    assert LOG == ["brewed"] * 2


async def test_a_root_value_is_made_for_each_operation(client: Client) -> None:
    """Root fields are resolved on it; answers that depend on it are never kept."""

    def root_value(caller: Caller, connection: HTTPConnection) -> str:
        return f"{caller.address} {connection.headers['x-root']}"

    async with browse(endpoint(client, root_value=root_value)) as http:
        answer = await http.ask("{root}", headers={"x-root": "tree"})
    assert answer.json()["data"] == {"root": "'127.0.0.1 tree'"}
    kept = KeptAnswers(client, ByteCache(client, Generations(client)))
    with pytest.raises(TypeError, match="leave out `kept` or `root_value`"):
        endpoint(client, root_value=root_value, kept=kept)


_METHODS = sorted(name for name in {*dir(GraphQLView), *dir(GraphQLRouter)} - {*dir(FastGraphQL)} if name[0] != "_")


@pytest.mark.parametrize("of", [GraphQLEndpoint, FastGraphQL])
@pytest.mark.parametrize("name", [one for one in _METHODS if not one.endswith("adapter_class")])
def test_a_method_of_strawberrys_views_is_refused_where_nobody_calls_it(name: str, of: type) -> None:
    """The sentence says what to do in its place; a base in between may have brought it along."""
    said = f"Mine overrides `{name}`, which the endpoint does not call: "
    with pytest.raises(TypeError, match=said):
        type("Mine", (of,), {name: print})
    with pytest.raises(TypeError, match=said):
        type("Mine", (type("Mixin", (), {name: print}), of), {})


@pytest.mark.parametrize("make", [FastAPI, Starlette])
@pytest.mark.parametrize("path", ["/graphql", "/graphql/"])
async def test_it_is_mounted_with_and_without_a_slash(client: Client, make: type[Starlette], path: str) -> None:
    """HTTP and WebSocket alike; what is below the path is not it."""
    app = make()
    async with endpoint(client) as served:
        app.router.routes.append(served.at("/graphql"))
        assert app.url_path_for("graphql") == "/graphql"
        async with serving(app) as port:
            async with browse(app) as http:
                answer = await http.post(path, json={"query": "{root}"})
                assert answer.json()["data"] == {"root": "None"}
                assert (await http.post("/graphql/more", json={"query": "{root}"})).status_code == 404
            url = f"ws://127.0.0.1:{port}{path}"
            async with connect(url, subprotocols=[Subprotocol(SUBPROTOCOL)]) as socket:
                await socket.send('{"type":"connection_init"}')
                assert json.loads(await socket.recv()) == {"type": "connection_ack"}


async def test_a_connection_has_its_parameters_and_an_acknowledgement_of_ones_own(client: Client) -> None:
    """Resolvers find the payload of ``connection_init``; what `on_ws_connect` returns is in the acknowledgement."""

    async def greet(caller: Caller, connection: HTTPConnection, params: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if params.get("version") == 1:
            raise ConnectionRejectionError
        if params.get("version") == 2:
            raise ZeroDivisionError("secret")
        return {"hello": params["name"], "path": connection.url.path, "address": caller.address}

    async def start(port: int, params: dict[str, Any]) -> tuple[Any, Any]:
        async with connect(f"ws://127.0.0.1:{port}/graphql", subprotocols=[Subprotocol(SUBPROTOCOL)]) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": params}))
            ack = json.loads(await socket.recv())
            await socket.send('{"type":"subscribe","id":"1","payload":{"query":"subscription{params}"}}')
            return ack, json.loads(await socket.recv())

    def nothing(*_given: object) -> Any:
        return UNSET

    for answering in (None, nothing):
        async with endpoint(client, on_ws_connect=answering) as served, serving(served) as port:
            ack, _first = await start(port, {})
            assert ack == {"type": "connection_ack"}
    async with endpoint(client, on_ws_connect=greet) as served, serving(served) as port:
        ack, first = await start(port, {"name": "Ada"})
        told = {"hello": "Ada", "path": "/graphql", "address": "127.0.0.1"}
        assert ack == {"type": "connection_ack", "payload": told}
        assert json.loads(first["payload"]["data"]["params"]) == {"name": "Ada"}
        for version, code in ((1, 4403), (2, 1011)):
            with pytest.raises(ConnectionClosed) as closed:
                await start(port, {"version": version})
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == code
            assert "secret" not in closed.value.rcvd.reason


@pytest.mark.parametrize(
    "query",
    [
        "{fruits(first: -1){edges{cursor}}}",
        "{fruits(last: -1){edges{cursor}}}",
        '{fruits(after: "nonsense"){edges{cursor}}}',
        '{fruits(after: "YXJyYXljb25uZWN0aW9uOng="){edges{cursor}}}',
        '{node(id: "nonsense"){id}}',
        '{node(id: "Tm90aGluZzox"){id}}',
    ],
    ids=["first", "last", "cursor", "number", "id", "type"],
)
async def test_what_relay_refuses_is_told_and_is_no_bug(
    client: Client, caplog: pytest.LogCaptureFixture, query: str
) -> None:
    """A client's mistake has a message and a code of a client's mistake, and leaves no line in the log."""
    async with browse(endpoint(client)) as http:
        (error,) = (await http.ask(query)).json()["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert error["message"] != "Internal server error"
        assert await http.data('{node(id: "RnJ1aXQ6MQ=="){... on Fruit{name}}}') == {"node": {"name": "apple"}}
    assert caplog.records == []


@strawberry.type
class Leaf(relay.Node):
    """One that exists under the id 1."""

    code: relay.NodeID[str]

    @classmethod
    def resolve_nodes(cls, *, info: Any, node_ids: Iterable[str], required: bool = False) -> Any:
        """As Strawberry's documentation has it: None for one that is not there."""
        del info, required
        return [cls(code=one) if one == "1" else None for one in node_ids]


@strawberry.type
class Twig(relay.Node):
    """Of another type."""

    code: relay.NodeID[str]

    @classmethod
    def resolve_nodes(cls, *, info: Any, node_ids: Iterable[str], required: bool = False) -> Any:
        """All of them."""
        del info, required
        return [cls(code=one) for one in node_ids]


@strawberry.type
class Tree:
    """Fields that say that there is a node."""

    node: relay.Node = relay.node()
    nodes: list[relay.Node] = relay.node()
    leaf: Leaf = relay.node()
    leaves: list[Leaf | None] = relay.node()

    @strawberry.field
    def lost(self) -> Leaf:
        """A bug."""
        return None  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


TREES = strawberry.Schema(Tree, types=[Twig])


def grown(client: Client, *, compiled: bool) -> GraphQLEndpoint[None]:
    """The endpoint over that one."""

    def context(*_: object) -> None:
        """Nothing."""

    return GraphQLEndpoint(TREES, admission=make_admission(client), context=context, compiled=compiled)


NOTHING, ANOTHER = "There is nothing with this id.", "The id is that of something else than what is asked for here."


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("field", "of", "told"),
    [
        ("node(id: %s)", ("Leaf", "2"), NOTHING),
        ("nodes(ids: [%s])", ("Leaf", "2"), NOTHING),
        ("leaf(id: %s)", ("Leaf", "2"), NOTHING),
        ("leaf(id: %s)", ("Twig", "1"), ANOTHER),
        ("leaves(ids: [%s])", ("Twig", "1"), ANOTHER),
        ("leaves(ids: [%s])", ("Leaf", "2"), None),
        ("node(id: %s)", ("Twig", "1"), None),
        ("leaf(id: %s)", ("Leaf", "1"), None),
    ],
)
async def test_an_id_of_nothing_is_a_clients_mistake(
    client: Client,
    caplog: pytest.LogCaptureFixture,
    field: str,
    of: tuple[str, str],
    told: str | None,
    *,
    compiled: bool,
) -> None:
    """It names no node, or one of another type: compiled or not, it is told and is no bug."""
    async with browse(grown(client, compiled=compiled)) as http:
        answer = (await http.ask(f"{{{field % json.dumps(relay.to_base64(*of))}{{__typename}}}}")).json()
    found = [(error["message"], error["extensions"]) for error in answer.get("errors", [])]
    assert found == ([(told, {"code": "BAD_USER_INPUT"})] if told else [])
    assert caplog.records == []


@pytest.mark.parametrize("compiled", [True, False])
async def test_a_null_of_another_field_is_a_bug(client: Client, *, compiled: bool) -> None:
    """Nobody has sent an id."""
    async with browse(grown(client, compiled=compiled)) as http:
        (error,) = (await http.ask("{lost{__typename}}")).json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


@pytest.mark.parametrize("field", ["eaten", "tasted"])
async def test_a_node_of_another_type_is_not_shown(client: Client, field: str) -> None:
    """Strawberry's message has all of its fields, private ones as well."""
    stone, fruit = relay.to_base64("Stone", "1"), relay.to_base64("Fruit", "1")
    async with browse(endpoint(client)) as http:
        (error,) = (await http.ask(f'{{{field}(id: "{stone}"){{name}}}}')).json()["errors"]
        assert error["message"] == "The id is that of something else than what is asked for here."
        assert error["extensions"] == {"code": "BAD_USER_INPUT"}
        assert await http.data(f'{{{field}(id: "{fruit}"){{name}}}}') == {field: {"name": "apple"}}
