"""A small schema whose answers may be kept, over a cache and a truth that tests change."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import strawberry
from starlette.requests import HTTPConnection  # noqa: TC002 - Strawberry reads annotations at run time
from starlette.responses import Response  # noqa: TC002 - the same
from strawberry.types import Info

from graph.endpoint.admission import Admission, RateLimit
from graph.endpoint.declare import Scope, cached, do_not_keep, keep_until, uncached
from graph.endpoint.document import OperationRequest
from graph.endpoint.identity import Caller
from graph.endpoint.kept import KeptAnswers
from graph.patterns.cache import ByteCache, Cache
from graph.patterns.client import command
from graph.patterns.limiter import Limiter, passage_command
from tests.support.apps.express import ExchangingEndpoint
from tests.support.apps.live import NOWHERE, Notes
from tests.support.apps.small import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from strawberry.schema.config import StrawberryConfig

    from graph.endpoint.document import Bounds
    from graph.endpoint.observe import OperationMetrics, Tracing
    from graph.endpoint.websocket import SocketLimits
    from graph.patterns.client import Client, Command, Reply
    from graph.patterns.limiter import Charge
    from tests.support.models.truth import Truth


class KeyTokens(Tokens):
    """A token signs in the user that it names as long as the session's key exists."""

    headers = frozenset({b"authorization", b"x-test-address"})

    def __init__(self, client: Client) -> None:
        self.client = client

    def commands(self, token: str | None) -> list[Command]:
        return [] if token is None else [command("GET", self.key(token))]

    def caller(self, replies: Sequence[Reply], *, token: str | None, address: str) -> Caller:
        if replies and isinstance(replies[0], Exception):
            raise replies[0]
        user = token if replies and replies[0] is not None else None
        problem = "ended" if token is not None and user is None else None
        return Caller(address, user=user, token=token, problem=problem)

    async def authenticate(self, connection: HTTPConnection, payload: Any = None) -> Caller:
        token = self.token(connection.headers, payload)
        replies = await self.client.batch(*self.commands(token))
        return self.caller(replies, token=token, address=self.address(connection))

    def guard(self, token: str | None) -> str | None:
        return None if token is None else self.key(token)

    def turnstile(self, token: str | None, charge: Charge) -> Command | None:
        return passage_command(charge, guards=[] if token is None else [self.key(token)])

    @staticmethod
    def key(token: str) -> str:
        return f"test:session:{{{token}}}"


@dataclass
class Sight:
    """What a resolver sees."""

    app: AnswersApp
    _caller: Caller
    response: Response | None
    viewer_touched: bool = False

    @property
    def caller(self) -> Caller:
        self.viewer_touched = True
        return self._caller


@strawberry.type
class Thing:
    """A versioned thing."""

    key: str
    version: int

    @strawberry.field
    def owner(self, info: Info[Sight, None]) -> str | None:
        return info.context.caller.user

    @strawberry.field(metadata=uncached())
    def now(self, info: Info[Sight, None]) -> int:
        return len(info.context.app.truth.loads)

    @strawberry.field(metadata=cached(30, scope=Scope.VIEWER))
    def note(self, info: Info[Sight, None]) -> str:
        return f"{info.context.caller.user}'s note on {self.key}"

    @strawberry.field
    def odd(self) -> int | None:
        if self.version % 2 == 0:
            raise ValueError("secret")
        return self.version


