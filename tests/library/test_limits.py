"""Rate limits of plain Strawberry schemas, under each of Strawberry's views."""

from __future__ import annotations

from collections.abc import AsyncGenerator  # noqa: TC003 - Strawberry reads it at run time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import strawberry
from fastapi import FastAPI
from strawberry.asgi import GraphQL
from strawberry.fastapi import GraphQLRouter

from graph.library import RateLimit, Redis, limited
from graph.library.rates import limit_of
from harness.valkey import ValkeyServer

if TYPE_CHECKING:
    from starlette.types import ASGIApp


@strawberry.type
class Inner:
    """Something to nest in."""

    @strawberry.field(extensions=[limited("4/minute")])
    def rare(self) -> int:
        """A limited field below."""
        return 1


@strawberry.interface
class Noisy:
    """A field that types override, and one that they inherit."""

    @strawberry.field
    def shout(self) -> int:
        """Not limited here."""
        return 1

    @strawberry.field(extensions=[limited("3/minute")])
    def bark(self) -> int:
        """Limited for all types."""
        return 1


@strawberry.type
class Dog(Noisy):
    """Has a limit of its own."""

    @strawberry.field(extensions=[limited("1/minute")])
    def shout(self) -> int:
        """A limited one."""
        return 2


@strawberry.type
class Fox(Noisy):
    """Has inherited everything."""

    name: str = "Reynard"


@strawberry.type
class Query:
    """Reads."""

    @strawberry.field
    def noisy(self) -> list[Noisy]:
        """One of each."""
        return [Dog(), Fox()]

    @strawberry.field
    def one(self) -> int:
        """Not limited by itself."""
        return 1

    @strawberry.field
    def inner(self) -> Inner:
        """One."""
        return Inner()


@strawberry.type
class Mutation:
    """Writes."""

    @strawberry.mutation(extensions=[limited("2/minute", "3/day")])
    async def send(self) -> int:
        """Limited twice."""
        return 1


def schema(limit: Any) -> strawberry.Schema:
    """The schema under a limit."""
    return strawberry.Schema(Query, Mutation, types=[Dog, Fox], extensions=[limit])


def routed(schema: strawberry.Schema) -> ASGIApp:
    """Under the router for FastAPI."""
    app = FastAPI()
    app.include_router(GraphQLRouter(schema), prefix="/graphql")
    return app


def mounted(schema: strawberry.Schema) -> ASGIApp:
    """Under the ASGI application."""
    return GraphQL(schema)


def visitor(app: ASGIApp, key: str = "") -> httpx.AsyncClient:
    """Somebody with an API key."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t", headers={"x-api-key": key})


async def ask(http: httpx.AsyncClient, query: str, **variables: object) -> httpx.Response:
    """The answer to an operation."""
    return await http.post("/graphql", json={"query": query, "variables": variables})


def code(answer: httpx.Response) -> str | None:
    """The code of its first error."""
    errors = answer.json().get("errors")
    return errors[0].get("extensions", {}).get("code") if errors else None


@pytest.mark.parametrize("view", [routed, mounted])
async def test_the_fourth_operation_is_refused_and_told_when_to_come_again(redis: Redis, view: Any) -> None:
    """With status 429 and the headers of the draft, whichever view serves it; a syntax error counts."""
    async with visitor(view(schema(RateLimit(redis, "3/minute")))) as http:
        first = await ask(http, "{ one }")
        assert (first.status_code, first.headers["x-ratelimit-remaining"]) == (200, "2")
        assert first.headers["ratelimit-policy"] == '"3/minute";q=3;w=60'
        await ask(http, "{ one ")
        await ask(http, "{ unknown }")
        refused = await ask(http, "{ one }")
        assert (refused.status_code, code(refused), refused.json()["data"]) == (429, "RATE_LIMITED", None)
        assert 0 < int(refused.headers["retry-after"]) <= 60


async def test_two_schemas_share_what_a_caller_has_left(redis: Redis) -> None:
    """The budget is the caller's, in every process."""
    async with (
        visitor(routed(schema(RateLimit(redis, "1/minute")))) as one,
        visitor(routed(schema(RateLimit(redis, "1/minute")))) as two,
    ):
        assert [code(await ask(each, "{ one }")) for each in (one, two)] == [None, "RATE_LIMITED"]


