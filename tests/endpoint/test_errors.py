"""What clients are told of failures, and what the log is."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, cast

import pytest
import strawberry
from graphql import GraphQLError
from prometheus_client import REGISTRY
from sqlalchemy.exc import OperationalError

from graph.endpoint import GraphQLEndpoint
from graph.endpoint.errors import MAX_MESSAGE, Presenter, coded
from graph.patterns.client import RedisUnavailable
from tests.support.apps.small import Scene, make_admission, make_endpoint
from tests.support.clients.browser import browse

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

    from graph.endpoint import Caller
    from graph.patterns.client import Client


async def test_a_bug_is_masked_and_logged_once(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """The client gets an id and nothing of the bug; the log gets the bug, once, under that id."""
    async with browse(make_endpoint(client)) as http:
        answer = await http.ask("{bug}")
    assert "secret" not in answer.text
    assert "Division" not in answer.text
    (error,) = answer.json()["errors"]
    assert error["message"] == "Internal server error"
    assert error["path"] == ["bug"]
    assert set(error["extensions"]) == {"code", "id"}
    (record,) = caplog.records
    assert error["extensions"]["id"] in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


async def test_one_bug_in_many_places_is_one_log_record(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """A list whose every entry fails for the same reason fills neither the log nor the reader's time."""
    async with browse(make_endpoint(client)) as http:
        errors = (await http.ask("{bugs{value}}")).json()["errors"]
    assert len(errors) == 5
    assert len({error["extensions"]["id"] for error in errors}) == 1
    assert len(caplog.records) == 1


