"""The `Caller` of a request or a socket, and the `Authenticator` that identifies the caller.

The endpoint knows nothing of accounts. It takes an `Authenticator` from the product and puts the `Caller` into the
context. A token that is malformed, unknown or ended makes an anonymous caller with a `problem`, never an error: public
fields still answer, and a field that needs a viewer refuses with that problem as its message.

Any sign-in can be an `Authenticator`. One that keeps its sessions in Redis can be a `BatchAuthenticator`, too: then the
fast lane checks the session in the batch that it sends anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from starlette.datastructures import Headers
    from starlette.requests import HTTPConnection

    from graph.patterns.client import Command, Reply
    from graph.patterns.limiter import Charge

PUBLIC = "public"
"""The scope of what everybody may see."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request.

    `user` and `role` are None for an anonymous caller; `session` is the product's own. `address` is what limits count
    by: an IPv4 address, or the /64 of an IPv6 one. `token` is what was presented, good or bad, and is kept out of the
    repr so that no log line shows it. `problem` says, for people, why a presented token does not sign anybody in,
    `reason` says the same in one word for programs.
    """

    address: str
    user: str | None = None
    role: str | None = None
    session: Any | None = None
    token: str | None = field(default=None, repr=False)
    problem: str | None = None
    reason: str | None = None

    @property
    def signed_in(self) -> bool:
        """Whether the request has a live session."""
        return self.user is not None

    @property
    def identity(self) -> str:
        """What counts as one caller: a user, wherever they are, or an address; empty for the program itself."""
        return self.user or self.address

    @property
    def scope(self) -> str:
        """Whose answers may be shared with this caller: ``user:<id>``, ``refused:<reason>``, or `PUBLIC`."""
        if self.user is not None:
            return f"user:{self.user}"
        return PUBLIC if self.problem is None else f"refused:{self.reason}"


class Authenticator(Protocol):
    """Turns what a request carries into a `Caller`.

    A socket is authenticated anew before each operation, so that an ended session cannot act.
    """

    def token(self, headers: Headers, payload: Mapping[str, Any] | None = None) -> str | None:
        """The token presented by `headers` or by the `payload` of a connection_init; None when there is none.

        An Authorization header, or ``authorization`` in the payload, wins over the cookie; the cookie counts only
        when the request comes from one of this server's own pages or an allowed origin. A header that cannot be a token
        (two headers, another scheme) is passed on as a malformed token, so that it is reported and not overlooked.
        """
        ...

    def address(self, connection: HTTPConnection) -> str:
        """What limits count an anonymous caller by: an IPv4 address, or the /64 of an IPv6 one."""
        ...

    async def authenticate(self, connection: HTTPConnection, payload: Mapping[str, Any] | None = None) -> Caller:
        """The caller of a request or socket; raises `graph.patterns.client.RedisUnavailable` if that cannot be told."""
        ...

    def watch(self, caller: Caller, on_ended: Callable[[], None]) -> Callable[[], None]:
        """Call `on_ended` once, on the event loop, when the session of `caller` ends: close its socket (4403) then.

        The function returned stops watching. For an anonymous caller nothing is watched.
        """
        ...


@runtime_checkable
class BatchAuthenticator(Authenticator, Protocol):
    """An `Authenticator` that goes in steps, so that the session check shares a round trip with everything else.

    ::

        token = authenticator.token(headers)
        commands = authenticator.commands(token)
        replies = await client.batch(*commands, …)
        caller = authenticator.caller(replies[: len(commands)], token=token, address=authenticator.address(connection))
    """

    headers: Collection[bytes]
    """The names, in small letters, of all headers that `token` and `address` may depend on."""

    def commands(self, token: str | None) -> list[Command]:
        """The commands whose replies `caller` needs; none when `token` is None or malformed."""
        ...

    def caller(self, replies: Sequence[Reply], *, token: str | None, address: str) -> Caller:
        """Read the replies of `commands`; raises `graph.patterns.client.RedisUnavailable` when Redis did not answer."""
        ...

    def guard(self, token: str | None) -> str | None:
        """The Redis key that exists as long as the session of `token` lives; None where `commands` is empty."""
        ...

    def turnstile(self, token: str | None, charge: Charge) -> Command | None:
        """The one command that does what `commands` and a `charge` do, if the session is in use and the limit has room.

        Its reply is that of `graph.patterns.limiter.turnstile`: None when there is more to do, and nothing was done.
        Without a token it makes the charge alone. None: there is no such command.
        """
        ...

    def budget(self, token: str | None) -> str | None:
        """The Redis key of the user's rate budget, under the hash tag of `guard`; None where that is None."""
        ...