async def test_a_key_has_a_plan(redis: Redis) -> None:
    """Callers are told apart by what `by` gives, and have the rates of their plan; no key holds that in clear."""
    plans = {"gold key {}": ["3/minute", "4/hour"], "": "1/minute"}

    def key(context: dict[str, Any]) -> str:
        return context["request"].headers["x-api-key"]

    app = routed(schema(RateLimit(redis, lambda context: plans[key(context)], by=key)))
    async with visitor(app) as anybody, visitor(app, "gold key {}") as gold:
        assert [code(await ask(anybody, "{ one }")) for _ in range(2)] == [None, "RATE_LIMITED"]
        assert [code(await ask(gold, "{ one }")) for _ in range(4)] == [None] * 3 + ["RATE_LIMITED"]
    keys = [name async for page in redis.client.scan("*") for name in page]
    assert not [name for name in keys if b"gold" in name]


async def test_a_limited_field_is_charged_with_its_operation_or_neither_is(redis: Redis) -> None:
    """One script charges all limits: what the field's limit refuses costs nothing of the operation's."""
    async with visitor(routed(schema(RateLimit(redis, "3/minute")))) as http:
        assert code(await ask(http, "mutation { a: send b: send }")) is None
        for _ in range(3):
            refused = await ask(http, "mutation { send }")
            assert (refused.status_code, refused.headers["ratelimit-policy"]) == (429, '"2/minute";q=2;w=60')
        assert (await ask(http, "{ one }")).headers["x-ratelimit-remaining"] == "1"


@pytest.mark.parametrize(
    ("query", "variables", "passes"),
    [
        ("mutation { a: send b: send c: send }", {}, False),
        ("mutation { ...Two c: send } fragment Two on Mutation { a: send b: send }", {}, False),
        ("mutation { ... { a: send } ... on Mutation { b: send } }", {}, True),
        ("mutation($no: Boolean!) { a: send b: send @skip(if: $no) c: send @include(if: false) }", {"no": True}, True),
        ("mutation($no: Boolean!) { a: send b: send c: send @skip(if: $no) }", {"no": False}, False),
        ("{ inner { a: rare b: rare c: rare d: rare } }", {}, True),
        ("{ x: inner { ...F } y: inner { ...F } } fragment F on Inner { a: rare b: rare c: rare }", {}, False),
    ],
)
async def test_each_place_in_the_document_counts(
    redis: Redis, query: str, variables: dict[str, object], *, passes: bool
) -> None:
    """Aliases, fragments and fields below are counted, what is skipped is not; without a limit for operations."""
    async with visitor(routed(schema(RateLimit(redis)))) as http:
        answer = await ask(http, query, **variables)
        assert code(answer) == (None if passes else "RATE_LIMITED")
        if not passes:
            assert "retry-after" not in answer.headers  # waiting does not help
        free = await ask(http, "{ one }")
        assert (free.status_code, "ratelimit" in free.headers) == (200, False)


