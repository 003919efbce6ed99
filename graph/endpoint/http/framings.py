"""The frames of a long response, as two protocols have them: server-sent events, and multipart/mixed.

Server-sent events, distinct connections mode: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md. Lines
end in LF alone: clients that split the body at two LFs never find the end of a CRLF event. A result carries the cursor
of its event as the event's id, which a browser sends back as ``Last-Event-ID``. A comment keeps a quiet line open.

Multipart, as Apollo's clients and router speak it:
https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol. Each part is followed by
the next delimiter at once: a client takes a part for whole only when it sees one. An empty object keeps a quiet line
open. The boundary stands without quotes, which some clients take for a part of it (Python's gql).
"""

from __future__ import annotations

_BOUNDARY = "graphql"
_NO_STORE = b"no-store, no-transform"
_HEAD = "\r\nContent-Type: application/json\r\n\r\n"
_NEXT = f"\r\n--{_BOUNDARY}"


def _part(body: str) -> bytes:
    return f"{_HEAD}{body}{_NEXT}".encode()


def _extended(extensions: str) -> str:
    """The last member of an object, or none."""
    return f',"extensions":{extensions}' if extensions else ""


class Multipart:
    """A `streaming.Framing`."""

    content_type = f"multipart/mixed; boundary={_BOUNDARY}; subscriptionSpec=1.0".encode()
    cache_control = _NO_STORE
    has_status = True
    opening = _NEXT.encode()
    idle = _part("{}")

    def next(self, payload: str, cursor: str | None) -> bytes:  # noqa: ARG002 - the protocol has no place for it
        """A part with the result."""
        return _part(f'{{"payload":{payload}}}')

    def error(self, errors: str, extensions: str = "") -> bytes:
        """A part with the errors that ended the operation, and the end."""
        return _part(f'{{"payload":null,"errors":{errors}{_extended(extensions)}}}') + self.complete()

    def complete(self) -> bytes:
        """What turns the delimiter already sent into the last one."""
        return b"--\r\n"


class MultipartPieces(Multipart):
    """A `streaming.Framing` of an answer in pieces: each part is one piece, and nothing is said meanwhile.

    Source: https://github.com/graphql/graphql-over-http/blob/main/rfcs/IncrementalDelivery.md.
    """

    idle = b""

    def __init__(self, content_type: bytes) -> None:
        """Call it `content_type`, which says the format of the pieces."""
        self.content_type = content_type

    def next(self, payload: str, cursor: str | None) -> bytes:  # noqa: ARG002 - the protocol has no place for it
        """A part with the piece."""
        return _part(payload)

    def error(self, errors: str, extensions: str = "") -> bytes:
        """A part with the errors that ended the answer, and the end."""
        return _part(f'{{"errors":{errors}{_extended(extensions)},"hasNext":false}}') + self.complete()


class ServerSentEvents:
    """A `streaming.Framing`."""

    content_type = b"text/event-stream; charset=utf-8"
    cache_control = b"no-cache, no-transform"  # as Strawberry has it; nothing in between may compress events
    has_status = False  # clients of the protocol read no body whose status is another than 200
    opening = b":\n\n"
    idle = b":\n\n"

    def next(self, payload: str, cursor: str | None) -> bytes:
        """A ``next`` event; JSON from the encoder has no line ends of its own."""
        tag = f"id: {cursor}\n" if cursor is not None and "\n" not in cursor else ""
        return f"event: next\n{tag}data: {payload}\n\n".encode()

    def error(self, errors: str, extensions: str = "") -> bytes:
        """A result without data, then the end: the protocol has no error event."""
        return self.next(f'{{"errors":{errors}{_extended(extensions)}}}', None) + self.complete()

    def complete(self) -> bytes:
        """A ``complete`` event; its data is empty, and present because an EventSource drops events without any."""
        return b"event: complete\ndata: \n\n"
