"""What `express` keeps of requests, and the types shared with the server underneath."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from graph.endpoint.document import OperationRequest
    from graph.endpoint.kept.approach import Sender
    from graph.endpoint.kept.heads import Parts
    from graph.patterns.cache import Look
    from graph.patterns.client import Command, Replies

RawHeaders: TypeAlias = "list[tuple[bytes, bytes]]"
"""Headers as ASGI has them."""


@dataclass(slots=True)
class Sight:
    """A request as it is recognised: the peer's address, and what the answer depends on."""

    peer: str
    parts: Parts
    asked: OperationRequest | None = None
    """The operation in its body, if that was read: whoever serves the request need not read it again."""


class ClientConnection(Protocol):
    """The connection that a recognised request came over."""

    def answer(self, status: int, head: bytes, body: bytes) -> bool:
        """Send an answer whose header lines are `head`; False if that is not possible and nothing was sent."""
        ...

    def hand_on(self, left: Leftover | None) -> bool:
        """Pass the request to the application, with what was already done; False if the client has left."""
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

    __slots__ = ("accepts", "gates", "headers", "media", "method", "peer", "sender")

    def __init__(
        self, sender: Sender, method: str, media: str, headers: RawHeaders, *, peer: str, accepts: str | None
    ) -> None:
        self.sender = sender
        self.method = method
        self.media = media
        self.headers = headers
        self.peer = peer
        self.accepts = accepts  # the encodings that the client takes
        self.gates: dict[tuple[int, object], Gate | None] = {}  # by weight and scope