async def test_fragments_that_double_do_not_take_long(redis: Redis) -> None:
    """60 fragments that each spread the next one twice ask for 2^60 fields."""
    doubled = " ".join(f"fragment F{n} on Inner {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
    query = f"{{ inner {{ ...F0 }} }} {doubled} fragment F60 on Inner {{ rare }}"
    async with visitor(routed(schema(RateLimit(redis)))) as http:
        assert code(await ask(http, query)) == "RATE_LIMITED"


async def test_a_limit_that_nobody_charges_is_told(redis: Redis) -> None:
    """A schema with a limited field and without RateLimit does not run it unlimited."""
    del redis
    result = await strawberry.Schema(Query, Mutation).execute("mutation { send }")
    assert result.errors
    assert "RateLimit" in str(result.errors[0].original_error)


@pytest.mark.parametrize(
    ("queries", "admitted"),
    [
        (["{ noisy { shout } }", "{ noisy { ... on Dog { shout } } }"], 1),
        (["{ noisy { bark } }", "{ noisy { ... on Dog { bark } } }", "{ noisy { ... on Fox { bark } } }"], 3),
    ],
    ids=["overridden", "inherited"],
)
async def test_asking_an_interface_is_no_way_around_a_limit(redis: Redis, queries: list[str], admitted: int) -> None:
    """A field has one budget, whether its type is asked for it or an interface that the type implements."""
    async with visitor(routed(schema(RateLimit(redis)))) as http:
        told = [code(await ask(http, query)) for _ in range(2) for query in queries]
        assert told == [None] * admitted + ["RATE_LIMITED"] * (len(told) - admitted)


def barker(sound: str) -> type[Any]:
    """A class that is no type of a schema, of a module of its own."""

    @strawberry.type
    class Barker:
        @strawberry.field(extensions=[limited("1/minute")])
        def bark(self) -> str:
            return sound

    Barker.__module__ = f"tests.{sound}"
    return Barker


@strawberry.type
class Terrier(barker("yap")):
    """Has inherited a limit."""


@strawberry.type
class Poodle(barker("woof")):
    """Has inherited another, of a class of the same name."""


@strawberry.type
class Whippet(Poodle):
    """Shares that of the poodle."""


@strawberry.type(name="Query")
class Dogs:
    """All of them."""

    @strawberry.field
    def terrier(self) -> Terrier:
        """One."""
        return Terrier()

    @strawberry.field
    def poodle(self) -> Poodle:
        """One."""
        return Poodle()

    @strawberry.field
    def whippet(self) -> Whippet:
        """One."""
        return Whippet()


async def test_two_classes_of_one_name_have_a_budget_each(redis: Redis) -> None:
    """What inherits of the one is not charged to the other, and what inherits of the same one is."""
    async with visitor(routed(strawberry.Schema(Dogs, extensions=[RateLimit(redis)]))) as http:
        told = [
            code(await ask(http, f"{{ {name} {{ bark }} }}")) for name in ("terrier", "poodle", "whippet", "terrier")
        ]
        assert told == [None, None, "RATE_LIMITED", "RATE_LIMITED"]


@strawberry.type
class Subscription:
    """Events."""

    @strawberry.subscription(extensions=[limited("1/minute")])
    async def ticks(self) -> AsyncGenerator[int]:
        """Two of them."""
        yield 1
        yield 2


async def test_a_subscription_is_charged_when_it_begins(redis: Redis) -> None:
    """Its events are not: it yields all that it has, and the next one is refused."""
    limits = RateLimit(redis)
    subscribed = strawberry.Schema(Query, subscription=Subscription, extensions=[limits])
    events: Any = await subscribed.subscribe("subscription { ticks }", context_value={})
    assert [(one.data, one.errors) async for one in events] == [({"ticks": 1}, None), ({"ticks": 2}, None)]
    refused: Any = [one async for one in await subscribed.subscribe("subscription { ticks }", context_value={})]  # pyright: ignore[reportUnknownVariableType, reportGeneralTypeIssues]
    assert refused[0].errors[0].extensions["code"] == "RATE_LIMITED"


async def later(_: Any) -> str:
    """A function that is not to be async."""
    return "1/minute"


def number(_: Any) -> int:
    """The number of a user, who has a name for `by`."""
    return 7


@pytest.mark.parametrize("wrong", [{"rate": later}, {"by": later}, {"by": number}], ids=["rate", "by", "number"])
async def test_a_function_that_gives_no_text_is_told_what_to_give(redis: Redis, wrong: dict[str, Any]) -> None:
    """Nothing runs unlimited, and the error names the argument."""
    options: dict[str, Any] = {"rate": "1/minute", **wrong}
    result = await schema(RateLimit(redis, **options)).execute("{ one }")
    assert result.data is None
    assert result.errors
    assert "of RateLimit is a function, not async" in str(result.errors[0].original_error or result.errors[0])


async def test_without_redis_each_process_grants_its_share() -> None:
    """Of operations and of fields."""
    with ValkeyServer() as server:
        server.kill()
        redis = Redis(server.url, prefix="test")
        async with visitor(routed(schema(RateLimit(redis, "4/minute", processes=2)))) as http:
            assert [code(await ask(http, "{ one }")) for _ in range(3)] == [None, None, "RATE_LIMITED"]
        await redis.close()


@pytest.mark.parametrize("text", ["", "20", "20/fortnight", "0/minute", "many/minute", "20/0s", "-1/s"])
def test_what_is_not_a_rate_is_refused_at_once(text: str) -> None:
    """Where it is written."""
    with pytest.raises(ValueError, match=r"rate|limit"):
        limit_of(text)


def test_rates_mean_what_they_say() -> None:
    """A count and a window."""
    texts = ("20/minute", "5 per 10s", "1000/day", "3/s", "10/2 hours", "1/15min", "7 per second")
    assert [(limit_of(text).count, limit_of(text).window) for text in texts] == [
        (20, 60), (5, 10), (1000, 86_400), (3, 1), (10, 7200), (1, 900), (7, 1),
    ]  # fmt: skip
