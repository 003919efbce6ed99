"""What a client sees when something fails, and what goes to the log instead.

Three kinds of failure reach a client, always as JSON with a stable ``extensions.code``:

- a `Refusal`, made by the endpoint (a body that is not JSON, a document too deep, an operation out of time);
- an expected error: a `GraphQLError` that a resolver raised on purpose, or any exception with a `code` in capitals and
  `extensions` (`graph.errors.DomainError`), passed on as it is;
- what Strawberry's own Relay support raises about a client's arguments (`first: -1`, a cursor or an id that is none);
- anything else is a bug: it is logged once under an id, and the client gets the id and nothing more. Errors of one
  answer that come from the same line and field, as in a list, share one id and one log record.

Redis being away is neither: it is `UNAVAILABLE`.

An extension of a schema may change or replace errors (Strawberry's `MaskErrors`). What it says is shown; the code stays
that of the error it changed, unless the extension gives one, and a bug is logged all the same.

Metric: ``graph_refusals_total{code}``, requests and operations that did not run, by the code they were answered.
"""

from __future__ import annotations

import logging
import re
import secrets
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import GraphQLError
from prometheus_client import Counter

from graph.endpoint.blame import (
    innermost,
    of_a_missing_node,
    of_a_node_of_another_type,
    of_a_result,
    of_another_node,
    of_relay,
)
from graph.patterns.broker import BadCursor, SlowConsumer
from graph.patterns.client import RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from graphql import Node

logger = logging.getLogger("graph.endpoint")

REFUSALS = Counter("graph_refusals_total", "Requests and operations that did not run, by code.", ["code"])

_CODE = re.compile("[A-Z][A-Z0-9_]+")

_NO_NODE = "There is nothing with this id."
_ANOTHER_NODE = "The id is that of something else than what is asked for here."

_UNEXPLAINED = "An unknown error occurred."
"""What graphql-core says for a message that is empty, as that of a permission without one is."""

_CAUSES = 10
"""Causes of an error, and causes of these, of which the frames are forgotten."""

MAX_MESSAGE = 500
"""Characters of a message that are sent: what a client wrote is never echoed at length."""

STATUS: Mapping[str, int] = {
    "BAD_REQUEST": 400,
    "BATCH_TOO_LARGE": 400,
    "CSRF_REFUSED": 403,
    "FORBIDDEN": 403,
    "METHOD_NOT_ALLOWED": 405,
    "NOT_ACCEPTABLE": 406,
    "REQUEST_TIMEOUT": 408,
    "PAYLOAD_TOO_LARGE": 413,
    "TOO_MANY_FILES": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "RATE_LIMITED": 429,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 503,
    "INTERNAL_SERVER_ERROR": 500,
}
"""The HTTP status of a refusal, whatever media type is answered. Any other code follows the rules of `negotiation`."""


