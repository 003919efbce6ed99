"""What `express` keeps of a request, and the types that it and the server underneath speak in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from graph.endpoint.kept.approach import Approach
    from graph.patterns.cache import Copy, Look
    from graph.patterns.client import Command, Replies

Sight: TypeAlias = "tuple[str, bytes]"
"""A request as it is recognised: the peer's address and all of its bytes."""
Raw: TypeAlias = "list[tuple[bytes, bytes]]"
"""Headers as ASGI has them."""


class Connection(Protocol):
    """The connection that a recognised request came over."""

    def answer(self, head: bytes, body: bytes) -> bool:
        """Send an answer with status 200, whose header lines are `head`; False: not this way, nothing was sent."""
        ...

    def hand_on(self, left: Leftover | None) -> bool:
        """Let the application have the request, with what was done about it; False: the client has gone."""
        ...

    def abort(self) -> None:
        """End it at once: nobody knows what state it is in."""
        ...


class Leftover(NamedTuple):
    """A request that was charged, or may have been, and is not answered yet."""

    media: str
    look: Look
    replies: Replies
    """To the turnstile, and from the second on to `look`."""


class ReadyAnswer:
    """How a copy of an answer is served. It is known by stamp and digest: to hold it would keep it alive."""

    __slots__ = ("commands", "digest", "encoding", "head", "run_id", "stamp", "values")

    def __init__(self, copy: Copy, commands: tuple[Command, ...], head: bytes, encoding: str | None) -> None:
        self.stamp = copy.stamp
        self.digest: str = copy.value[1]
        self.commands = commands
        self.head = head
        self.encoding = encoding
        self.values: list[Any] | None = None  # the generations under which it was found current
        self.run_id = b""


class Route:
    """What is known of a request beforehand."""

    __slots__ = (
        "accepts",
        "caller",
        "headers",
        "key",
        "limit",
        "media",
        "operation",
        "peer",
        "ready",
        "scope",
        "turnstile",
        "used",
    )

    def __init__(
        self,
        approach: Approach,
        turnstile: Command,
        media: str,
        headers: Raw,
        *,
        peer: str,
        accepts: str | None,
    ) -> None:
        self.caller = approach.caller
        self.key = approach.key
        self.limit = approach.charges[0].limit
        self.scope = approach.asked.policy.scope
        self.operation = approach.asked.operation.name
        self.turnstile = turnstile
        self.media = media
        self.headers = headers
        self.peer = peer
        self.accepts = accepts  # the encodings that the client takes
        self.ready: ReadyAnswer | None = None
        self.used = False  # since somebody looked for a route to forget