@strawberry.type
class Query:
    """What may be asked."""

    @strawberry.field(metadata=cached(300))
    async def thing(self, info: Info[Sight, None], key: str, delay: float = 0.0) -> Thing | None:
        app = info.context.app
        app.resolved += 1
        found = await app.cache.get(key, app.truth.load(key), tags=[key, "all"])
        await asyncio.sleep(delay)
        if app.gate is not None:
            await app.gate.wait()
        return Thing(key=key, version=found["version"]) if found else None

    @strawberry.field(metadata=cached(300, tags=lambda arguments: [f"direct:{arguments['key']}"]))
    async def direct(self, info: Info[Sight, None], key: str) -> int:
        info.context.app.resolved += 1
        return info.context.app.truth.versions[key]

    @strawberry.field
    async def plain(self, info: Info[Sight, None]) -> int:
        info.context.app.resolved += 1
        return info.context.app.resolved

    @strawberry.field(metadata=cached(300))
    async def cookie(self, info: Info[Sight, None]) -> int:
        info.context.app.resolved += 1
        assert info.context.response is not None
        info.context.response.set_cookie("seen", "yes")
        return info.context.app.resolved

    @strawberry.field(metadata=cached(300, scope=Scope.VIEWER))
    async def past(self, info: Info[Sight, None], until: float | None = None) -> int:
        if until is None:
            do_not_keep()
        else:
            keep_until(until)
        info.context.app.resolved += 1
        return info.context.app.resolved

    @strawberry.field(metadata=cached(300))
    async def things(self, info: Info[Sight, None], keys: list[str]) -> list[Thing]:
        app = info.context.app
        app.resolved += 1
        found = await app.cache.get_many(keys, app.truth.load_many, tags=lambda key: [key, "all"])
        return [Thing(key=key, version=found[key]["version"]) for key in keys if found[key] is not None]

    @strawberry.field(metadata=cached(300, scope=Scope.VIEWER))
    async def mine(self, info: Info[Sight, None]) -> Thing | None:
        app, user = info.context.app, info.context.caller.user
        if user is None:
            return None
        found = await app.cache.get(f"user:{user}", app.truth.load(f"user:{user}"), tags=[f"user:{user}"])
        return Thing(key=user, version=found["version"]) if found else None

    @strawberry.field(metadata=cached(1.5))
    async def brief(self, info: Info[Sight, None]) -> int:
        info.context.app.resolved += 1
        return info.context.app.resolved


@strawberry.type
class Mutation:
    """What may be changed."""

    @strawberry.mutation
    async def write(self, info: Info[Sight, None], key: str) -> int:
        app = info.context.app
        async with app.cache.invalidating(key):
            app.truth.versions[key] = app.truth.versions.get(key, 0) + 1
        return app.truth.versions[key]


SCHEMA = (Query, Mutation)


class AnswersApp:
    """One process: an endpoint with its lane, over Redis and a truth that it shares with others."""

    def __init__(
        self,
        client: Client,
        truth: Truth,
        *,
        limits: dict[str, Any] | None = None,
        beta: float = 0,
        express: bool = False,
        sight: Callable[[Sight], Any] = lambda sight: sight,
        sockets: SocketLimits | None = None,
        metrics: OperationMetrics | None = None,
        tracing: Tracing | None = None,
        bounds: Bounds | None = None,
        config: StrawberryConfig | None = None,
        **options: Any,
    ) -> None:
        """With `express` requests take their routes from the second sighting on; see `ExchangingEndpoint`.

        `sight` may make another context of the usual one; with `sockets` it serves live queries.
        """
        settings: dict[str, Any] = {"authenticated": 100_000, "anonymous": 100_000, "prefix": "test", **(limits or {})}
        authenticator = KeyTokens(client)
        admission = Admission(Limiter(client), budget=authenticator.budget, **settings)
        self.truth = truth
        self.resolved = 0
        self.gate: asyncio.Event | None = None
        """What `thing` waits for before it gives what it has read."""
        self.cache = Cache(client, beta=0)
        self.answers = ByteCache(client, self.cache.generations, beta=beta, **options.pop("kept", {}))
        self.endpoint = ExchangingEndpoint(
            strawberry.Schema(Query, Mutation, extensions=[lambda: RateLimit(admission)], config=config),
            authenticator=authenticator,
            admission=admission,
            context=lambda caller, _, response: sight(Sight(self, caller, response)),
            kept=KeptAnswers(client, self.answers, **options, recognise=express, eager=True, mutations=express),
            bounds=bounds,
            sockets=sockets,
            metrics=metrics,
            tracing=tracing,
        )

    async def follow(
        self,
        query: str,
        user: str | None = None,
        address: str = "here",
        sink: Notes | None = None,
        operation: str | None = None,
        **variables: Any,
    ) -> Notes:
        """Run `operation` of `query` for `user` into a sink of its own."""
        sink = sink or Notes()
        request = OperationRequest(query, variables or None, operation, None)
        caller = Caller(address, user=user, token=user)
        sink.close = await self.endpoint.streams.run(request, caller, NOWHERE, sink)
        return sink

    async def close(self) -> None:
        express = self.endpoint.express
        if express is not None and express.errands is not None:
            assert express.errands.running == 0  # those who count it would wait for ever
        await self.endpoint.close()
        await self.answers.close()
        await self.cache.close()
