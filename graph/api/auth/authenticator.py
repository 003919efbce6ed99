"""Finds the `Caller` by the Authorization header, the connection_init payload or the cookie.

The order is header, payload, cookie; the first one present decides, even if it is bad and a later one would be good. A
token that is not valid makes an anonymous caller with a `problem`. Tokens are read from nowhere else, in particular not
from the URL, which ends up in logs. A cookie that is not accepted, most often because a proxy rewrites Host, also makes
an anonymous caller; that is logged at most once in `TOLD_EVERY` seconds.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from graph.api.cookie import UNBELIEVED
from graph.apikeys import operations_of
from graph.endpoint.identity import Caller, limit_address
from graph.patterns.limiter import passage_command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.datastructures import Headers
    from starlette.requests import HTTPConnection

    from graph.api.cookie import SessionCookie
    from graph.patterns.client import Client, Command
    from graph.patterns.limiter import Charge
    from graph.patterns.sessions import Revocations, Session, Sessions

logger = logging.getLogger(__name__)

ENDED = "The session has ended or its token is not valid: sign in again."
MALFORMED = "The credentials are malformed: send one header, `Authorization: Bearer <token>`."
NOT_OURS = (
    "The session cookie was not believed, because the request does not seem to come from a page of this server: its "
    "Origin is neither the Host that was asked nor one of GRAPH_CORS_ORIGINS. A proxy that rewrites Host must send "
    "X-Forwarded-Host, and be one of GRAPH_TRUSTED_PROXIES."
)
NOT_BELIEVED = "COOKIE_NOT_BELIEVED"
TOLD_EVERY = 60.0
_SHOWN = 200  # characters of a header in the log
_NO_TOKEN = ""  # stands for credentials that cannot be a token: several headers, another scheme


class SessionAuthenticator:
    """The `graph.endpoint.identity.caller.Authenticator` of this product."""

    def __init__(
        self,
        client: Client,
        sessions: Sessions,
        revocations: Revocations,
        cookie: SessionCookie,
        *,
        restore: Callable[[str], Awaitable[Session | None]] | None = None,
    ) -> None:
        """Check tokens with `sessions`; `revocations` announces ended ones.

        `restore` begins a session again for a token that outlives sessions (an API key), and returns None for any
        other.
        """
        self._restore = restore
        self._client = client
        self._sessions = sessions
        self._revocations = revocations
        self._cookie = cookie
        self._told = -TOLD_EVERY

    headers = frozenset({b"authorization", b"cookie", b"origin", b"host", b"sec-fetch-site", b"sec-websocket-key"})

    def token(self, headers: Headers, payload: Mapping[str, Any] | None = None) -> str | None:
        """Return the token, `_NO_TOKEN` for something that cannot be one, None if there is nothing."""
        sent = headers.getlist("authorization")
        if sent:
            return _bearer(sent[0]) if len(sent) == 1 else _NO_TOKEN
        if payload is not None:
            named = [value for name, value in payload.items() if name.lower() == "authorization" and value is not None]
            if named:
                return _bearer(named[0]) if len(named) == 1 else _NO_TOKEN
        token = self._cookie.read(headers)
        if token == UNBELIEVED:
            self._tell(headers)
        return token

    def address(self, connection: HTTPConnection) -> str:
        """Return the client's address in the form by which limits count."""
        return limit_address(connection.client.host if connection.client is not None else "")

    def commands(self, token: str | None) -> list[Command]:
        """Return the commands that check the session, if `token` can be one."""
        touch = self._sessions.touch_command(token) if token is not None else None
        return [] if touch is None else [touch]

    def caller(self, replies: Sequence[Any], *, token: str | None, address: str) -> Caller:
        """Read the reply to `commands`; raises `graph.patterns.client.RedisUnavailable` if Redis did not answer."""
        if token is None:
            return Caller(address)
        if not replies:
            if token == UNBELIEVED:
                return Caller(address, token=token, problem=NOT_OURS, reason=NOT_BELIEVED)
            return Caller(address, token=token, problem=MALFORMED, reason="CREDENTIALS_MALFORMED")
        session = self._sessions.session_of(replies[0])
        if session is None:
            return Caller(address, token=token, problem=ENDED, reason="SESSION_ENDED")
        return self._signed_in(session, token, address)

    async def authenticate(self, connection: HTTPConnection, payload: Mapping[str, Any] | None = None) -> Caller:
        """Find the caller of a request or a socket; raises `graph.patterns.client.RedisUnavailable`."""
        token = self.token(connection.headers, payload)
        commands = self.commands(token)
        replies = await self._client.batch(*commands) if commands else ()
        caller = self.caller(replies, token=token, address=self.address(connection))
        if not commands or caller.session is not None or token is None or self._restore is None:
            return caller
        session = await self._restore(token)
        return caller if session is None else self._signed_in(session, token, caller.address)

    @staticmethod
    def _signed_in(session: Session, token: str, address: str) -> Caller:
        return Caller(address, user=session.user_id, role=session.role, session=session, token=token)

    def limit(self, token: str | None) -> int | None:
        """Return the token's own limit; None if the limit of all users applies."""
        return None if token is None else operations_of(token.partition(".")[0])

    def guard(self, token: str | None) -> str | None:
        """Return the key of the token's session."""
        return None if token is None else self._sessions.session_key(token)

    def turnstile(self, token: str | None, charge: Charge) -> Command | None:
        """Return the command that checks the session and charges the limit in one step."""
        return passage_command(charge) if token is None else self._sessions.turnstile(token, charge)

    def budget(self, token: str | None) -> str | None:
        """Return the key of the user's rate limit."""
        return None if token is None else self._sessions.budget_key(token)

    def watch(self, caller: Caller, on_ended: Callable[[], None]) -> Callable[[], None]:
        """Call `on_ended` when the caller's session ends, in whichever process that happens."""
        key = self.guard(caller.token)
        if caller.session is None or key is None:
            return lambda: None
        return self._revocations.watch(caller.session.id, key, on_ended)

    def _tell(self, headers: Headers) -> None:
        """Log that a cookie was not accepted, at most once in `TOLD_EVERY` seconds, because anybody can send one."""
        now = time.monotonic()
        if now - self._told >= TOLD_EVERY:
            self._told = now
            asked, origin = headers.get("host", "")[:_SHOWN], headers.get("origin", "")[:_SHOWN]
            logger.warning("%s (Host %r, Origin %r)", NOT_OURS, asked, origin)


def _bearer(value: Any) -> str:
    """Return the token of the credentials ``Bearer <token>`` (RFC 6750, 2.1)."""
    if not isinstance(value, str):
        return _NO_TOKEN
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else _NO_TOKEN
