"""Where the answers to one operation go, whatever carries them: a WebSocket, an SSE response, a multipart response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import orjson

from graph.endpoint.errors import Presenter, Refusal
from graph.endpoint.execution import encode
from graph.endpoint.subscriptions.patches import PiecesFormat

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import HTTPConnection

    from graph.endpoint.document import OperationRequest
    from graph.endpoint.execution import Answer
    from graph.endpoint.identity import Caller


class Sink(Protocol):
    """Takes the answers to one operation. Nothing here waits: a slow client has a bounded queue of its own.

    Once the operation has ended, whoever ended it, results are dropped.
    """

    @property
    def busy(self) -> bool:
        """Whether results wait, which `latest` would replace."""
        ...

    def next(self, payload: str, cursor: str | None = None) -> None:
        """Take one result: ready JSON of an execution result, the same string for all who share it.

        While the client is slow, results queue up to a bound. A full queue ends the operation with SLOW_CONSUMER and
        the `cursor` of the last result that was sent.
        """
        ...

    def latest(self, payload: str, cursor: str | None = None) -> None:
        """Take one result as `next` does, in place of those that wait."""
        ...

    async def drained(self) -> None:
        """Wait until no result waits for the client."""
        ...

    def error(self, errors: str, extensions: str = "") -> None:
        """End the operation: it was refused, or its stream broke. `errors` is the JSON list of GraphQL errors.

        `extensions` is JSON of those of the result, for protocols that have a place for them; empty for none.
        """
        ...

    def complete(self) -> None:
        """End the operation: there is nothing more to say."""
        ...


class Runner(Protocol):
    """Runs operations for transports that keep a connection open."""

    async def run(
        self,
        request: OperationRequest,
        caller: Caller,
        connection: HTTPConnection,
        sink: Sink,
        form: PiecesFormat = PiecesFormat.LEGACY,
    ) -> Callable[[], None] | None:
        """Admit, prepare and execute `request`; hand every answer, a refusal too, to `sink`.

        An answer in pieces has the format `form`.

        Returns when a query or mutation has been answered, or when a subscription stands: then the callable returned
        ends it without a further word to the sink. Raises nothing but cancellation.
        """
        ...

    def errors(self, error: Exception) -> str:
        """What `Sink.error` takes for an exception of the transport's own; a bug is logged."""
        ...


def errors_json(code: str, message: str, **extensions: str | float) -> str:
    """The JSON list of errors that refuses an operation for `code`, as `Sink.error` takes it."""
    return refused(Refusal(code, message, places=None, headers=None, **extensions))


def refused(error: Refusal) -> str:
    """The same for an `error` that was raised."""
    return orjson.dumps(Presenter().present([error])).decode()


def ending(answer: Answer) -> tuple[str, str]:
    """What `Sink.error` takes for an answer that ends its operation."""
    return encode(answer.errors).decode(), encode(answer.extensions).decode() if answer.extensions else ""
