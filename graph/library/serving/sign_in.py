"""Any sign-in as a function of the token: what `FastGraphQL` needs to know who asks.

The token is what comes as ``Authorization: Bearer …``, or as ``authorization`` in the payload of a WebSocket's
connection_init. A function that raises, as one that decodes a JWT does, signs nobody in. One that gives neither text
nor None, as an async one that does not look like that, is a bug: every request with a token is answered by an error,
and the log says why.
"""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from graph.endpoint.identity import Anonymous, Caller
from graph.patterns.client import RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.datastructures import Headers
    from starlette.requests import HTTPConnection

    from graph.patterns.client import Command, Reply
    from graph.patterns.limiter import Charge

logger = logging.getLogger(__name__)
_BEARER = "bearer "
_PROBLEM = "The token does not sign anybody in."


def token_of(headers: Headers, payload: Mapping[str, Any] | None) -> str | None:
    """The token of a request or socket, as it came; None where there is none."""
    given: Any = (payload or {}).get("authorization") or (payload or {}).get("Authorization")
    text = given if isinstance(given, str) else headers.get("authorization", "")
    return text[len(_BEARER) :].strip() if text[: len(_BEARER)].lower() == _BEARER else None


class NobodySignsIn(Anonymous):
    """Callers without a sign-in."""

    headers = ()


class FunctionSignIn(Anonymous):
    """Callers whose token a plain function knows; it may be used with kept answers."""

    headers = (b"authorization",)

    def __init__(self, user_of: Callable[[str], str | None]) -> None:
        """`user_of` gives the user behind a token, or None."""
        self._user_of = user_of

    def token(self, headers: Headers, payload: Mapping[str, Any] | None = None) -> str | None:
        """The token presented."""
        return token_of(headers, payload)

    def caller(self, replies: Sequence[Reply], *, token: str | None, address: str) -> Caller:  # noqa: ARG002 - protocol
        """Who presents `token`."""
        if token is None:
            return Caller(address)
        try:
            user = self._user_of(token)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody has signed in
            logger.debug("a token was refused: %r", error)
            user = None
        return _caller(user, token, address)

    def turnstile(self, token: str | None, charge: Charge) -> Command | None:
        """None for a token: it may have expired since it was last looked at."""
        return super().turnstile(token, charge) if token is None else None

    async def authenticate(self, connection: HTTPConnection, payload: Mapping[str, Any] | None = None) -> Caller:
        """Who makes the request."""
        return self.caller((), token=self.token(connection.headers, payload), address=self.address(connection))


class AsyncSignIn:
    """Callers whose token an async function knows, as one that asks a database."""

    def __init__(self, user_of: Callable[[str], Awaitable[str | None]]) -> None:
        """`user_of` gives the user behind a token, or None."""
        self._user_of = user_of
        self._nobody = Anonymous()

    def token(self, headers: Headers, payload: Mapping[str, Any] | None = None) -> str | None:
        """The token presented."""
        return token_of(headers, payload)

    def address(self, connection: HTTPConnection) -> str:
        """The peer's address."""
        return self._nobody.address(connection)

    async def authenticate(self, connection: HTTPConnection, payload: Mapping[str, Any] | None = None) -> Caller:
        """Who makes the request."""
        token, address = self.token(connection.headers, payload), self.address(connection)
        if token is None:
            return Caller(address)
        try:
            user = await self._user_of(token)
        except RedisUnavailable:  # told as that
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody has signed in
            logger.debug("a token was refused: %r", error)
            user = None
        return _caller(user, token, address)

    def watch(self, caller: Caller, on_ended: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002 - protocol
        """Do nothing: a socket's caller is looked up before each operation."""
        return lambda: None


def _caller(user: object, token: str, address: str) -> Caller:
    """The caller whom a function has named; raises `TypeError` for what is no name, which would sign everybody in."""
    if not isinstance(user, str | None) or user == "":
        if inspect.iscoroutine(user):
            user.close()
            raise TypeError("sign_in gave a coroutine: FastGraphQL awaits it where it is declared with `async def`")
        kind = type(user).__name__
        raise TypeError(f"sign_in gave {kind}: it gives the user as text that is not empty, or None for nobody")
    if user is None:
        return Caller(address, token=token, problem=_PROBLEM, reason="TOKEN_REFUSED")
    return Caller(address, user=user, token=token)


def authenticator(
    user_of: Callable[[str], str | None] | Callable[[str], Awaitable[str | None]] | None,
) -> Anonymous | AsyncSignIn:
    """The authenticator for a function, or for none."""
    if user_of is None:
        return NobodySignsIn()
    if any(map(inspect.iscoroutinefunction, (user_of, getattr(user_of, "__call__", None)))):  # noqa: B004 - whether it is async
        return AsyncSignIn(user_of)  # pyright: ignore[reportArgumentType] - it is
    return FunctionSignIn(user_of)  # pyright: ignore[reportArgumentType] - it is not async
