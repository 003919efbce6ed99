"""A small schema of nobody's product behind the endpoint, for the tests of the endpoint itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator  # noqa: TC003 - Strawberry reads annotations at run time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import strawberry
from starlette.requests import HTTPConnection  # noqa: TC002 - the same
from starlette.responses import Response  # noqa: TC002 - the same
from strawberry.types import Info

from graph.endpoint import GraphQLEndpoint
from graph.endpoint.admission import Admission, RateLimit, current
from graph.endpoint.declare import cost
from graph.endpoint.document import Bounds
from graph.endpoint.identity import Caller
from graph.errors import Forbidden
from graph.patterns.limiter import Limiter, passage_command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.datastructures import Headers

    from graph.patterns.client import Client, Command, Reply
    from graph.patterns.limiter import Charge


class Tokens:
    """An `Authenticator` that believes ``Authorization: Bearer <name>`` and asks nobody."""

    def token(self, headers: Headers, payload: Mapping[str, Any] | None = None) -> str | None:
        value = str((payload or {}).get("authorization", "")) or headers.get("authorization", "")
        return value.removeprefix("Bearer ") or None

    def address(self, connection: HTTPConnection) -> str:
        return connection.headers.get("x-test-address") or (connection.client.host if connection.client else "local")

    def commands(self, token: str | None) -> list[Command]:
        return []

    def caller(self, replies: Sequence[Reply], *, token: str | None, address: str) -> Caller:
        return Caller(address, user=token, token=token)

    async def authenticate(self, connection: HTTPConnection, payload: Mapping[str, Any] | None = None) -> Caller:
        return self.caller((), token=self.token(connection.headers, payload), address=self.address(connection))

    def guard(self, token: str | None) -> str | None:
        return None

    def turnstile(self, token: str | None, charge: Charge) -> Command | None:
        return passage_command(charge)

    def budget(self, token: str | None) -> str | None:
        return None if token is None else f"test:budget:{{{token}}}"

    def watch(self, caller: Caller, on_ended: Callable[[], None]) -> Callable[[], None]:
        return lambda: None


@dataclass
class Scene:
    """What a resolver sees, and what the tests look at afterwards."""

    caller: Caller
    response: Response | None
    log: list[str] = field(default_factory=list[str])


LOG: list[str] = []


@strawberry.type
class Quota:
    """The caller's budget."""

    remaining: int


@strawberry.type
class Item:
    """Something with a name, in an endless graph."""

    id: int

    @strawberry.field
    def name(self) -> str:
        return f"item {self.id}"

    @strawberry.field
    def related(self, first: int = 3) -> list[Item]:
        return [Item(id=self.id * 10 + n) for n in range(first)]

    @strawberry.field
    def parent(self) -> Item:
        return Item(id=self.id - 1)


@strawberry.type
class ItemConnection:
    """A page of items."""

    nodes: list[Item]
    total_count: int


@strawberry.input(one_of=True)
class Pick:
    """One way to choose an item."""

    id: int | None = strawberry.UNSET
    name: str | None = strawberry.UNSET


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field
    def hello(self) -> str:
        return "world"

    @strawberry.field
    def echo(self, text: str | None = None) -> str | None:
        return text

    @strawberry.field
    def items(self, first: int = 10) -> ItemConnection:
        return ItemConnection(nodes=[Item(id=n) for n in range(first)], total_count=1000)

    @strawberry.field
    def pick(self, by: Pick) -> Item | None:
        return Item(id=by.id) if by.id else None

    @strawberry.field
    def whoami(self, info: Info[Scene, None]) -> str | None:
        return info.context.caller.user

    @strawberry.field
    def cookie(self, info: Info[Scene, None]) -> bool:
        assert info.context.response is not None
        info.context.response.set_cookie("seen", "yes")
        return True

    @strawberry.field
    def bug(self, times: int = 1) -> list[str | None]:
        raise ZeroDivisionError(f"secret {times}")

    @strawberry.field
    def bugs(self) -> list[Faulty]:
        return [Faulty() for _ in range(5)]

    @strawberry.field
    def wrong(self) -> int | None:
        return "secret"  # pyright: ignore[reportReturnType] - the bug is the point

    @strawberry.field
    def forbidden(self) -> str | None:
        raise Forbidden("not for you", needs="ADMIN")

    @strawberry.field
    async def slow(self, seconds: float) -> bool:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            LOG.append("cancelled")
            raise
        return True

    @strawberry.field(metadata=cost(30))
    def dear(self) -> int:
        return 1

    @strawberry.field(metadata=cost(0, free=True))
    def quota(self) -> Quota:
        ticket = current()
        assert ticket is not None
        assert ticket.verdict is not None
        return Quota(remaining=ticket.verdict.remaining)


@strawberry.type
class Faulty:
    """Something with a bug."""

    @strawberry.field
    def value(self) -> str | None:
        raise LookupError("secret")


@strawberry.type
class Mutation:
    """What can be changed."""

    @strawberry.mutation
    def note(self, text: str) -> str:
        LOG.append(text)
        return text


@strawberry.type
class Subscription:
    """What can be followed."""

    @strawberry.subscription
    async def count(self, to: int = 3) -> AsyncGenerator[int]:
        for n in range(to):
            yield n


def make_schema(admission: Admission | None = None) -> strawberry.Schema:
    """The schema, with the `RateLimit` extension where there is an `admission`."""
    return strawberry.Schema(
        Query,
        Mutation,
        Subscription,
        extensions=[lambda: RateLimit(admission)] if admission is not None else [],
    )


def make_admission(client: Client, **options: Any) -> Admission:
    """An admission on `client`, generous unless told otherwise."""
    limits: dict[str, Any] = {"authenticated": 100_000, "anonymous": 100_000, "prefix": "test", **options}
    return Admission(Limiter(client), budget=Tokens().budget, **limits)


def make_endpoint(
    client: Client, *, bounds: Bounds | None = None, limits: Mapping[str, Any] | None = None, **options: Any
) -> GraphQLEndpoint[Scene]:
    """The endpoint over that schema."""
    admission = make_admission(client, **(limits or {}))
    return GraphQLEndpoint(
        make_schema(admission),
        admission=admission,
        context=lambda caller, _, response: Scene(caller, response),
        bounds=bounds or Bounds.public(),
        sockets=None,
        authenticator=options.pop("authenticator", Tokens()),
        **options,
    )
