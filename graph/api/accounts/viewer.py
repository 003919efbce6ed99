"""What the accounts' resolvers need from a request: where it comes from and whose session it uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.accounts import SignedIn, Visitor
from graph.api.accounts.types import AuthPayload
from graph.errors import Unauthenticated

if TYPE_CHECKING:
    from graph.accounts import UserRecord
    from graph.api.context import Context
    from graph.patterns.sessions import Session as SessionValue

HASH = 100
"""The complexity of hashing a password, in fields: as much as a search of a large catalog."""


def visitor_of(context: Context) -> Visitor:
    """Return where the request comes from."""
    connection = context.connection
    if connection is None:
        return Visitor(context.caller.address)
    host = connection.client.host if connection.client is not None else None
    device = context.cookie.device(connection.headers) if context.cookie is not None else None
    return Visitor(context.caller.address, host, connection.headers.get("user-agent"), device)


def session_of(context: Context) -> SessionValue:
    """Return the session in use; raises `Unauthenticated` if the caller is not signed in."""
    session: SessionValue | None = context.caller.session
    if session is None:
        raise Unauthenticated("Sign in first.")
    return session


async def user_of(context: Context) -> UserRecord:
    """Return the user of the session in use; raises `Unauthenticated` if the caller is not signed in."""
    user = await context.services.accounts.user(int(session_of(context).user_id))
    if user is None:
        raise Unauthenticated("Sign in first.")
    return user


async def begun(context: Context, signed_in: SignedIn) -> AuthPayload:
    """Return the payload of a new session and set a browser's cookie; the session of the old cookie ends."""
    replaced: SessionValue | None = context.caller.session
    if keep_token(context, signed_in) and replaced is not None:
        assert context.cookie is not None
        headers = context.connection.headers
        if "authorization" not in headers and context.cookie.read(headers) == context.caller.token:
            await context.services.sessions.revoke(replaced.user_id, replaced.id)
    return AuthPayload.of(signed_in)


def keep_token(context: Context, signed_in: SignedIn) -> bool:
    """Set a browser's cookies for the token and the known device; returns whether the answer can carry cookies."""
    if context.cookie is None or context.response is None:
        return False
    context.cookie.write(context.response, signed_in.token)
    context.cookie.write_device(context.response, signed_in.device)
    return True


def forget_token(context: Context) -> None:
    """Delete a browser's session cookie, if the answer can carry cookies."""
    if context.cookie is not None and context.response is not None:
        context.cookie.clear(context.response)
