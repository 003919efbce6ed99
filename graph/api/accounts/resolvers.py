"""The queries and mutations for registering, signing in and out, the viewer and their sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import strawberry

from graph.accounts import USER_TTL
from graph.api.accounts.profile import ProfileMutation, ProfileQuery
from graph.api.accounts.recovery import RecoveryMutation
from graph.api.accounts.refusals import Refused, refusal_of
from graph.api.accounts.types import (
    ChangePasswordInput,
    ChangePasswordResult,
    LoginInput,
    LoginResult,
    PasswordChanged,
    RegisterInput,
    RegisterResult,
    Session,
    User,
    Viewer,
)
from graph.api.accounts.users import UsersMutation, UsersQuery
from graph.api.accounts.viewer import HASH, begun, forget_token, keep_token, session_of, visitor_of
from graph.api.auth import ANYBODY, NOT_BELIEVED, SIGNED_IN, VALID, check, requires
from graph.api.context import Context, Info
from graph.api.errors import InvalidAsResult
from graph.api.node import Node, integer_keys, parse_id
from graph.api.schema_part import SchemaPart
from graph.apikeys import scopes_of_role
from graph.endpoint.declare import Scope, cached, cost
from graph.patterns.sessions import Session as SessionValue


async def _load_users(context: Context, keys: Sequence[str]) -> Mapping[str, Node]:
    """Load the viewer, or any users for an ADMIN."""
    caller = context.caller
    seen = integer_keys(keys)
    if caller.role != "ADMIN":
        seen = {key: number for key, number in seen.items() if key == caller.user}
    found = await context.services.accounts.users(seen.values()) if seen else {}
    return {key: User.of(found[number]) for key, number in seen.items() if number in found}


async def _load_sessions(context: Context, keys: Sequence[str]) -> Mapping[str, Node]:
    """Load the viewer's own sessions."""
    current: SessionValue | None = context.caller.session
    if current is None:
        return {}
    listed = await context.services.sessions.list(current.user_id)
    return {session.id: Session.of(session, current.id) for session in listed if session.id in keys}


@strawberry.type
class AccountsQuery(ProfileQuery, UsersQuery):
    @strawberry.field(
        metadata=cached(USER_TTL, scope=Scope.VIEWER),
        description="The signed-in user and session; null for an anonymous caller, and for an API key.",
        extensions=[requires(VALID)],
    )
    async def viewer(self, info: Info) -> Viewer | None:
        session: SessionValue | None = info.context.caller.session
        if session is None or scopes_of_role(session.role) is not None:
            return None
        user = await info.context.services.accounts.user(int(session.user_id))
        return Viewer(user=User.of(user), session=Session.of(session, session.id)) if user is not None else None


@strawberry.type
class AccountsMutation(ProfileMutation, RecoveryMutation, UsersMutation):
    @strawberry.mutation(
        description="Creates an account and signs its user in.",
        extensions=[requires(ANYBODY), InvalidAsResult()],
        metadata=cost(HASH),
    )
    async def register(self, info: Info, input: RegisterInput) -> RegisterResult:
        context = info.context
        outcome = await context.services.accounts.register(
            input.email, input.password, input.display_name, visitor_of(context)
        )
        return refusal_of(outcome) if isinstance(outcome, Refused) else await begun(context, outcome)

    @strawberry.mutation(description="Signs a user in.", extensions=[requires(ANYBODY)], metadata=cost(HASH))
    async def login(self, info: Info, input: LoginInput) -> LoginResult:
        context = info.context
        outcome = await context.services.accounts.login(input.email, input.password, visitor_of(context))
        return refusal_of(outcome) if isinstance(outcome, Refused) else await begun(context, outcome)

    @strawberry.mutation(
        description="Ends the session in use; true when there was one.", extensions=[requires(ANYBODY)]
    )
    async def logout(self, info: Info) -> bool:
        context = info.context
        if context.caller.reason == NOT_BELIEVED:  # the session would silently continue
            check(context, VALID)
        session: SessionValue | None = context.caller.session
        user = session is not None and scopes_of_role(session.role) is None
        ended = session is not None and user and await context.services.sessions.revoke(session.user_id, session.id)
        forget_token(context)
        return ended

    @strawberry.mutation(
        description="Ends one of the viewer's other sessions (a lost phone); true when there was one.",
        extensions=[requires(SIGNED_IN)],
    )
    async def revoke_session(self, info: Info, id: strawberry.ID) -> bool:
        session = session_of(info.context)
        parsed = parse_id(id)
        if parsed is None or parsed[0] != "Session":
            return False
        return await info.context.services.sessions.revoke(session.user_id, parsed[1])

    @strawberry.mutation(
        description="Ends all of the viewer's sessions everywhere and says how many; "
        "keepCurrent spares the one in use.",
        extensions=[requires(SIGNED_IN)],
    )
    async def logout_everywhere(self, info: Info, keep_current: bool = False) -> int:  # noqa: FBT001, FBT002 - an argument of the API
        context = info.context
        session = session_of(context)
        ended = await context.services.sessions.revoke_all(session.user_id, keep=session.id if keep_current else None)
        if not keep_current:
            forget_token(context)
        return ended

    @strawberry.mutation(
        description="Changes the viewer's password. Every other session of the user ends; the one in use goes on under "
        "the new `token`.",
        extensions=[requires(SIGNED_IN), InvalidAsResult()],
        metadata=cost(HASH),
    )
    async def change_password(self, info: Info, input: ChangePasswordInput) -> ChangePasswordResult:
        context = info.context
        outcome = await context.services.accounts.change_password(
            session_of(context), input.current_password, input.new_password
        )
        if isinstance(outcome, Refused):
            return refusal_of(outcome, wrong="The current password is wrong.")
        keep_token(context, outcome.signed_in)
        renewed = Session.of(outcome.signed_in.session, outcome.signed_in.session.id)
        return PasswordChanged(
            revoked_sessions=outcome.revoked_sessions, token=outcome.signed_in.token, expires_at=renewed.expires_at
        )


PART = SchemaPart(
    query=AccountsQuery,
    mutation=AccountsMutation,
    types=(User, Session),
    nodes={"User": _load_users, "Session": _load_sessions},
    private=frozenset(
        {"User", "Session", "Viewer", "PersonalData", "UserAccount", "UserAccountConnection", "UserAccountEdge"}
    ),
)
