"""The answer to one operation, before a transport puts it into its own frame, and the response that resolvers see."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graph.endpoint.admission import Ticket
    from graph.endpoint.document import Operation


@dataclass(slots=True)
class Answer:
    """An execution result whose errors are ready to be shown.

    `executed` is False for a request that was refused before any resolver ran: such an answer has no `data` entry.
    `context` is the one that the resolvers saw.
    `status` is the HTTP status that the refusal has under any media type, None for what the media type decides.
    `response` is what resolvers and hooks set status, headers, cookies and background tasks on, where there is one.
    """

    data: Mapping[str, Any] | None = None
    errors: Sequence[Mapping[str, Any]] = ()
    extensions: Mapping[str, Any] | None = None
    executed: bool = True
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    ticket: Ticket | None = None
    operation: Operation | None = None
    context: Any = None
    response: Response | None = None

    def payload(self) -> dict[str, Any]:
        """The members of the GraphQL response."""
        members: dict[str, Any] = {}
        if self.errors:
            members["errors"] = self.errors
        if self.executed:
            members["data"] = self.data
        if self.extensions:
            members["extensions"] = self.extensions
        return members

    def encode(self) -> bytes:
        """The GraphQL response as JSON."""
        return encode(self.payload())


def blank_response() -> Response:
    """A response for resolvers to set things on, as Strawberry hands it out: its status is None until they set it."""
    response = Response.__new__(Response)  # one is made for each operation, and hardly any is touched
    vars(response).update(_blank(), raw_headers=[])
    return response


@cache
def _blank() -> dict[str, Any]:
    response = Response()
    response.status_code = None  # pyright: ignore[reportAttributeAccessIssue] - as Strawberry does
    return {name: value for name, value in vars(response).items() if name != "raw_headers"}


def is_untouched(response: Response) -> bool:
    """Whether nothing was set on a `blank_response`."""
    return not (response.raw_headers or response.status_code or response.background)


def encode(value: object) -> bytes:
    """`value` as JSON in UTF-8: by orjson, or by the standard library for what orjson does not accept.

    That is an integer of more than 64 bits, a lone surrogate in a string, or a key that is not a string.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, default=str, separators=(",", ":")).encode()
