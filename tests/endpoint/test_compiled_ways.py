"""How compiled operations run: what runs at once and what in order, what is left to graphql-core, what is kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest
import strawberry
from graphql import OperationDefinitionNode, parse
from strawberry.extensions import SchemaExtension
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.endpoint import GraphQLEndpoint
from graph.endpoint.document import Bounds
from graph.endpoint.execution import EventExecutor
from graph.endpoint.execution.compiled.program import MAX_VARIANTS, Program
from graph.endpoint.execution.compiled.selections import Grant
from graph.endpoint.identity import Caller
from harness.waiting import DEADLINES
from tests.support.apps.small import Query as SmallQuery
from tests.support.apps.small import Scene, Tokens, make_admission
from tests.support.clients.browser import browse
from tests.support.models.twins import Twins, ordered

if TYPE_CHECKING:
    from graph.patterns.client import Client


@dataclass
class Stage:
    """The context: what happened, and where two resolvers meet."""

    log: list[str] = field(default_factory=list[str])
    meeting: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(2))


@strawberry.type
class Meeting:
    """Fields that wait for one another."""

    @strawberry.field
    async def one(self, info: strawberry.Info[Stage, None]) -> int:
        await info.context.meeting.wait()
        return 1

    @strawberry.field
    async def another(self, info: strawberry.Info[Stage, None]) -> int:
        await info.context.meeting.wait()
        return 2


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field
    async def meeting(self) -> Meeting:
        return Meeting()

    @strawberry.field
    def meetings(self) -> list[Meeting]:
        return [Meeting(), Meeting()]

    @strawberry.field
    async def stuck(self, info: strawberry.Info[Stage, None], name: str) -> int:
        info.context.log.append(f"{name} waits")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            info.context.log.append(f"{name} ends")
        return 0

    @strawberry.field
    def told(self, value: JSON, names: list[str], price: Decimal = Decimal(1)) -> str:
        before = repr((value, names, price))
        for one in (names, cast("Any", value)):
            if isinstance(one, list):
                cast("Any", one).append("changed")
        return before


@strawberry.type
class Mutation:
    """Steps."""

    @strawberry.mutation
    async def step(self, info: strawberry.Info[Stage, None], name: str) -> str:
        info.context.log.append(f"{name} begins")
        await asyncio.sleep(0)
        info.context.log.append(f"{name} ends")
        return name


@pytest.fixture
def twins() -> Twins:
    """The schema above."""
    return Twins(strawberry.Schema(Query, Mutation))


async def test_siblings_run_at_once(twins: Twins) -> None:
    """Two fields that wait for one another both come back, in an object and below the entries of a list."""
    prepared = twins.prepare("{ meeting { one another } }")
    assert (await twins.compiled(prepared, {}, Stage()))["data"] == ordered({"meeting": {"one": 1, "another": 2}})
    prepared = twins.prepare("{ meetings { one } }")
    assert (await twins.compiled(prepared, {}, Stage()))["data"] == ordered({"meetings": [{"one": 1}, {"one": 1}]})


async def test_mutations_run_in_order(twins: Twins) -> None:
    """A step of a mutation begins when the one before it has ended, and in the order of the document."""
    prepared = twins.prepare('mutation { b: step(name: "b") a: step(name: "a") c: step(name: "c") }')
    stage = Stage()
    result = await twins.compiled(prepared, {}, stage)
    assert result["data"] == ordered({"b": "b", "a": "a", "c": "c"})
    assert stage.log == [f"{name} {what}" for name in "bac" for what in ("begins", "ends")]


async def test_cancelling_reaches_every_resolver(twins: Twins) -> None:
    """Whoever cancels an operation cancels all that its resolvers wait for."""
    prepared = twins.prepare('{ a: stuck(name: "a") b: stuck(name: "b") }')
    stage = Stage()
    running = asyncio.create_task(twins.compiled(prepared, {}, stage))
    while len(stage.log) < 2:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(stage.log) == ["a ends", "a waits", "b ends", "b waits"]


async def test_a_late_operation_cancels_its_resolvers(client: Client) -> None:
    """The deadline ends all that is awaited, tells the client so, and the next operation has a time of its own."""
    stages: list[Stage] = []

    def context(_caller: Caller, _connection: object, _response: object) -> Stage:
        stages.append(Stage())
        return stages[-1]

    said: object = None
    for deadline in DEADLINES:
        endpoint = GraphQLEndpoint(
            strawberry.Schema(Query),
            authenticator=Tokens(),
            admission=make_admission(client),
            context=context,
            bounds=Bounds(deadline=deadline),
        )
        stages.clear()
        async with browse(endpoint) as browser:
            document = '{ a: stuck(name: "a") b: stuck(name: "b") }'
            answers = await asyncio.gather(*(browser.post("/", json={"query": document}) for _ in range(2)))
            next_one = await browser.post("/", json={"query": "{ __typename }"})
        assert [one.json()["errors"][0]["extensions"]["code"] for one in answers] == ["DEADLINE_EXCEEDED"] * 2
        said = next_one.json()
        begun = len(stages) >= 2 and all(len(stage.log) == 4 for stage in stages[:2])
        if begun and next_one.status_code == 200:  # else their time was up before they had begun
            break
    assert said == {"data": {"__typename": "Query"}}
    assert [sorted(stage.log) for stage in stages[:2]] == [["a ends", "a waits", "b ends", "b waits"]] * 2


async def test_values_are_not_shared_by_requests(twins: Twins) -> None:
    """A resolver that changes its arguments changes them for itself only."""
    prepared = twins.prepare('query Q($v: JSON!) { a: told(value: "x", names: ["n"]) b: told(value: $v, names: "n") }')
    for _ in range(3):
        variables = {"v": [1]}
        core = await twins.by_core(prepared, {"v": [1]}, Stage())
        assert await twins.compiled(prepared, variables, Stage()) == core


# --- what is left to graphql-core ---


class Own(StrawberryGraphQLCoreExecutionContext):
    """A context class with a mind of its own."""

    @staticmethod
    def complete_leaf_value(return_type: Any, result: Any) -> Any:
        return f"{return_type} {result}"


async def test_introspection_is_not_compiled() -> None:
    """What the compiler leaves to graphql-core it knows when it first sees it, and says why."""
    twins = Twins(strawberry.Schema(Query))
    prepared = twins.prepare("{ __schema { queryType { name } } }")
    assert twins.begin(prepared, {}) is None
    assert isinstance(program := prepared.select(None).program, Program)
    assert program.problem == "it is introspection"


async def test_incremental_delivery_is_compiled_in_one_piece() -> None:
    """A prepared document is without `@defer` and `@stream`; any other that has them is left to graphql-core."""
    config = StrawberryConfig(enable_experimental_incremental_execution=True)
    twins = Twins(strawberry.Schema(Query, config=config))
    for text, name in (("{ ... @defer { __typename } }", "defer"), ("{ meetings @stream { __typename } }", "stream")):
        assert twins.begin(twins.prepare(text), {}) is not None
        document = parse(text)
        (operation,) = document.definitions
        assert isinstance(operation, OperationDefinitionNode)
        program = Program(twins.compiler, document, operation, Grant(10, owner=twins.compiler))
        assert program.problem == f"it asks for @{name}"


async def test_other_executors_are_not_compiled() -> None:
    """An execution context class that changes how things are executed is let do so; ours for events changes nothing."""
    schema = strawberry.Schema(SmallQuery, execution_context_class=Own)
    twins = Twins(schema)
    assert twins.compiler.problem == "Own changes complete_leaf_value"
    assert twins.begin(twins.prepare("{ hello }"), {}) is None
    twins = Twins(strawberry.Schema(SmallQuery, execution_context_class=EventExecutor))
    assert twins.compiler.problem is None
    result = await twins.compiled(twins.prepare("{ hello }"), {}, Scene(Caller(""), None))
    assert result["data"] == ordered({"hello": "world"})


class Shouting(SchemaExtension):
    """An extension around every resolver."""

    async def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - as Strawberry calls it
        found = _next(root, info, *args, **kwargs)
        return found.upper() if isinstance(found, str) else found


@pytest.mark.parametrize(("options", "expected"), [({}, "world"), ({"extensions": [Shouting]}, "WORLD")])
async def test_extensions_around_resolvers(client: Client, options: dict[str, Any], expected: str) -> None:
    """An extension that implements `resolve` sees every field, and the same operation without it is compiled."""
    endpoint = _endpoint(client, **options)
    async with browse(endpoint) as browser:
        for _ in range(2):
            assert (await browser.post("/", json={"query": "{ hello }"})).json() == {"data": {"hello": expected}}
    known = endpoint.engine.operations.known("{ hello }")
    assert known is not None
    assert (known.select(None).program is None) == bool(options)


async def test_it_can_be_switched_off(client: Client) -> None:
    """An engine without a compiler executes all by graphql-core, with the same answers."""
    endpoint = _endpoint(client, compiled=False)
    async with browse(endpoint) as browser:
        answer = await browser.post("/", json={"query": "{ hello wrong }"})
        assert answer.json()["data"] == {"hello": "world", "wrong": None}
        assert answer.json()["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    known = endpoint.engine.operations.known("{ hello wrong }")
    assert known is not None
    assert known.select(None).program is None


def _endpoint(client: Client, *, compiled: bool = True, **options: Any) -> GraphQLEndpoint[Scene]:
    return GraphQLEndpoint(
        strawberry.Schema(SmallQuery, **options),
        authenticator=Tokens(),
        admission=make_admission(client),
        context=lambda caller, _, response: Scene(caller, response),
        compiled=compiled,
    )


# --- what is kept ---


async def test_conditions_make_few_variants() -> None:
    """Each outcome of the conditions is compiled once, up to a limit, and beyond it graphql-core executes."""
    twins = Twins(strawberry.Schema(SmallQuery))
    names = [f"v{n}" for n in range(5)]
    declared = ", ".join(f"${name}: Boolean!" for name in names)
    body = " ".join(f"a{n}: hello @skip(if: ${name})" for n, name in enumerate(names))
    prepared = twins.prepare(f"query Q({declared}) {{ {body} __typename }}")
    compiled = 0
    for _ in range(2):
        compiled = 0
        for outcome in range(32):
            variables = {name: bool(outcome >> n & 1) for n, name in enumerate(names)}
            core = await twins.by_core(prepared, variables, None)
            if twins.begin(prepared, variables) is not None:
                compiled += 1
                assert await twins.compiled(prepared, variables, None) == core
    assert compiled == MAX_VARIANTS


async def test_a_condition_without_a_value_is_an_error() -> None:
    """A condition that turns out null is refused as graphql-core refuses it."""
    twins = Twins(strawberry.Schema(SmallQuery))
    prepared = twins.prepare("query Q($v: Boolean = true) { hello @skip(if: $v) __typename }")
    assert twins.begin(prepared, {"v": None}) is None
    for variables in ({}, {"v": False}):
        core = await twins.by_core(prepared, variables, None)
        assert await twins.compiled(prepared, variables, None) == core


def _spread(levels: int) -> str:
    fragments = [
        f"fragment F{n} on Item {{ a{n}: parent {{ ...F{n + 1} }} b{n}: parent {{ ...F{n + 1} }} }}"
        for n in range(levels)
    ]
    return (
        "{ items(first: 1) { nodes { ...F0 } } } " + " ".join(fragments) + f" fragment F{levels} on Item {{ id name }}"
    )


@pytest.mark.parametrize("levels", [2, 7])
async def test_fragments_do_not_multiply_what_is_kept(levels: int) -> None:
    """A document compiles no more fields than it has tokens; graphql-core executes the rest, to the same end."""
    twins = Twins(strawberry.Schema(SmallQuery))
    prepared = twins.prepare(_spread(levels))
    core = await twins.by_core(prepared, {}, None)
    assert await twins.compiled(prepared, {}, None) == core
    program = prepared.select(None).program
    assert isinstance(program, Program)
    assert (program.grant.left < 0) == (levels > 2)


async def test_a_store_of_two_engines() -> None:
    """Engines of different schemas that share prepared operations do not execute what the other compiled."""
    first, second = (Twins(strawberry.Schema(SmallQuery)) for _ in range(2))
    prepared = first.prepare("{ hello }")
    one = first.begin(prepared, {})
    assert second.begin(prepared, {}).schema is second.core
    assert one.schema is first.core


async def test_a_bug_of_the_compiler(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """An operation with which the compiler fails is logged once, and left to graphql-core."""
    twins = Twins(strawberry.Schema(SmallQuery))
    prepared = twins.prepare("{ hello }")
    with monkeypatch.context() as patch:
        patch.setattr(twins.compiler.resolvers, "attribute", None)
        assert twins.begin(prepared, {}) is None
    assert twins.begin(prepared, {}) is None
    assert [one.message for one in caplog.records] == ["left to graphql-core: None"]
