"""One execution of an operation whose answer may be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import orjson

from graph.endpoint.declare import Scope
from graph.endpoint.execution import blank_response, is_untouched
from graph.endpoint.identity import viewer_touched
from graph.endpoint.kept.approach import Fast, arrival_of, control, matches
from graph.patterns.cache import Made, digest_of

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

    from graph.endpoint.execution import Answer, Engine, Ready
    from graph.endpoint.kept.approach import Approach

Context = TypeVar("Context")


class Turn(Generic[Context]):
    """One execution of an operation for one request."""

    def __init__(
        self, engine: Engine[Context], ready: Ready, approach: Approach, connection: HTTPConnection, *, debug: bool
    ) -> None:
        """Run what is `ready`; with `debug` the answer tells how it was made."""
        self._engine = engine
        self._debug = debug
        self.ready = ready
        self.approach = approach
        self.connection = connection
        self.answer: Answer | None = None
        self.made: Made | None = None

    async def make(self) -> Made | None:
        """Execute the operation; return what may be kept of the answer."""
        response = blank_response()
        self.answer = answer = await self._engine.run(self.ready, self.connection, response)
        if self._keepable(answer, response):
            body = answer.encode()
            self.made = Made(body, self.approach.question.asked.policy.max_age, digest_of(body))
        return self.made

    def _keepable(self, answer: Answer, response: Response) -> bool:
        if not answer.executed or answer.data is None or answer.errors or answer.extensions or answer.status:
            return False
        if not is_untouched(response):
            return False
        return self.approach.question.asked.policy.scope is Scope.VIEWER or not viewer_touched(answer.context)

    def send(self, body: bytes, digest: str, age: int, how: str) -> Fast:
        """The answer `body`, `age` seconds after it was made; `how` is a word for the log."""
        connection = self.connection
        method, facts = arrival_of(connection)
        if facts is not None:
            facts.update(operation=self.ready.operation.name, cache=how)
        told = {
            **(self.answer or self.ready.ticket).headers,
            **control(self.approach.question.asked.policy.scope, digest, age),
        }
        etag = told["etag"]
        if method == "GET" and matches(connection.headers.get("if-none-match"), etag):
            return Fast(b"", 304, told, approach=self.approach, kept=how == "hit")
        if self._debug:
            body = b'%b,"extensions":%b}' % (body[:-1], orjson.dumps({"cache": {"status": how, "age": age}}))
        name = None if self._debug else digest
        return Fast(body, 200, told, approach=self.approach, name=name, kept=how == "hit")
