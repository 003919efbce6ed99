"""Sessions for an app of one's own: begin one, find it in a request, end it (`graph.patterns.sessions`).

The token goes to programs in an answer and to browsers in a cookie; it comes back as ``Authorization: Bearer`` or in
that cookie, and the header wins. A user may have any name: neither the token nor a key shows it, only its digest. The
cookie is HttpOnly and SameSite=Lax, so that no page of another site has it sent with a POST.

Failure: everything raises `RedisUnavailable` while Redis is away.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection  # noqa: TC002 - FastAPI reads it at run time

from graph.patterns.sessions import Sessions

if TYPE_CHECKING:
    from starlette.responses import Response

    from graph.patterns.client import LazyClient
    from graph.patterns.sessions import Session

_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class CurrentSession:
    """Who has signed in: `user` and `role` as they were given to `RedisSessions.begin`. `id` opens nothing."""

    user: str
    role: str
    id: str
    session: Session


class RedisSessions:
    """The sessions of all users. Use `Redis.sessions`."""

    def __init__(
        self,
        client: LazyClient,
        *,
        prefix: str,
        idle: float = 86_400.0,
        lifetime: float = 30 * 86_400.0,
        most: int = 20,
        cookie: str = "session",
        secure: bool = True,
    ) -> None:
        """End sessions `idle` seconds after their last use and `lifetime` seconds after they began.

        A user has `most` at a time; one more ends the one that was used least recently. `cookie` is its name; not
        `secure`, it is sent over plain HTTP, too.
        """
        self._sessions = Sessions(
            client, prefix=prefix, sliding=idle, absolute=lifetime, max_per_user=most, accuracy=min(60.0, idle / 2)
        )
        self._lifetime = lifetime
        self._cookie = cookie
        self._secure = secure

    async def begin(self, user: str, *, role: str = "", response: Response | None = None) -> str:
        """Begin a session of `user` and give its token, which nobody keeps; `response` gets it as a cookie, too."""
        token, _ = await self._sessions.create(_part(user), role=json.dumps([user, role]))
        if response is not None:
            response.set_cookie(
                self._cookie, token, max_age=int(self._lifetime), httponly=True, secure=self._secure, samesite="lax"
            )
        return token

    async def current(self, connection: HTTPConnection) -> CurrentSession | None:
        """Who makes the request, for `Depends`; None for a stranger, or where the session has ended."""
        token = self.token(connection)
        return await self.find(token) if token is not None else None

    async def find(self, token: str) -> CurrentSession | None:
        """Whose token this is, wherever it came from: None for nobody's, or where the session has ended."""
        session = await self._sessions.touch(token)
        if session is None:
            return None
        user, role = json.loads(session.role)
        return CurrentSession(user, role, session.id, session)

    async def user_of(self, token: str) -> str | None:
        """The user alone, for `sign_in` of `FastGraphQL`, which takes a token from ``connection_init``, too."""
        found = await self.find(token)
        return found.user if found is not None else None

    def token(self, connection: HTTPConnection) -> str | None:
        """The token that comes with a request."""
        given = connection.headers.get("authorization", "")
        if given[: len(_BEARER)].lower() == _BEARER:
            return given[len(_BEARER) :].strip()
        return connection.cookies.get(self._cookie)

    async def end(self, signed_in: CurrentSession, *, response: Response | None = None) -> bool:
        """End a session, for good and everywhere; whether there still was one. `response` takes the cookie away."""
        if response is not None:
            response.delete_cookie(self._cookie, httponly=True, secure=self._secure, samesite="lax")
        return await self._sessions.revoke(_part(signed_in.user), signed_in.id)

    async def end_all(self, user: str, *, keep: CurrentSession | None = None) -> int:
        """End all sessions of `user`, but for the one to `keep`; gives how many there were."""
        return await self._sessions.revoke_all(_part(user), keep=None if keep is None else keep.id)

    async def of(self, user: str) -> list[Session]:
        """The user's sessions, the most recently used first."""
        return await self._sessions.list(_part(user))


def _part(user: str) -> str:
    """What stands for the user in tokens and keys."""
    return base64.urlsafe_b64encode(hashlib.sha256(user.encode()).digest()[:24]).decode()
