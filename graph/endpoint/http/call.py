"""One HTTP request in progress, and how it is answered: by an `Answer`, or what was raised in its place."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

from graph.endpoint.errors import Refusal
from graph.endpoint.execution import encode
from graph.endpoint.http.negotiation import JSON, accepted
from graph.endpoint.http.request import Disconnected
from graph.endpoint.http.security import HEADERS
from graph.endpoint.kept import compressed, encoding_of
from graph.patterns.client import RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from graph.endpoint.execution import Answer, Engine
    from graph.endpoint.kept import Compressed, Fast, RawHeaders

logger = logging.getLogger("graph.endpoint")

NO_STORE = (b"cache-control", b"no-store")
VARY = (b"vary", b"Accept, Origin, Accept-Encoding")
_STATUSES = range(200, 600)
_BODILESS = frozenset({204, 304})
_OURS = frozenset({b"content-length", b"content-type", b"transfer-encoding"})

# RFC 9110, section 5: a name is a token, a value has no control characters.
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request; `cors` are headers that its answer needs."""

    receive: Receive
    send: Send
    request: Request
    cors: RawHeaders
    trace: RawHeaders = field(default_factory=list["tuple[bytes, bytes]"])
    """What tells the client of the trace that the request is part of."""
    arrived: dict[str, Any] = field(default_factory=dict[str, Any])
    """Its scope as it came, where later requests may be recognised by its head; empty otherwise."""
    began: float = field(default_factory=perf_counter)
    """When the request began, by `time.perf_counter`."""

    @property
    def scope(self) -> Scope:
        """The ASGI scope."""
        return self.request.scope

    async def answer(
        self,
        media: str,
        status: int,
        body: bytes,
        headers: Mapping[str, str],
        *responses: Response,
        encoded: str | None = None,
    ) -> None:
        """Send the whole answer, of type `media`, with the headers and cookies that resolvers set on `responses`.

        What they set counts over `headers` of the same name. Their background tasks run once it is sent; one that fails
        is logged. Raises ValueError for a status or a header that HTTP does not have.

        It is compressed in an encoding that the client accepts, unless `encoded` says that it is compressed already.
        """
        if status not in _STATUSES:
            raise ValueError(f"a resolver set the status {status}, with which no answer can end")
        if status in _BODILESS:
            body = b""  # a client would take it for the beginning of the next answer
        encoding = encoded or self.encoding(body)
        if encoding is not None and encoded is None:
            body = await compressed(body, encoding)
        length = [(b"content-length", b"%d" % len(body))] if status not in _BODILESS else []
        told = _set_on_all(responses)
        names = {name for name, _ in told}
        raw: RawHeaders = [
            (b"content-type", b"%b; charset=utf-8" % media.encode()),
            *length,
            *([(b"content-encoding", encoding.encode())] if encoding is not None else []),
            *HEADERS,
            *self.cors,
            *self.trace,
            *(
                (name.lower().encode(), value.encode("latin-1"))
                for name, value in headers.items()
                if not names or name.lower().encode() not in names
            ),
            *told,
        ]
        names = {name for name, _ in raw}
        if b"vary" not in names:
            raw.append(VARY)
        if b"cache-control" not in names:
            raw.append(NO_STORE)
        await self.start(status, raw, body)
        await run_background(responses)

    def encoding(self, body: bytes) -> str | None:
        """The encoding that the client accepts for `body`; None to send it unencoded."""
        return encoding_of(self.request.headers.get("accept-encoding"), len(body))

    async def start(self, status: int, headers: RawHeaders, body: bytes) -> None:
        """Send an answer with exactly these headers."""
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def set_headers(response: Response) -> RawHeaders:
    """The headers and cookies that resolvers set on `response`.

    Raises ValueError for a line break and its like, after which a client would read what follows as another header.
    """
    for name, value in response.raw_headers:
        if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            raise ValueError(f"a resolver set a header that HTTP cannot carry: {name!r}")
    return [pair for pair in response.raw_headers if pair[0] not in _OURS]


def _set_on_all(responses: Iterable[Response]) -> RawHeaders:
    """The same of several operations: all cookies, and of each header what was set last, as on one response."""
    raw: RawHeaders = []
    for told in map(set_headers, responses):
        names = {name for name, _ in told} - {b"set-cookie"}
        raw = [*(pair for pair in raw if pair[0] not in names), *told]
    return raw


async def run_background(responses: Iterable[Response]) -> None:
    """Run the background tasks that resolvers set on `responses`. The answer is sent, so what fails is logged."""
    for response in responses:
        if response.background is not None:
            try:
                await response.background()
            except Exception:
                logger.exception("a background task failed")


class Sending:
    """Sends what comes of the requests to one endpoint."""

    def __init__(self, engine: Engine[Any]) -> None:
        """Tell errors as `engine` does."""
        self._presenter = engine.presenter
        self._monitor = engine.monitor

    async def through(self, call: Call, work: Awaitable[None]) -> None:
        """Do the `work` of a call; whatever it raises is answered."""
        try:
            await work
        except Disconnected:
            return
        except Refusal as error:
            await self._refuse(call, error)
        except RedisUnavailable:
            away = Refusal("UNAVAILABLE", "The session cannot be checked right now.", headers={"Retry-After": "1"})
            await self._refuse(call, away)
        except Exception as error:  # noqa: BLE001 - a bug, to be masked and logged under an id
            self._monitor.failed()
            await call.answer(JSON, 500, encode({"errors": self._presenter.raised(error)}), {})

    async def _refuse(self, call: Call, error: Refusal) -> None:
        self._monitor.refused(error.code)
        media = accepted(call.request.headers.get("accept")).json or JSON
        body = encode({"errors": self._presenter.present([error])})
        await call.answer(media, error.status or 400, body, error.headers)

    async def fast(self, call: Call, media: str, fast: Fast, compressed: Compressed) -> None:
        """Send what the fast lane gave; `compressed` keeps its encoded forms."""
        if fast.body is None:
            assert fast.answer is not None
            await self.answer(call, media, fast.answer)
            return
        if fast.kept and fast.approach is not None:
            asked = fast.approach.question.asked
            self._monitor.kept(asked.prepared, asked.operation, perf_counter() - call.began, asked.cost)
        body, encoding = fast.body, None
        if fast.name is not None and (encoding := call.encoding(body)) is not None:
            body = await compressed.give(fast.name, encoding, body)
        await call.answer(media, fast.status, body, fast.headers, encoded=encoding)

    @staticmethod
    async def answer(call: Call, media: str, answer: Answer) -> None:
        """Send `answer` as `media`."""
        response = answer.response
        await call.answer(
            media, status_of(media, answer), answer.encode(), answer.headers, *([response] if response else [])
        )


def status_of(media: str, answer: Answer) -> int:
    """The HTTP status of `answer` as `media`."""
    status = answer.status or (answer.response.status_code if answer.response is not None else None)
    return status or (200 if answer.executed or media == JSON else 400)
