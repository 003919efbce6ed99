"""The compiled executor under stock Strawberry."""

from __future__ import annotations

from collections.abc import AsyncGenerator  # noqa: TC003 - Strawberry reads it at run time
from typing import Any

import pytest
import strawberry
from graphql import ExecutionResult, execute, parse  # pyright: ignore[reportUnknownVariableType] - its types are partial
from graphql.execution import MiddlewareManager
from prometheus_client import REGISTRY
from strawberry.extensions import ParserCache, SchemaExtension, ValidationCache
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.library import Compiled


@strawberry.type
class Leaf:
    """Something below."""

    n: int

    @strawberry.field
    async def late(self) -> int:
        """Later."""
        return self.n

    @strawberry.field
    def broken(self) -> int:
        """Never."""
        raise ValueError(f"broken {self.n}")


@strawberry.type
class Query:
    """Reads."""

    @strawberry.field
    def leaves(self, count: int = 2) -> list[Leaf | None]:
        """Some."""
        return [Leaf(n=n) for n in range(count)]


@strawberry.type
class Subscription:
    """Streams."""

    @strawberry.subscription
    async def leaf(self) -> AsyncGenerator[Leaf]:
        """Two."""
        for n in range(2):
            yield Leaf(n=n)


OPERATIONS: list[tuple[str, dict[str, Any], str | None]] = [
    ("{ leaves { n late __typename } }", {}, None),
    ("query Q($n: Int!) { leaves(count: $n) { n late } }", {"n": 3}, "Q"),
    ("query Q($n: Int!) { leaves(count: $n) { n } }", {"n": "no"}, None),
    ("query Q($n: Int!) { leaves(count: $n) { n } }", {}, None),
    ("{ leaves { ...F } } fragment F on Leaf { broken n }", {}, None),
    ("query A { leaves { n } } query B { leaves { late } }", {}, "B"),
    ("query($no: Boolean!) { leaves { n @skip(if: $no) late } }", {"no": True}, None),
    ("{ unknown }", {}, None),
]


def count(outcome: str) -> float:
    """How many operations were compiled, or left to graphql-core."""
    return REGISTRY.get_sample_value("graph_compiled_operations_total", {"outcome": outcome}) or 0.0


@pytest.mark.parametrize("more", [[], [ParserCache, ValidationCache]])
async def test_the_results_are_those_of_stock_strawberry(more: list[type[SchemaExtension]]) -> None:
    """Data and errors, the second time as the first; each valid document is compiled once."""
    stock = strawberry.Schema(Query, subscription=Subscription)
    ours = strawberry.Schema(Query, subscription=Subscription, extensions=[*more, Compiled])
    before = count("compiled")
    for _ in range(2):
        for query, variables, name in OPERATIONS:
            wanted = await stock.execute(query, variables, operation_name=name)
            got = await ours.execute(query, variables, operation_name=name)
            assert (got.data, [one.formatted for one in got.errors or ()]) == (
                wanted.data,
                [one.formatted for one in wanted.errors or ()],
            )
    texts = {query for query, _, _ in OPERATIONS} - {"{ unknown }"}
    assert count("compiled") == before + len(texts)


async def test_subscriptions_too() -> None:
    """Each event."""
    schema = strawberry.Schema(Query, subscription=Subscription, extensions=[Compiled])
    stream: Any = await schema.subscribe("subscription { leaf { n late } }")
    assert [result.data async for result in stream] == [{"leaf": {"n": n, "late": n}} for n in range(2)]


def test_synchronous_execution_is_left_to_graphql_core() -> None:
    """It works as before."""
    result = strawberry.Schema(Query, extensions=[Compiled]).execute_sync("{ leaves { n } }")
    assert result.data == {"leaves": [{"n": 0}, {"n": 1}]}


async def test_an_extension_around_resolvers_is_called() -> None:
    """Wherever it stands in the list."""
    seen: list[str] = []

    class Around(SchemaExtension):
        """Sees each field."""

        def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(info.field_name)
            return _next(root, info, *args, **kwargs)

    schema = strawberry.Schema(Query, extensions=[Compiled, Around])
    assert (await schema.execute("{ leaves { n } }")).data == {"leaves": [{"n": 0}, {"n": 1}]}
    assert seen == ["leaves", "n", "n"]


async def test_an_execution_context_that_changes_execution_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """And the log says so, once."""

    class Own(StrawberryGraphQLCoreExecutionContext):
        """Changes something."""

        def execute_operation(self, serially: bool | None = None) -> Any:  # noqa: FBT001 - as graphql-core has it
            return super().execute_operation(serially)

    schema = strawberry.Schema(Query, extensions=[Compiled], execution_context_class=Own)
    before = count("compiled")
    for _ in range(2):
        assert (await schema.execute("{ leaves { n } }")).data == {"leaves": [{"n": 0}, {"n": 1}]}
    assert count("compiled") == before
    assert [one.message for one in caplog.records if "graphql-core" in one.message] == [
        "operations are left to graphql-core: Own changes execute_operation"
    ]


async def test_middleware_of_any_form_is_left_to_graphql_core() -> None:
    """A list, a tuple or a manager runs around each resolver, and an empty one changes nothing."""
    schema: Any = strawberry.Schema(Query, extensions=[Compiled])
    query = parse("{ leaves { n } }")
    assert (await schema.execute("{ leaves { n } }")).errors is None
    seen: list[str] = []

    def note(_next: Any, root: Any, info: Any, **given: Any) -> Any:
        seen.append(info.field_name)
        return _next(root, info, **given)

    for middleware, times in (
        ([note], 3),
        ((note,), 3),
        (MiddlewareManager(note), 3),
        ([], 0),
        (MiddlewareManager(), 0),
    ):
        seen.clear()
        result = execute(schema._schema, query, middleware=middleware, executor_class=schema.execution_context_class)
        assert result == ExecutionResult({"leaves": [{"n": 0}, {"n": 1}]}, None)
        assert len(seen) == times
