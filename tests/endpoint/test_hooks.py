"""The hooks of extensions: the endpoint runs them as Strawberry does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import strawberry
from strawberry.extensions import SchemaExtension

from graph.endpoint import GraphQLEndpoint
from graph.endpoint.identity import Caller
from tests.support.apps.small import Query, Scene, Tokens, make_admission
from tests.support.clients.browser import browse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from graph.patterns.client import Client

LOG: list[str] = []


class Generators(SchemaExtension):
    """Synchronous hooks around every phase."""

    def on_operation(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - a generator, as the hook expects
        yield from self._around("operation")

    def on_parse(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        yield from self._around("parse")

    def on_validate(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        yield from self._around("validate")

    def on_execute(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        yield from self._around("execute")

    def _around(self, phase: str) -> Iterator[None]:
        LOG.append(f"sync {phase} {self.execution_context.operation_name}")
        yield
        LOG.append(f"sync {phase} done, errors {self.execution_context.pre_execution_errors}")

    def get_results(self) -> dict[str, Any]:
        return {"sync": True}


class AsyncGenerators(SchemaExtension):
    """Asynchronous hooks; one changes the result."""

    async def on_operation(self) -> AsyncIterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        LOG.append("async operation")
        yield
        result: Any = self.execution_context.result
        result.data["hello"] += "!"
        LOG.append("async operation done")

    async def on_execute(self) -> AsyncIterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        LOG.append("async execute")
        yield
        LOG.append("async execute done")


class Functions(SchemaExtension):
    """Hooks that only run before."""

    def on_validate(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        LOG.append("plain validate")

    async def on_execute(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        LOG.append("coroutine execute")

    async def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        return _next(root, info, *args, **kwargs)


class Failing(SchemaExtension):
    """A hook with a bug."""

    async def on_execute(self) -> AsyncIterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        raise ZeroDivisionError("secret")
        yield


def endpoint(client: Client, *extensions: type[SchemaExtension]) -> GraphQLEndpoint[Scene]:
    """The endpoint over a schema with `extensions`."""
    return GraphQLEndpoint(
        strawberry.Schema(Query, extensions=extensions),
        authenticator=Tokens(),
        admission=make_admission(client),
        context=lambda caller, _, response: Scene(caller, response),
    )


@pytest.mark.parametrize(
    "extensions",
    [
        (Generators, AsyncGenerators, Functions),
        (Functions, AsyncGenerators, Generators),
        (AsyncGenerators,),
        (AsyncGenerators, Generators),
    ],
)
async def test_hooks_run_as_under_strawberry(client: Client, extensions: tuple[type[SchemaExtension], ...]) -> None:
    """Every kind of hook runs in Strawberry's order, sees the same context, and may change the same result."""
    app = endpoint(client, *extensions)
    LOG.clear()
    expected = await app.engine.schema.execute(
        "query A{hello}", operation_name="A", context_value=Scene(Caller("x"), None)
    )
    under_strawberry = list(LOG)
    LOG.clear()
    async with browse(app) as http:
        answer = (await http.ask("query A{hello}", operationName="A")).json()
    assert under_strawberry == LOG
    assert answer["data"] == expected.data
    assert answer.get("extensions", {}) == expected.extensions


async def test_a_hook_that_fails_is_a_masked_bug_and_the_others_are_closed(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A failing hook is a 500 with an id; what was entered before it is left again."""
    LOG.clear()
    async with browse(endpoint(client, Generators, Failing)) as http:
        answer = await http.ask("query A{hello}")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert len(caplog.records) == 1
    assert "sync execute A" in LOG