class Refusal(GraphQLError):
    """A request refused as a whole: before any resolver ran, or because it ran out of time.

    `headers` go with an HTTP answer; over a WebSocket the code alone tells.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        places: Sequence[Node] | None = None,
        headers: Mapping[str, str] | None = None,
        **extensions: object,
    ) -> None:
        """Refuse for `code`, telling people `message`; `places` are its nodes, further `extensions` join the code."""
        super().__init__(message, places, extensions={"code": code, **extensions})
        self.code = code
        self.headers: Mapping[str, str] = headers or {}

    @property
    def status(self) -> int | None:
        """The HTTP status that this code always has; None when it depends on the media type of the answer."""
        return STATUS.get(self.code)


def coded(errors: Iterable[GraphQLError], code: str) -> list[GraphQLError]:
    """Copies of `errors`, which the client caused, under `code` where they have none.

    A copy has no cause: what a scalar's own parser raised about a value is a matter for the client, not a bug. It
    holds its place in the document as numbers, so that keeping the error does not keep the document.
    """
    return [_copy(error, code) for error in errors]


def _copy(error: GraphQLError, code: str) -> GraphQLError:
    extensions: dict[str, Any] = {"code": code, **(error.extensions or {})}
    if isinstance(error, Refusal):
        copy: GraphQLError = Refusal(message=error.message, headers=error.headers, **extensions)
    else:
        copy = GraphQLError(_short(error.message), path=error.path, extensions=extensions)
    copy.locations = error.locations
    _forget_frames((error,))
    return copy


def code_of(error: GraphQLError) -> str:
    """The code that `error` would be answered with."""
    extensions = _extensions(error)
    return str(extensions["code"]) if extensions is not None else "INTERNAL_SERVER_ERROR"


def _extensions(error: GraphQLError) -> dict[str, Any] | None:
    """What an expected error says in its extensions; None for a bug."""
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if cause is None or isinstance(cause, GraphQLError):
        raised = cause if cause is not None else error
        if of_a_result(raised) and not of_a_node_of_another_type(raised):
            return None
        return {"code": "BAD_USER_INPUT", **(error.extensions or {})}
    return _told(cause)


def _told(cause: Exception) -> dict[str, Any] | None:
    """The extensions that a client gets for an exception that is not a GraphQL error; None for a bug."""
    if isinstance(cause, RedisUnavailable):
        return {"code": "UNAVAILABLE"}
    if isinstance(cause, BadCursor) or of_relay(cause) or of_a_missing_node(cause):
        return {"code": "BAD_USER_INPUT"}
    if isinstance(cause, SlowConsumer):
        return {"code": "SLOW_CONSUMER", "cursor": cause.cursor}
    # Both, because other libraries' exceptions have a code, too: SQLAlchemy's, whose message is the statement.
    code, extensions = getattr(cause, "code", None), getattr(cause, "extensions", None)
    if isinstance(code, str) and _CODE.fullmatch(code) and isinstance(extensions, dict):
        return {**extensions, "code": code}
    return None


def as_graphql(error: Exception) -> GraphQLError:
    """`error` as graphql-core holds what a resolver raised."""
    return error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)


class Raised(NamedTuple):
    """An error as it was before any extension could change it."""

    error: GraphQLError
    message: str
    extensions: dict[str, Any]

    def is_still(self, error: GraphQLError) -> bool:
        """Whether `error` is it, and unchanged."""
        return error is self.error and error.message == self.message and (error.extensions or {}) == self.extensions


def as_raised(errors: Iterable[GraphQLError]) -> tuple[Raised, ...]:
    """Note what `errors` say now."""
    return tuple(Raised(one, one.message, dict(one.extensions or {})) for one in errors)


def _matched(errors: Sequence[GraphQLError], raised: Sequence[Raised]) -> list[Raised | None]:
    """For each of `errors` the one that it was, or stands for; None for one that is new."""
    same = {id(one.error): one for one in raised}
    found = [same.get(id(error)) for error in errors]
    if len(errors) == len(raised):
        return [mine or one for mine, one in zip(found, raised, strict=True)]
    taken = {id(one) for one in found}
    for place, error in enumerate(errors):
        if found[place] is None:
            left = (one for one in raised if id(one) not in taken and one.error.path == error.path)
            found[place] = one = next(left, None)
            taken.add(id(one))
    return found


class Presenter:
    """Turns errors into the JSON a client gets; `debug` adds the traceback of bugs."""

    def __init__(self, *, debug: bool = False, suggestions: bool | None = None) -> None:
        """Mask bugs, showing their tracebacks only with `debug`; `suggestions` of names, too, if left out."""
        self.debug = debug
        self.suggestions = debug if suggestions is None else suggestions

    def present(self, errors: Sequence[GraphQLError], raised: Sequence[Raised] = ()) -> list[dict[str, Any]]:
        """Give the `errors` member of an answer, logging each distinct bug once.

        `raised` are the errors before extensions could change them, or leave them out.
        """
        seen: dict[tuple[object, ...], dict[str, Any]] = {}
        if not raised:  # and nobody looks at the errors after this
            shown = [self._one(error, seen) for error in errors]
            _forget_frames([one for one in errors if _extensions(one) is not None])  # a bug's go to several logs
            return shown
        matched = _matched(errors, raised)
        known = {id(one) for one in matched}
        for one in raised:
            if id(one) not in known and _extensions(one.error) is None:
                self._bug(one.error.original_error or one.error, one.error.path, seen)
        return [
            self._one(error, seen) if was is None or was.is_still(error) else self._changed(error, was, seen)
            for error, was in zip(errors, matched, strict=True)
        ]

    def _changed(
        self, error: GraphQLError, was: Raised, seen: dict[tuple[object, ...], dict[str, Any]]
    ) -> dict[str, Any]:
        """Show `error`, which an extension made of what `was` raised, where that was."""
        error.locations = error.locations or was.error.locations
        added = {key: one for key, one in (error.extensions or {}).items() if was.extensions.get(key) != one}
        expected = _extensions(was.error)
        if expected is None and _of_pydantic(was.error, added):
            expected = {"code": "BAD_USER_INPUT"}
        if expected is not None:
            kept = expected if error is was.error else {"code": expected["code"]}
            said = _message(was.error) if error.message == was.message else error.message
            return _shown(error, said, {**kept, **added})
        masked = "Internal server error" if error.message == was.message else error.message
        bug = self._bug(was.error.original_error or was.error, was.error.path, seen)
        return _shown(error, masked, {**bug, **added})

    def raised(self, error: Exception) -> list[dict[str, Any]]:
        """The same for one exception, whatever raised it."""
        return self.present([as_graphql(error)])

    def _one(self, error: GraphQLError, seen: dict[tuple[object, ...], dict[str, Any]]) -> dict[str, Any]:
        extensions = _extensions(error)
        if extensions is not None:
            return _shown(error, _message(error), extensions)
        return _shown(error, "Internal server error", self._bug(error.original_error or error, error.path, seen))

    def _bug(
        self, cause: Exception, path: Sequence[str | int] | None, seen: dict[tuple[object, ...], dict[str, Any]]
    ) -> dict[str, Any]:
        field = tuple(name for name in path or () if isinstance(name, str))
        origin = (type(cause), field, *_where(cause.__traceback__))
        if origin not in seen:
            extensions: dict[str, Any] = {"code": "INTERNAL_SERVER_ERROR", "id": secrets.token_hex(8)}
            seen[origin] = extensions
            logger.error("error %s at %s", extensions["id"], path, exc_info=cause)
            if self.debug:
                extensions["exception"] = repr(cause)[:MAX_MESSAGE]
                extensions["stacktrace"] = traceback.format_exception(cause)
        return seen[origin]


def _forget_frames(errors: Iterable[GraphQLError]) -> None:
    """Let `errors` go of the frames that raised them, which lead back to them: a cycle, with all of the request."""
    for error in errors:
        left: BaseException | None = error
        for _ in range(_CAUSES):
            if left is None:
                break
            left.__traceback__ = None
            left = getattr(left, "original_error", None) or left.__cause__ or left.__context__


def _message(error: GraphQLError) -> str:
    """What a client is told of an expected error."""
    if isinstance(error.original_error, RedisUnavailable):
        return "A service this needs is away; try again."
    cause = error.original_error
    if of_a_missing_node(cause):
        return _NO_NODE
    return _ANOTHER_NODE if of_another_node(cause) or of_a_node_of_another_type(cause or error) else error.message


def _shown(error: GraphQLError, message: str, extensions: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"message": _short(message) or _UNEXPLAINED}
    if error.locations:
        shown["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path is not None:
        shown["path"] = list(error.path)
    shown["extensions"] = extensions
    return shown


def _of_pydantic(error: GraphQLError, added: Mapping[str, Any]) -> bool:
    """Whether Strawberry's `PydanticErrorExtension` has explained what a client sent that pydantic refused."""
    return "validation_errors" in added and type(error.original_error).__module__.startswith("pydantic")


def _short(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"


def _where(trace: TracebackType | None) -> tuple[object, ...]:
    """The innermost line of a traceback."""
    last = innermost(trace)
    return (last.tb_frame.f_code.co_filename, last.tb_lineno) if last is not None else ()
