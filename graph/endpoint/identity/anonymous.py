"""A `BatchAuthenticator` for a server without accounts: nobody signs in, every caller is known by address alone."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any

from graph.endpoint.identity.caller import Caller
from graph.patterns.limiter import passage_command

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from starlette.datastructures import Headers
    from starlette.requests import HTTPConnection

    from graph.patterns.client import Command, Reply
    from graph.patterns.limiter import Charge


@lru_cache(maxsize=4096)
def limit_address(host: str) -> str:
    """The address that limits count `host` by: an IPv4 address, or the /64 of an IPv6 one, which one subscriber has.

    An IPv4 address written as IPv6 (``::ffff:192.0.2.1``) counts as IPv4. All peers without an address (on a unix
    socket) count as one caller.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return "local"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)


class Anonymous:
    """Everybody is anonymous."""

    headers: Collection[bytes] = frozenset()
    """None: what a request says of its sender is not read."""

    def token(self, headers: Headers, payload: Mapping[str, Any] | None = None) -> str | None:  # noqa: ARG002 - protocol
        """None: there are no tokens."""
        return None

    def address(self, connection: HTTPConnection) -> str:
        """The peer's address."""
        return limit_address(connection.client.host if connection.client else "")

    def commands(self, token: str | None) -> list[Command]:  # noqa: ARG002 - protocol
        """An empty list: there is no session to check."""
        return []

    def caller(self, replies: Sequence[Reply], *, token: str | None, address: str) -> Caller:  # noqa: ARG002 - protocol
        """A caller without a session."""
        return Caller(address)

    async def authenticate(self, connection: HTTPConnection, payload: Mapping[str, Any] | None = None) -> Caller:  # noqa: ARG002 - protocol
        """A caller without a session."""
        return Caller(self.address(connection))

    def guard(self, token: str | None) -> str | None:  # noqa: ARG002 - protocol
        """None: no session."""
        return None

    def turnstile(self, token: str | None, charge: Charge) -> Command | None:  # noqa: ARG002 - protocol
        """The charge alone."""
        return passage_command(charge)

    def budget(self, token: str | None) -> str | None:  # noqa: ARG002 - protocol
        """None: no user."""
        return None

    def watch(self, caller: Caller, on_ended: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002 - protocol
        """Do nothing: no session ends."""
        return lambda: None
