"""Reads a `multipart/form-data` body (RFC 7578) part by part, as its bytes come in, within bounds.

python-multipart takes the bytes apart; nothing is kept here but the pieces of the last bytes that came. A part has at
most eight headers of 4 KiB, a form at most `Bounds.form` bytes and as many parts as its reader allows. The whole form
must come within `Bounds.form_timeout` seconds, without a pause of `Bounds.body_timeout`.

Failure: every mistake is a `Refusal` with a 4xx. A client that disconnects raises `Disconnected`. Nothing is logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from graph.endpoint.errors import Refusal
from graph.endpoint.http.request import CLOSE, Disconnected, declared_length, refuse_compressed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import TypeAlias

    from starlette.datastructures import Headers
    from starlette.types import Receive

    from graph.endpoint.document import Bounds

FORM = "multipart/form-data"

_MAX_TYPE = 1_000  # characters of a Content-Type that is worth reading
# python-multipart would write a line for each mistake of a client.
_QUIET = logging.Logger("graph.endpoint.form", logging.CRITICAL + 1)  # noqa: LOG001 - no configuration can enable it


class PartHead(NamedTuple):
    """What the head of a part says: the field's name, and for a file the name and media type that the client gave."""

    name: str
    filename: str | None
    media: str


class _PartEnd(NamedTuple):
    """A part has ended."""


_Event: TypeAlias = "PartHead | bytes | _PartEnd"


def is_form(headers: Headers) -> bool:
    """Whether the body is said to be `multipart/form-data`."""
    return headers.get("content-type", "").lower().startswith(FORM)


class Form:
    """The form of one request; read each part's `data` before asking for the next part's `head`."""

    def __init__(self, receive: Receive, headers: Headers, bounds: Bounds, *, parts: int) -> None:
        """Read at most `parts` parts. Raises `Refusal` when the headers show that the form cannot be read."""
        refuse_compressed(headers)
        self.size = declared_length(headers)
        """Bytes of the whole form as the client says; None where it does not."""
        self._bounds = bounds
        if self.size is not None and self.size > bounds.form:
            raise self._too_large()
        self._receive = receive
        self._until = asyncio.get_running_loop().time() + bounds.form_timeout
        self._read = 0
        self._parts = parts
        self._more = True
        self._ended = False
        self._events: deque[_Event] = deque()
        self._field, self._value = bytearray(), bytearray()
        self._head: dict[bytes, bytes] = {}
        self._parser = self._parser_of(headers.get("content-type", ""))

    def _parser_of(self, content_type: str) -> MultipartParser:
        _, parameters = parse_options_header(content_type if len(content_type) <= _MAX_TYPE else FORM)
        boundary = parameters.get(b"boundary", b"")
        if not boundary:
            raise Refusal("BAD_REQUEST", "The Content-Type of a form names its boundary.", headers=CLOSE)
        try:
            parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._on_field,
                    "on_header_value": self._on_value,
                    "on_header_end": self._on_header,
                    "on_headers_finished": self._on_head,
                    "on_part_data": self._on_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise Refusal("BAD_REQUEST", "The boundary of the form is too long.", headers=CLOSE) from error
        parser.logger = _QUIET
        return parser

    # --- as its reader sees it ---

    async def head(self) -> PartHead | None:
        """The head of the next part; None when there is none, and the body was read to its end."""
        event = await self._next()
        while self._more and event is None:
            await self._feed()
        assert event is None or isinstance(event, PartHead)
        return event

    async def data(self) -> AsyncIterator[bytes]:
        """The bytes of the part whose head was read last."""
        while isinstance(event := await self._next(), bytes):
            yield event

    async def _next(self) -> _Event | None:
        while not self._events:
            if self._ended:
                return None
            await self._feed()
        return self._events.popleft()

    def close(self) -> None:
        """Nothing more is read."""
        self._parser.callbacks = {}  # the former lead here: a cycle, with all of the request

    # --- bytes ---

    async def _feed(self) -> None:
        """Take in what comes next."""
        if not self._more:
            raise Refusal("BAD_REQUEST", "The form ends before its last boundary.")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(min(loop.time() + self._bounds.body_timeout, self._until)):
                message = await self._receive()
        except TimeoutError as error:
            raise Refusal("REQUEST_TIMEOUT", "The form came too slowly.", headers=CLOSE) from error
        if message["type"] == "http.disconnect":
            raise Disconnected
        self._more = message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        self._read += len(piece)
        if self._read > self._bounds.form:
            raise self._too_large()
        if self._ended:  # what follows the last boundary means nothing (RFC 2046)
            return
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise Refusal("BAD_REQUEST", "The body is not a well-formed form.", headers=CLOSE) from error

    def _too_large(self) -> Refusal:
        most = self._bounds.form
        return Refusal("PAYLOAD_TOO_LARGE", f"A form holds at most {most} bytes.", headers=CLOSE, limit=most)

    # --- what python-multipart calls ---

    def _begin(self) -> None:
        self._parts -= 1
        if self._parts < 0:
            raise Refusal("TOO_MANY_FILES", "The form has too many parts.", headers=CLOSE, limit=self._bounds.files)
        self._head = {}

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._head.setdefault(bytes(self._field).lower(), bytes(self._value))
        self._field.clear()
        self._value.clear()

    def _on_head(self) -> None:
        disposition, parameters = parse_options_header(self._head.get(b"content-disposition", b"").decode("latin-1"))
        try:
            name = parameters[b"name"].decode()
            filename = parameters[b"filename"].decode() if b"filename" in parameters else None
        except (KeyError, UnicodeDecodeError) as error:
            raise Refusal("BAD_REQUEST", "Each part of a form has a name, in UTF-8.", headers=CLOSE) from error
        if disposition != b"form-data":
            raise Refusal("BAD_REQUEST", "Each part of a form is form-data.", headers=CLOSE)
        media = self._head.get(b"content-type", b"").decode("latin-1")
        self._events.append(PartHead(name, filename, media))

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _on_part_end(self) -> None:
        self._events.append(_PartEnd())

    def _on_end(self) -> None:
        self._ended = True
