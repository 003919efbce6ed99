"""Where the answers to one operation go, whatever carries them: a WebSocket, an SSE response, a multipart response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, cast

import orjson

from graph.endpoint.errors import Presenter, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import HTTPConnection

    from graph.endpoint.identity.caller import Caller


T = TypeVar("T")


class Sink(Protocol):
    """Takes the answers to one operation. Nothing here waits: a slow client has a bounded queue of its own."""

    def next(self, payload: str, *, latest: bool = False, cursor: str | None = None) -> None:
        """Take one result: ready JSON of an execution result, the same string for all who share it.

        While the client is slow, results queue up to a bound. With `latest` a newer result replaces the one that
        waits; otherwise a full queue ends the operation with SLOW_CONSUMER and the `cursor` of the last result that
        was sent.
        """
        ...

    def error(self, errors: str) -> None:
        """End the operation: it was refused, or its stream broke. `errors` is the JSON list of GraphQL errors."""
        ...

    def complete(self) -> None:
        """End the operation: there is nothing more to say."""
        ...


class OperationRequest(NamedTuple):
    """What a client asks for, as any transport delivers it; members are of the right JSON type, nothing more."""

    query: str | None
    variables: Mapping[str, Any] | None
    operation_name: str | None
    extensions: Mapping[str, Any] | None
    document_id: str | None = None


def parse_operation(value: object) -> OperationRequest:
    """One operation from its JSON object; raises `Refusal` for a member of the wrong type, others are ignored."""
    if not isinstance(value, dict):
        raise Refusal("BAD_REQUEST", "An operation is a JSON object.")
    members = cast("dict[str, Any]", value)
    return OperationRequest(
        _member(members, "query", str, "a string"),
        _member(members, "variables", dict, "an object"),
        _member(members, "operationName", str, "a string"),
        _member(members, "extensions", dict, "an object"),
        _member(members, "documentId", str, "a string"),
    )


def _member(members: Mapping[str, Any], name: str, kind: type[T], meaning: str) -> T | None:
    value = members.get(name)
    if value is not None and not isinstance(value, kind):
        raise Refusal("BAD_REQUEST", f"`{name}` must be {meaning} or null.")
    return value


class Runner(Protocol):
    """Runs operations for transports that keep a connection open."""

    async def run(
        self, request: OperationRequest, caller: Caller, connection: HTTPConnection, sink: Sink
    ) -> Callable[[], None] | None:
        """Admit, prepare and execute `request`; hand every answer, a refusal too, to `sink`.

        Returns when a query or mutation has been answered, or when a subscription stands: then the callable returned
        ends it without a further word to the sink. Raises nothing but cancellation.
        """
        ...


def refusal(code: str, message: str, **extensions: str | float) -> str:
    """The JSON list of errors that refuses an operation for `code`, as `Sink.error` takes it."""
    return refused(Refusal(code, message, headers=None, **extensions))


def refused(error: Refusal) -> str:
    """The same for an `error` that was raised."""
    return orjson.dumps(Presenter().present([error])).decode()
