"""GraphQL over server-sent events, distinct connections mode: the frames of one response.

Source: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md. Lines end in LF alone: clients that split the
body at two LFs never find the end of a CRLF event. A result carries the cursor of its event as the event's id, which a
browser sends back as ``Last-Event-ID``. A comment keeps a quiet line open.
"""

from __future__ import annotations


class ServerSentEvents:
    """A `httpstream.Framing`."""

    content_type = b"text/event-stream; charset=utf-8"
    opening = b":\n\n"
    idle = b":\n\n"

    def next(self, payload: str, cursor: str | None) -> bytes:
        """A ``next`` event; JSON from the encoder has no line ends of its own."""
        tag = f"id: {cursor}\n" if cursor is not None and "\n" not in cursor else ""
        return f"event: next\n{tag}data: {payload}\n\n".encode()

    def error(self, errors: str) -> bytes:
        """A result that has nothing but errors, then the end: the protocol has no error event."""
        return self.next(f'{{"errors":{errors}}}', None) + self.complete()

    def complete(self) -> bytes:
        """A ``complete`` event; its data is empty, and present because an EventSource drops events without any."""
        return b"event: complete\ndata: \n\n"
