"""What `express` keeps of requests, and the types shared with the server underneath."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from graph.endpoint.observe import FACTS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.requests import Request
    from starlette.types import Scope

    from graph.endpoint.document import OperationRequest, Prepared
    from graph.endpoint.kept.approach import Question, Sender, Toll
    from graph.endpoint.kept.heads import Parts
    from graph.endpoint.observe import OperationSpan, Tracing
    from graph.patterns.cache import Look
    from graph.patterns.client import Command, Replies

EXCHANGE = "graph.exchange"
"""Where the scope of a request holds what the server underneath can do for it (`http.exchange.ServerExchange`)."""
_OF_EACH = frozenset({"headers", "state", EXCHANGE, FACTS})
"""What the scope of each request has for itself; all else is the same for all requests with one head."""

_CARRIED = frozenset({b"traceparent", b"tracestate"})


def copied(scope: Scope) -> Scope:
    """A copy of `scope` that has nothing of what resolvers put into it, or into a dict in it, from now on."""
    return {name: dict(value) if type(value) is dict else value for name, value in scope.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


RawHeaders: TypeAlias = "list[tuple[bytes, bytes]]"
"""Headers as ASGI has them."""


@dataclass(slots=True)
class Sight:
    """A request as it is recognised: the peer's address, and what the answer depends on."""

    peer: str
    parts: Parts
    asked: OperationRequest | None = None
    """The operation in its body, if that was read: whoever serves the request need not read it again."""
    span: OperationSpan | None = None
    """Its span, if it is traced: ended with the answer, or by whoever the request is handed on to."""
    prepared: Prepared | None = None
    """The document of that operation, if it is known."""


class ClientConnection(Protocol):
    """The connection that a recognised request came over."""

    client: tuple[str, int] | None
    """The address and port of its peer."""
    app_state: dict[str, Any]
    """What the lifespan left: the state of each request begins with it."""

    def answer(self, status: int, head: bytes, body: bytes) -> bool:
        """Send an answer whose header lines are `head`; False if that is not possible and nothing was sent."""
        ...

    def hand_on(self, left: Leftover | None) -> bool:
        """Pass the request to the application, with what was already done; False if the client has left."""
        ...

    def start(self, work: Coroutine[object, object, None]) -> None:
        """Run `work` in a task, which the server waits for when it stops."""
        ...

    def header_reader(self) -> Callable[[], RawHeaders]:
        """What gives all headers of the request that is under way, also when it is no more."""
        ...

    def conclude(self, status: int, head: bytes, body: bytes, *, last: bool = False) -> None:
        """Send the answer of what was executed, if there is still a client: it is not handed on any more.

        The connection ends after the `last` answer.
        """
        ...

    def abort(self) -> None:
        """Close it at once: its state is unknown."""
        ...


class Leftover(NamedTuple):
    """A request that was charged, or may have been, and is not answered yet."""

    media: str
    look: Look
    replies: Replies
    """The replies: the first to the turnstile, the others to `look`."""


class Gate(NamedTuple):
    """How a sender is charged for an operation of some weight, and the header lines that say so."""

    turnstile: Command
    head: bytes
    """Header lines of an answer, with `%` for: its length, a line with its encoding, units left, seconds to the reset,
    units left, the Unix time of it, age, digest."""
    unchanged: bytes
    """The same for status 304, which has neither length nor encoding."""


class Visit:
    """What is known about requests with one head."""

    __slots__ = ("accepts", "gates", "headers", "host", "lines", "media", "method", "peer", "scope", "sender", "tolls")

    def __init__(self, sender: Sender, media: str, headers: RawHeaders, request: Request, scope: Scope) -> None:
        """`request` is the first such one, and `scope` what it came with; answers have `headers`."""
        self.sender = sender
        self.method: str = scope["method"]
        self.media = media
        self.headers = headers
        self.lines = b"".join(b"%b: %b\r\n" % line for line in headers)
        client = scope.get("client")
        self.peer: str = client[0] if client else ""
        self.accepts = request.headers.get("accept-encoding")  # the encodings that the client takes
        self.host = request.headers.get("host", "").encode("latin-1")  # as a trusted proxy tells it
        self.scope: Scope = {name: value for name, value in scope.items() if name not in _OF_EACH}
        self.gates: dict[tuple[int, object], Gate | None] = {}  # by weight and scope
        self.tolls: dict[int, Toll] = {}  # by weight


class Ride:
    """A request at the turnstile: receives the replies to its batch."""

    __slots__ = ("arrive", "began", "body", "condition", "connection", "gate", "look", "question", "span", "visit")

    def __init__(  # noqa: PLR0917 - made for each request, where keywords cost time
        self,
        arrive: Callable[[Ride, Replies], None],
        visit: Visit,
        question: Question,
        gate: Gate,
        look: Look,
        condition: bytes,
        connection: ClientConnection,
        body: bytes,
    ) -> None:
        """Have `arrive` called with the replies, which must not raise."""
        self.arrive = arrive
        self.visit = visit
        self.question = question
        self.gate = gate
        self.look = look
        self.condition = condition
        self.connection = connection
        self.body = body
        self.span: OperationSpan | None = None
        self.began = perf_counter()

    def done(self) -> bool:
        """False: the replies are awaited."""
        return False

    def set_result(self, replies: Replies) -> None:
        """Go on with the replies."""
        self.arrive(self, replies)


def begin_apart(tracing: Tracing, sight: Sight, connection: ClientConnection) -> OperationSpan | None:
    """The span of the request `sight`, which came over `connection`; None where it is not traced."""

    def carrier() -> dict[str, str]:
        read = connection.header_reader()
        found = {name: value for name, value in read() if name in _CARRIED}
        return {name.decode(): value.decode("latin-1") for name, value in found.items()}

    return tracing.apart(sight.parts.trace, carrier)
