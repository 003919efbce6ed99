"""Reads a request: its body, within bounds, and the operations that it asks for.

Every mistake is a `Refusal` with a 4xx; nothing that a client can send raises anything else. A client that disconnects
raises `Disconnected`, which is not logged as an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl

import orjson

from graph.endpoint.document import OperationRequest, is_shallow, parse_operation
from graph.endpoint.errors import Refusal
from graph.endpoint.http.negotiation import JSON, parse_media, utf8

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Receive

    from graph.endpoint.document import Bounds
    from graph.endpoint.execution import Deadlines

CLOSE = {"Connection": "close"}
"""Headers of a refusal after which nothing more is read from the connection."""

_MAX_FIELDS = 32  # of a query string
_DIGITS = 15  # of a Content-Length that is worth reading
_OPEN = (b"{", b"[")


class Disconnected(Exception):
    """The client disconnected before its request was complete."""


def check_head(headers: Headers, bounds: Bounds) -> None:
    """Refuse a POST whose headers show that its body cannot be read."""
    media = parse_media(headers.get("content-type", ""))
    if media.essence != JSON or not utf8(media):
        raise Refusal("UNSUPPORTED_MEDIA_TYPE", "The body must be application/json in UTF-8.", headers={"Accept": JSON})
    refuse_compressed(headers)
    declared = declared_length(headers)
    if declared is not None and declared > bounds.body:
        raise _too_large(bounds)


def refuse_compressed(headers: Headers) -> None:
    """Refuse a body that is compressed: nobody knows how large it is."""
    if headers.get("content-encoding", "identity").lower() not in {"", "identity"}:
        raise Refusal(
            "UNSUPPORTED_MEDIA_TYPE", "The body must not be compressed.", headers={"Accept-Encoding": "identity"}
        )


def declared_length(headers: Headers) -> int | None:
    """The Content-Length; None without one, at most 10^15."""
    declared = headers.get("content-length", "")
    if not declared.isdecimal():
        return None
    return int(declared) if len(declared) <= _DIGITS else 10**_DIGITS


async def read_body(receive: Receive, headers: Headers, bounds: Bounds, deadlines: Deadlines) -> bytes:
    """The body of a POST, at most `bounds.body` bytes, sent within the seconds of `deadlines`."""
    check_head(headers, bounds)
    with deadlines.start():
        return await _gather(receive, bounds)
    raise Refusal("REQUEST_TIMEOUT", "The body came too slowly.", headers=CLOSE)


async def _gather(receive: Receive, bounds: Bounds) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > bounds.body:
            raise _too_large(bounds)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(bounds: Bounds) -> Refusal:
    return Refusal("PAYLOAD_TOO_LARGE", f"A body holds at most {bounds.body} bytes.", headers=CLOSE, limit=bounds.body)


def decode(body: bytes, bounds: Bounds) -> Any:
    """`body` as JSON, not nested deeper than `bounds.json_depth`."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal("BAD_REQUEST", "The body is not valid JSON.") from error
    if sum(body.count(one) for one in _OPEN) > bounds.json_depth and not is_shallow(value, bounds.json_depth):
        raise Refusal("BAD_REQUEST", f"JSON may be nested {bounds.json_depth} deep.", limit=bounds.json_depth)
    return value


def parse_body(body: bytes, bounds: Bounds) -> OperationRequest | list[OperationRequest]:
    """The operation in `body`, or the operations of a batch."""
    return parse_operations(decode(body, bounds), bounds)


def parse_operations(value: object, bounds: Bounds) -> OperationRequest | list[OperationRequest]:
    """The operation in a JSON value, or the operations of a batch."""
    if not isinstance(value, list):
        return parse_operation(value)
    batch = cast("list[Any]", value)
    if not batch:
        raise Refusal("BAD_REQUEST", "The batch is empty.")
    if len(batch) > bounds.batch:
        raise Refusal("BATCH_TOO_LARGE", f"A batch holds at most {bounds.batch} operations.", limit=bounds.batch)
    return [parse_operation(one) for one in batch]


def parse_query_string(query: bytes, bounds: Bounds) -> OperationRequest:
    """The operation in the query string of a GET."""
    if len(query) > bounds.body:
        raise _too_large(bounds)
    try:
        given = dict(
            parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
        )
    except ValueError as error:
        raise Refusal("BAD_REQUEST", "The query string is not valid UTF-8, or has too many fields.") from error
    members: dict[str, Any] = {name: given.get(name) for name in ("query", "documentId")}
    members["operationName"] = given.get("operationName") or None
    for name in ("variables", "extensions"):
        members[name] = decode(given[name].encode(), bounds) if given.get(name) else None
    return parse_operation(members)
