"""What the resolvers of the accounts ask of a request: where it comes from, whose session it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.accounts import SignedIn, Visitor
from graph.api.accounts.types import AuthPayload
from graph.errors import Unauthenticated

if TYPE_CHECKING:
    from graph.api.context import Context
    from graph.patterns.sessions import Session as SessionValue

HASH = 100
"""What hashing a password costs, in fields: as much as a search of a large catalog."""


def visitor_of(context: Context) -> Visitor:
    """Where the request comes from."""
    connection = context.connection
    if connection is None:
        return Visitor(context.caller.address)
    host = connection.client.host if connection.client is not None else None
    device = context.cookie.device(connection.headers) if context.cookie is not None else None
    return Visitor(context.caller.address, host, connection.headers.get("user-agent"), device)


def session_of(context: Context) -> SessionValue:
    """The session in use, of a caller who is signed in."""
    session: SessionValue | None = context.caller.session
    if session is None:
        raise Unauthenticated("Sign in first.")
    return session


def begun(context: Context, signed_in: SignedIn) -> AuthPayload:
    """Tell of a new session, and have a browser keep it."""
    if context.cookie is not None and context.response is not None:
        context.cookie.write(context.response, signed_in.token)
        context.cookie.write_device(context.response, signed_in.device)
    return AuthPayload.of(signed_in)
