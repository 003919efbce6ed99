"""Strawberry's extensions under the endpoint: what they contribute takes effect, or is refused when it is built."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
import strawberry
from graphql import GraphQLError, ValidationRule, parse
from strawberry.extensions import (
    AddValidationRules,
    DisableIntrospection,
    DisableValidation,
    MaskErrors,
    MaxAliasesLimiter,
    MaxTokensLimiter,
    ParserCache,
    QueryDepthLimiter,
    SchemaExtension,
    ValidationCache,
)
from strawberry.extensions.pydantic_error_extension import PydanticErrorExtension

from graph.endpoint import GraphQLEndpoint, KeptAnswers, RateLimit
from graph.errors import Forbidden
from graph.patterns.cache import ByteCache, Generations
from tests.support.apps.small import Query as SmallQuery
from tests.support.apps.small import Scene, Tokens, make_admission
from tests.support.clients.browser import browse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from graph.patterns.client import Client


LOG: list[str] = []


@strawberry.type
class Query(SmallQuery):
    """What can be read, and what fails."""

    @strawberry.field
    def told(self) -> str | None:
        raise GraphQLError("told on purpose", extensions={"code": "OWN"})


class BatchTokens(Tokens):
    """A `BatchAuthenticator`, which kept answers need."""

    headers = (b"authorization", b"x-test-address")


class NoHello(ValidationRule):
    """Refuses the field `hello`."""

    def enter_field(self, node: Any, *_args: Any) -> None:
        LOG.append("visited")
        if node.name.value == "hello":
            self.report_error(GraphQLError("No hello here.", node))


def endpoint(
    client: Client, *extensions: Any, schema: type[strawberry.Schema] = strawberry.Schema, **options: Any
) -> GraphQLEndpoint[Scene]:
    """The endpoint over a schema with `extensions`."""
    return GraphQLEndpoint(
        schema(Query, extensions=extensions),
        authenticator=options.pop("authenticator", Tokens()),
        admission=make_admission(client),
        context=lambda caller, _, response: Scene(caller, response),
        **options,
    )


DEEP = "{items{nodes{parent{name}}}}"
ALIASED = "{a:hello b:hello c:hello}"

PROTECTIONS = {
    "introspection": (DisableIntrospection, "{__schema{queryType{name}}}", "disabled"),
    "depth": (lambda: QueryDepthLimiter(max_depth=2), DEEP, "maximum operation depth of 2"),
    "aliases": (lambda: MaxAliasesLimiter(max_alias_count=2), ALIASED, "3 aliases found"),
    "tokens": (lambda: MaxTokensLimiter(max_token_count=8), DEEP, "at most 8 tokens"),
    "rules": (lambda: AddValidationRules([NoHello]), "{hello}", "No hello here."),
}


@pytest.mark.parametrize("name", PROTECTIONS)
async def test_a_protective_extension_protects(client: Client, name: str) -> None:
    """What each of them is there to refuse is refused, again and again, and anything else runs."""
    extension, query, message = PROTECTIONS[name]
    codes = {"GRAPHQL_VALIDATION_FAILED", "TOO_MANY_TOKENS"}
    async with browse(endpoint(client, extension)) as http:
        for _ in range(3):
            error = (await http.ask(query)).json()["errors"][0]
            assert message in error["message"]
            assert error["extensions"]["code"] in codes
        assert await http.data("{echo}") == {"echo": None}
    async with browse(endpoint(client)) as http:
        await http.data(query)


@pytest.mark.filterwarnings("ignore:Passing an extension instance:DeprecationWarning")
async def test_an_instance_protects_like_a_class_and_is_not_shared_by_operations(client: Client) -> None:
    """Each operation sees its own context in an extension that was given as an instance."""

    class Own(SchemaExtension):
        async def on_operation(self) -> AsyncIterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - a generator, as the hook expects
            before = self.execution_context
            yield
            assert before is self.execution_context

    app = endpoint(client, DisableIntrospection(), MaxTokensLimiter(8), Own(), MaskErrors())
    async with browse(app) as http:
        assert (await http.ask("{__schema{queryType{name}}}")).json()["errors"]
        batch = [{"query": "{hello}"}, {"query": "{slow(seconds: 0)}"}, {"query": "{echo}"}] * 3
        answers = (await http.post("/graphql", json=batch)).json()
        assert [set(one["data"]) for one in answers] == [{"hello"}, {"slow"}, {"echo"}] * 3


async def test_rules_of_strawberry_look_once_and_others_at_each_operation(client: Client) -> None:
    """A factory's rules are known again; a rule that may depend on anything is asked each time."""
    extension = lambda: AddValidationRules([NoHello])  # noqa: E731 - a factory, as Strawberry's docs show it
    app = endpoint(client, lambda: QueryDepthLimiter(max_depth=2), lambda: MaxAliasesLimiter(2))
    async with browse(app) as http:
        await http.data("{echo}")
        await http.data("{echo}")
        prepared = app.engine.operations.known("{echo}")
        assert prepared is not None
        assert len(prepared.contributed) == 1
    LOG.clear()
    async with browse(endpoint(client, extension)) as http:
        await http.data("{echo}")
        await http.data("{echo}")
    assert LOG == ["visited"] * 2