async def test_a_result_of_the_wrong_type_is_a_bug(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """What a resolver returns by mistake is neither shown nor blamed on the client."""
    async with browse(make_endpoint(client)) as http:
        answer = await http.ask("{wrong}")
    assert "secret" not in answer.text
    assert answer.json()["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert len(caplog.records) == 1


@strawberry.interface
class Animal:
    """What an abstract field has."""

    name: str


@strawberry.type
class Cat(Animal):
    """One of them."""


@strawberry.type
class Dog(Animal):
    """Another, that takes nothing for one."""

    @classmethod
    def is_type_of(cls, _value: object, _info: object) -> bool:
        """False."""
        return False


@strawberry.type
class Stone:
    """None of them."""

    name: str


def secret() -> Any:
    """What is shown to nobody."""
    return Stone(name="the secret")


@strawberry.type
class Wrong:
    """Fields whose resolvers return what they cannot be."""

    numbers: list[int] | None = strawberry.field(resolver=secret)
    animal: Animal | None = strawberry.field(resolver=secret)
    animals: list[Animal] | None = strawberry.field(resolver=lambda: cast("Any", [Cat(name="a"), secret()]))
    cat: Cat | None = strawberry.field(resolver=secret)
    dog: Dog | None = strawberry.field(resolver=lambda: Dog(name="the secret"))


async def not_a_stream() -> AsyncGenerator[int]:
    """Made into what returns none below."""
    yield 1


def returns_none(*_given: object, **_named: object) -> Any:
    """In place of it."""
    return secret()


def scene(caller: Caller, _connection: HTTPConnection, response: Response | None) -> Scene:
    """The context."""
    return Scene(caller, response)


@strawberry.type
class WrongStream:
    """The same for a subscription."""

    numbers: AsyncGenerator[int] = strawberry.subscription(resolver=not_a_stream)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    "query", ["{numbers}", "{animal{name}}", "{animals{name}}", "{cat{name}}", "{dog{name}}", "subscription{numbers}"]
)
async def test_whatever_a_resolver_returns_by_mistake_is_a_bug(
    client: Client, caplog: pytest.LogCaptureFixture, query: str, *, compiled: bool
) -> None:
    """A list, an object, an abstract type, a stream: nothing of the value is shown, and the log has it once."""
    schema = strawberry.Schema(Wrong, subscription=WrongStream, types=[Cat, Dog])
    schema._schema.subscription_type.fields["numbers"].subscribe = returns_none  # pyright: ignore[reportOptionalMemberAccess]
    made = GraphQLEndpoint(schema, admission=make_admission(client), context=scene, compiled=compiled)
    async with browse(made) as http:
        answer = await http.ask(query, headers={"accept": "text/event-stream"})
    assert "secret" not in answer.text
    assert '"code":"INTERNAL_SERVER_ERROR"' in answer.text
    assert len(caplog.records) == 1


async def test_an_expected_error_is_passed_on(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """A domain error reaches the client with its message, code and details, and is no log record."""
    async with browse(make_endpoint(client)) as http:
        answer = (await http.ask("{forbidden hello}")).json()
    (error,) = answer["errors"]
    assert error["message"] == "not for you"
    assert error["extensions"] == {"code": "FORBIDDEN", "needs": "ADMIN"}
    assert answer["data"] == {"forbidden": None, "hello": "world"}
    assert caplog.records == []


async def test_traces_and_suggestions_are_for_debugging(client: Client) -> None:
    """Stack traces and "did you mean" are shown with `debug` and never without."""
    async with browse(make_endpoint(client)) as http:
        assert "Did you mean" not in (await http.ask("{hallo}")).text
        assert "stacktrace" not in (await http.ask("{bug}")).text
    async with browse(make_endpoint(client, debug=True)) as http:
        assert "Did you mean" in (await http.ask("{hallo}")).text
        (error,) = (await http.ask("{bug}")).json()["errors"]
        assert "secret 1" in error["extensions"]["exception"]
        assert "ZeroDivisionError" in "".join(error["extensions"]["stacktrace"])


async def test_refusals_are_counted_by_their_code(client: Client) -> None:
    """What did not run is counted, whether it fell to HTTP, to the document or to the limit."""

    def counted(code: str) -> float:
        return REGISTRY.get_sample_value("graph_refusals_total", {"code": code}) or 0.0

    codes = ("UNSUPPORTED_MEDIA_TYPE", "GRAPHQL_PARSE_FAILED", "RATE_LIMITED")
    before = [counted(code) for code in codes]
    async with browse(make_endpoint(client, limits={"anonymous": 1})) as http:
        await http.post("/graphql", content="{}", headers={"content-type": "text/plain"})
        await http.ask("{")
        await http.ask("{hello}")
    assert [counted(code) for code in codes] == [number + 1 for number in before]


def test_a_code_of_another_library_is_not_ours(caplog: pytest.LogCaptureFixture) -> None:
    """SQLAlchemy's exceptions have a `code`, and their message is the statement: they are masked like any bug."""
    cause = OperationalError("SELECT secret", {"password": "secret"}, Exception("secret"))
    assert cause.code
    (shown,) = Presenter().present([GraphQLError(str(cause), original_error=cause)])
    assert shown["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert "secret" not in str(shown)
    assert len(caplog.records) == 1


def test_redis_being_away_is_not_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    """A resolver that loses Redis says so under its own code, without telling where Redis lives."""
    cause = RedisUnavailable("cannot connect to redis://secret-host")
    (shown,) = Presenter().present([GraphQLError(str(cause), original_error=cause)])
    assert shown["extensions"] == {"code": "UNAVAILABLE"}
    assert "secret-host" not in str(shown)
    assert caplog.records == []


def test_every_error_has_a_message() -> None:
    """As graphql-core gives one where a permission, say, has none."""
    (shown,) = Presenter().present([GraphQLError("")])
    assert shown["message"] == GraphQLError("").formatted.get("message")


def test_messages_are_not_an_echo_chamber() -> None:
    """What a client wrote comes back shortened."""
    (kept,) = coded([GraphQLError("x" * 10_000)], "BAD_REQUEST")
    (shown,) = Presenter().present([GraphQLError("y" * 10_000)])
    assert len(kept.message) == len(shown["message"]) == MAX_MESSAGE


def test_what_a_scalar_says_about_a_value_is_the_clients_matter() -> None:
    """An exception of a scalar's parser, met before execution, is bad input and not a bug."""
    cause = ValueError("not a decimal: x")
    (kept,) = coded([GraphQLError("Expected Decimal; not a decimal: x", original_error=cause)], "BAD_USER_INPUT")
    (shown,) = Presenter().present([kept])
    assert shown == {"message": "Expected Decimal; not a decimal: x", "extensions": {"code": "BAD_USER_INPUT"}}


def test_a_bug_that_several_requests_have_in_common_is_logged_whole_for_each(caplog: pytest.LogCaptureFixture) -> None:
    """As that of a load that they share: every line says where it was raised, and where its cause was."""

    def load() -> None:
        try:
            {}["inner"]
        except LookupError as error:
            raise RuntimeError("outer") from error

    with pytest.raises(RuntimeError) as raised:
        load()
    shared = raised.value
    for _ in range(2):
        Presenter().raised(shared)
    assert [one.exc_info is not None and one.exc_info[2] is not None for one in caplog.records] == [True, True]
    assert shared.__cause__ is not None
    assert shared.__cause__.__traceback__ is not None
