"""Operations on the product's schema over real services, through the endpoint that serves it.

Who asks is said and not proved, so that no test need sign anybody in; and no answer is kept, so that each operation is
executed. Everything else is as in production.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import httpx

from graph.api.context import Context
from graph.endpoint import Admission, Anonymous, Bounds, Caller, GraphQLEndpoint, RateLimit
from graph.patterns.limiter import Limiter
from tests.support.apps.one_schema import one_schema

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from starlette.requests import HTTPConnection
    from starlette.responses import Response

    from graph.patterns.client import Client
    from graph.services import Services

ANYBODY = Caller(address="192.0.2.1")
ADMIN = Caller(address="192.0.2.1", user="1", role="ADMIN")
SERVICE = Caller(address="192.0.2.1", user="3", role="SERVICE")
PLAYER = Caller(address="192.0.2.1", user="2", role="PLAYER")

_PLENTY = 4_000_000_000


class _Said(Anonymous):
    """Believes whoever a header says is asking."""

    def __init__(self) -> None:
        super().__init__()
        self.callers: list[Caller] = []

    async def authenticate(self, connection: HTTPConnection, payload: Mapping[str, Any] | None = None) -> Caller:
        return self.callers[int(connection.headers["x-caller"])]


class Api:
    """Runs operations; each has a context of its own, which `context` keeps for a look."""

    def __init__(self, services: Services, limiter: Limiter, bounds: Bounds | None = None) -> None:
        """Serve `services` within `bounds`, and count operations with `limiter`."""
        self.services = services
        self.context = Context(services, ANYBODY)
        self._said = _Said()
        admission = Admission(limiter, budget=self._said.budget, authenticated=_PLENTY, anonymous=_PLENTY)
        self.endpoint = GraphQLEndpoint(
            one_schema(extensions=[lambda: RateLimit(admission)]),
            admission=admission,
            authenticator=self._said,
            context=self._context,
            bounds=bounds,
        )
        self._web = httpx.AsyncClient(transport=httpx.ASGITransport(self.endpoint), base_url="http://test")

    def _context(self, caller: Caller, connection: HTTPConnection, response: Response | None) -> Context:
        self.context = Context(self.services, caller, connection, response)
        return self.context

    async def close(self) -> None:
        """Stop serving."""
        await self._web.aclose()
        await self.endpoint.close()

    async def execute(self, document: str, caller: Caller = ANYBODY, **variables: Any) -> dict[str, Any]:
        """The whole answer."""
        if caller not in self._said.callers:
            self._said.callers.append(caller)
        headers = {"content-type": "application/json", "x-caller": str(self._said.callers.index(caller))}
        body = json.dumps({"query": document, "variables": variables})  # escaped, so that lone surrogates can be sent
        answer: dict[str, Any] = (await self._web.post("/graphql", content=body, headers=headers)).json()
        return answer

    async def upload(
        self, document: str, caller: Caller, content: bytes, name: str, place: str = "variables.file"
    ) -> dict[str, Any]:
        """The whole answer to an operation with a file for its variable `file`."""
        if caller not in self._said.callers:
            self._said.callers.append(caller)
        form = {
            "operations": (None, json.dumps({"query": document, "variables": {"file": None}})),
            "map": (None, json.dumps({"0": [place]})),
            "0": (name, content),
        }
        headers = {"graphql-require-preflight": "1", "x-caller": str(self._said.callers.index(caller))}
        answer: dict[str, Any] = (await self._web.post("/graphql", files=form, headers=headers)).json()
        return answer

    async def __call__(self, document: str, caller: Caller = ANYBODY, **variables: Any) -> dict[str, Any]:
        """The data of an operation that has no errors."""
        answer = await self.execute(document, caller, **variables)
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    async def refused(self, document: str, caller: Caller = ANYBODY, **variables: Any) -> dict[str, Any]:
        """The extensions of the only error of an operation."""
        (error,) = (await self.execute(document, caller, **variables))["errors"]
        extensions: dict[str, Any] = error["extensions"]
        return extensions


@contextlib.asynccontextmanager
async def asking(services: Services, client: Client, bounds: Bounds | None = None) -> AsyncGenerator[Api]:
    """Serve `services` for the length of the block; operations are counted through `client`, apart from them."""
    api = Api(services, Limiter(client), bounds)
    try:
        yield api
    finally:
        await api.close()