async def test_caches_of_strawberry_cost_nothing_here(client: Client) -> None:
    """Documents are parsed and validated once anyway, so operations still run without any hooks."""
    app = endpoint(client, ParserCache, ValidationCache, lambda: ParserCache(maxsize=3))
    assert app.engine.extensions.are_bare(app.engine.extensions.fresh())
    async with browse(app) as http:
        assert await http.data("{hello}") == {"hello": "world"}


class Lax(SchemaExtension):
    """Leaves out a rule."""

    def on_operation(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        self.execution_context.validation_rules = self.execution_context.validation_rules[1:]
        yield


async def test_what_cannot_be_honoured_is_refused_with_what_to_do(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """When the endpoint is built, or at the first operation that shows it."""

    class OwnExecute(strawberry.Schema):
        async def execute(self, *args: Any, **kwargs: Any) -> Any:
            return await super().execute(*args, **kwargs)

    with pytest.raises(TypeError, match=r"DisableValidation cannot be honoured: .* Leave the extension out"):
        endpoint(client, DisableValidation)
    with pytest.raises(TypeError, match=r"OwnExecute overrides `execute`, .* put what it does into a schema extension"):
        endpoint(client, schema=OwnExecute)
    async with browse(endpoint(client, Lax)) as http:
        assert await http.code("{hello}") == "INTERNAL_SERVER_ERROR"
    assert "left out validation rules (ExecutableDefinitionsRule)" in caplog.text


async def test_kept_answers_are_not_given_past_an_extension_that_would_miss_them(client: Client) -> None:
    """An extension with hooks of its own must be named; those that have nothing to say of a kept answer need not."""
    cache = ByteCache(client, Generations(client))
    nobody: Any = {"authenticator": BatchTokens()}
    with pytest.raises(TypeError, match=r"Watcher would not see .* KeptAnswers\(unseen=\[Watcher\]\)"):
        endpoint(client, Watcher, kept=KeptAnswers(client, cache), **nobody)
    async with (
        endpoint(client, Watcher, kept=KeptAnswers(client, cache, unseen=[Watcher]), **nobody),
        endpoint(client, MaskErrors, lambda: QueryDepthLimiter(3), kept=KeptAnswers(client, cache), **nobody),
    ):
        pass


# --- errors ---


class Watcher(SchemaExtension):
    """Sees every phase, and what it has come to."""

    def on_operation(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        yield from self._around("operation")
        result: Any = self.execution_context.result
        errors: list[GraphQLError] = result.errors or []
        LOG.append(f"errors {[one.message for one in errors]}")

    def on_parse(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        yield from self._around("parse")

    def on_validate(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        LOG.append(f"type {self.execution_context.operation_type.value}")
        yield from self._around("validate")

    def on_execute(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        yield from self._around("execute")

    def _around(self, phase: str) -> Iterator[None]:
        LOG.append(f"{phase} of {self.execution_context.query}")
        yield
        LOG.append(f"{phase} failed" if self.execution_context.pre_execution_errors else f"{phase} done")

    def get_results(self) -> dict[str, Any]:
        return {"watched": True}


@pytest.mark.parametrize(
    ("query", "phases", "message"),
    [
        ("{hello", ["parse"], "Syntax Error"),
        ("{nothing}", ["parse", "validate"], "Cannot query field"),
        ("{items(first: 1000){totalCount}}", ["parse", "validate"], "A page holds at most"),
        ("query A{hello} query B{hello}", ["parse", "validate"], "several operations"),
    ],
)
async def test_hooks_see_documents_that_are_refused(
    client: Client, query: str, phases: Sequence[str], message: str
) -> None:
    """The phases are those that Strawberry would have run; what extensions tell is in the answer."""
    async with browse(endpoint(client, Watcher)) as http:
        for _ in range(2):
            LOG.clear()
            answer = (await http.ask(query)).json()
            failed = f"{phases[-1]} failed"
            begun = [one.partition(" of ")[0] for one in LOG if " of " in one]
            assert begun == ["operation", *phases]
            assert failed in LOG
            assert message in LOG[-1]
            assert message in answer["errors"][0]["message"]
            assert answer["extensions"] == {"watched": True}
            assert "data" not in answer


def raising(error: Exception, hook: str, *, late: bool) -> type[SchemaExtension]:
    """An extension whose `hook` raises, before its phase or after it."""

    async def raises(_self: SchemaExtension) -> AsyncIterator[None]:
        if late:
            yield
        raise error
        yield

    return type("Raises", (SchemaExtension,), {hook: raises})


class Suppressing(SchemaExtension):
    """Catches whatever is raised within its phases."""

    async def on_operation(self) -> AsyncIterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        try:
            yield
        except Exception:  # noqa: BLE001 - that is what it is for
            LOG.append("caught")

    on_execute = on_operation


@pytest.mark.parametrize("outer", [(), (Suppressing,)], ids=["alone", "suppressed"])
@pytest.mark.parametrize("hook", ["on_operation", "on_parse", "on_validate", "on_execute"])
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
async def test_an_error_that_a_hook_raises_is_the_answer(
    client: Client, hook: str, outer: tuple[type[SchemaExtension], ...], *, late: bool
) -> None:
    """It is told with its own code, no 500, and no other hook makes a success of it."""
    error = GraphQLError("Not today.", extensions={"code": "NOT_TODAY"})
    async with browse(endpoint(client, *outer, raising(error, hook, late=late))) as http:
        answer = await http.ask("{hello}")
        assert answer.status_code == 200
        (told,) = answer.json()["errors"]
        assert (told["message"], told["extensions"]) == ("Not today.", {"code": "NOT_TODAY"})
        assert not answer.json().get("data")
        assert "ratelimit" in answer.headers


async def test_masked_errors_are_masked_and_bugs_are_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """`MaskErrors` decides what is said; the code is that of the error, and a bug is in the log under its id."""
    caplog.set_level(logging.ERROR)
    async with browse(endpoint(client, MaskErrors)) as http:
        bug = (await http.ask("{bug}")).json()["errors"][0]
        assert bug["message"] == "Unexpected error."
        assert bug["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
        (record,) = caplog.records
        assert bug["extensions"]["id"] in record.getMessage()
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], ZeroDivisionError)
        caplog.clear()
        for query, code in (
            ("{told}", "OWN"),
            ("{forbidden}", "FORBIDDEN"),
            ("{nothing}", "GRAPHQL_VALIDATION_FAILED"),
        ):
            error = (await http.ask(query)).json()["errors"][0]
            assert error["message"] == "Unexpected error."
            assert error["extensions"] == {"code": code}
            assert error["locations"] == [{"line": 1, "column": 2}]
        assert caplog.records == []

    def not_ours(error: GraphQLError) -> bool:
        return not isinstance(error.original_error, Forbidden)

    async with browse(endpoint(client, lambda: MaskErrors(not_ours, "Sorry."))) as http:
        errors = (await http.ask("{forbidden bugs{value}}")).json()["errors"]
        assert [one["message"] for one in errors] == ["not for you", *["Sorry."] * 5]
        assert errors[0]["extensions"] == {"code": "FORBIDDEN", "needs": "ADMIN"}
        assert len(caplog.records) == 1


class Forgetful(SchemaExtension):
    """Leaves out all errors."""

    def on_operation(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        yield
        result: Any = self.execution_context.result
        result.errors = None


class Tracing(SchemaExtension):
    """Adds an id to each error."""

    def on_execute(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        yield
        result: Any = self.execution_context.result
        for error in result.errors or ():
            error.extensions = {**(error.extensions or {}), "trace": "t1"}


async def test_no_extension_hides_or_shows_a_bug_by_chance(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """A bug that an extension leaves out is logged; one that it adds something to stays masked."""
    async with browse(endpoint(client, Forgetful)) as http:
        assert "errors" not in (await http.ask("{bug}")).json()
    assert [record.exc_info is not None for record in caplog.records] == [True]
    async with browse(endpoint(client, Tracing)) as http:
        answer = await http.ask("{bug}")
        error = answer.json()["errors"][0]
        assert error["message"] == "Internal server error"
        assert error["extensions"]["trace"] == "t1"
        assert "secret" not in answer.text
        assert (await http.ask("{told}")).json()["errors"][0]["extensions"] == {"code": "OWN", "trace": "t1"}


async def test_what_pydantic_refused_is_told_through_its_extension(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Each field with its message, as `PydanticErrorExtension` promises, and no bug in the log."""
    from pydantic import BaseModel

    class Person(BaseModel):
        age: int

    @strawberry.type
    class People:
        @strawberry.field
        def add(self, age: str) -> int:
            return Person(age=age).age  # pyright: ignore[reportArgumentType] - a client's text

    app = GraphQLEndpoint(
        strawberry.Schema(People, extensions=[PydanticErrorExtension]),
        admission=make_admission(client),
        context=lambda caller, _, response: Scene(caller, response),
    )
    async with browse(app) as http:
        error = (await http.ask('{add(age: "old")}')).json()["errors"][0]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert [one["field"] for one in error["extensions"]["validation_errors"]] == ["age"]
    assert caplog.records == []


async def test_the_schema_is_shown_every_error_once(client: Client) -> None:
    """`process_errors` sees what resolvers raise, what was refused, and what hooks raise, before it is masked."""
    seen: list[str] = []

    class Processing(strawberry.Schema):
        def process_errors(self, errors: list[GraphQLError], execution_context: Any = None) -> None:
            seen.extend(f"{execution_context.query}: {one.message}" for one in errors)

    async with browse(endpoint(client, schema=Processing)) as http:
        for query in ("{bug}", "{told}", "{nothing}", "{hello", "{hello}"):
            await http.ask(query)
    assert [one.partition(":")[0] for one in seen] == ["{bug}", "{told}", "{nothing}", "{hello"]
    assert "secret" in seen[0]
    seen.clear()
    failing = raising(GraphQLError("no"), "on_execute", late=False)
    async with browse(endpoint(client, MaskErrors, failing, schema=Processing)) as http:
        await http.ask("{hello}")
    assert seen == ["{hello}: no"]


# --- an operation that hooks change ---


class Swap(SchemaExtension):
    """Puts another operation in place of the one that was sent."""

    text = "{echo}"

    def on_parse(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        self.execution_context.graphql_document = parse(self.text)
        yield


class Rewrite(SchemaExtension):
    """Changes text and variables."""

    def on_operation(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        self.execution_context.query = "query($t: String){echo(text: $t)}"
        self.execution_context.variables = {"t": "changed"}
        yield


async def test_an_operation_that_a_hook_changed_passes_every_check_again(client: Client) -> None:
    """What it puts in place runs, unless it is invalid or too large."""
    async with browse(endpoint(client, Swap)) as http:
        assert await http.data("{hello}") == {"echo": None}
    async with browse(endpoint(client, Rewrite)) as http:
        assert await http.data("{hello}") == {"echo": "changed"}
    for text, code in (
        ("{nothing}", "GRAPHQL_VALIDATION_FAILED"),
        ("{items(first: 1000){totalCount}}", "BAD_USER_INPUT"),
        ("mutation{note}", "GRAPHQL_VALIDATION_FAILED"),
    ):
        async with browse(endpoint(client, type("Other", (Swap,), {"text": text}))) as http:
            assert await http.code("{hello}") == code


async def test_a_limit_of_another_admission_counts_too(client: Client) -> None:
    """`RateLimit` charges what it was given, beside the admission of the endpoint."""
    second = make_admission(client, anonymous=2, prefix="second")
    async with browse(endpoint(client, lambda: RateLimit(second))) as http:
        await http.data("{hello}")
        await http.data("{hello}")
        answer = await http.ask("{hello}")
    assert answer.status_code == 429
    assert answer.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
