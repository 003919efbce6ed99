"""All users, their sessions and roles, and who may sign in; for an ADMIN."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import strawberry

from graph.accounts import NoAdminLeft, Role, UserRecord
from graph.api.accounts.refusals import refusal_of
from graph.api.accounts.types import LastAdmin, Session, User
from graph.api.auth import ADMIN, admin_of, requires
from graph.api.context import Context, Info
from graph.api.errors import NotFound
from graph.api.node import key_of, parse_id
from graph.api.pagination import PageInfo
from graph.endpoint.declare import cost
from graph.errors import BadInput
from graph.patterns.sessions import Session as SessionValue

MOST_USERS = 100
SESSIONS = 5
"""What reading the sessions of a user costs."""


@strawberry.type(description="A user as an ADMIN sees them.")
class UserAccount:
    user: User
    disabled: bool = strawberry.field(description="Whether no password signs the user in: disabled or deleted.")

    @strawberry.field(
        description="Everywhere the user is signed in, the most recently used first.", metadata=cost(SESSIONS)
    )
    async def sessions(self, info: Info) -> list[Session]:
        """Read the sessions from the user's index."""
        own: SessionValue | None = info.context.caller.session
        number = key_of(self.user.id, "User")
        listed = await info.context.services.sessions.list(str(number))
        return [Session.of(session, own.id if own is not None else None) for session in listed]

    @classmethod
    def of(cls, record: UserRecord, *, disabled: bool) -> UserAccount:
        return cls(user=User.of(record), disabled=disabled)


@strawberry.type(description="A user on a page.")
class UserAccountEdge:
    cursor: str = strawberry.field(description="Pass it as `after` to continue after this user.")
    node: UserAccount


@strawberry.type(description="A page of users, by their age.")
class UserAccountConnection:
    edges: list[UserAccountEdge]
    nodes: list[UserAccount] = strawberry.field(description="The users of `edges`.")
    page_info: PageInfo


@strawberry.type(description="What an ADMIN decided about a user counts at once.")
class UserAccountChanged:
    """The result of setUserRole, disableUser and enableUser."""

    account: UserAccount
    ended_sessions: int = strawberry.field(description="How many sessions of the user ended.")


UserAccountResult: TypeAlias = Annotated[
    UserAccountChanged | LastAdmin | NotFound, strawberry.union("UserAccountResult")
]


@strawberry.type
class UsersQuery:
    @strawberry.field(
        description=f"All users, the oldest account first, at most {MOST_USERS} a page; with `email` the one whose it "
        "is. Needs the role ADMIN.",
        extensions=[requires(ADMIN)],
        metadata=cost(10, page=MOST_USERS),
    )
    async def users(
        self, info: Info, first: int = 20, after: str | None = None, email: str | None = None
    ) -> UserAccountConnection:
        accounts = info.context.services.accounts
        if not 1 <= first <= MOST_USERS:
            raise BadInput(f"first is 1 to {MOST_USERS}.", argument="first")
        begin = 0 if after is None else key_of(after, "User")
        if begin is None:
            raise BadInput("This is no cursor of users.", argument="after")
        if email is None:
            found = await accounts.listed(after=begin, limit=first + 1)
        else:
            user = await accounts.find(email)
            known = await accounts.credentials(user.id) if user is not None else None
            found = [(known.user, known.locked)] if known is not None and known.user.id > begin else []
        nodes = [UserAccount.of(record, disabled=locked) for record, locked in found[:first]]
        edges = [UserAccountEdge(cursor=str(node.user.id), node=node) for node in nodes]
        return UserAccountConnection(
            edges=edges,
            nodes=nodes,
            page_info=PageInfo(
                has_next_page=len(found) > first,
                has_previous_page=False,
                start_cursor=edges[0].cursor if edges else None,
                end_cursor=edges[-1].cursor if edges else None,
            ),
        )


@strawberry.type
class UsersMutation:
    @strawberry.mutation(
        description="Ends one session of a user everywhere; true when there was one. Needs the role ADMIN.",
        extensions=[requires(ADMIN)],
    )
    async def revoke_user_session(self, info: Info, user: strawberry.ID, session: strawberry.ID) -> bool:
        number, parsed = key_of(user, "User"), parse_id(session)
        if number is None or parsed is None or parsed[0] != "Session":
            return False
        return await info.context.services.sessions.revoke(str(number), parsed[1])

    @strawberry.mutation(
        description="Ends all sessions of a user everywhere, and says how many. Needs the role ADMIN.",
        extensions=[requires(ADMIN)],
    )
    async def revoke_user_sessions(self, info: Info, user: strawberry.ID) -> int:
        number = key_of(user, "User")
        return 0 if number is None else await info.context.services.sessions.revoke_all(str(number))

    @strawberry.mutation(
        description="Gives a user a role, and ends all their sessions, which carry the old one. The last ADMIN stays "
        "one. API keys that the user made go on until revokeApiKey. Needs the role ADMIN.",
        extensions=[requires(ADMIN)],
    )
    async def set_user_role(self, info: Info, user: strawberry.ID, role: Role) -> UserAccountResult:
        found = await _found(info.context, user)
        if found is None:
            return NotFound.of(_NO_USER)
        ended = await info.context.services.accounts.set_role(found, role, by=admin_of(info.context))
        return await _changed(info.context, found.id, ended)

    @strawberry.mutation(
        description="Ends all sessions of a user, and signs them in no more until enableUser. The last ADMIN stays. "
        "API keys that the user made go on until revokeApiKey. Needs the role ADMIN.",
        extensions=[requires(ADMIN)],
    )
    async def disable_user(self, info: Info, user: strawberry.ID) -> UserAccountResult:
        found = await _found(info.context, user)
        if found is None:
            return NotFound.of(_NO_USER)
        ended = await info.context.services.accounts.lock(found, by=admin_of(info.context))
        return await _changed(info.context, found.id, ended)

    @strawberry.mutation(
        description="Lets a user who was disabled sign in again, with the password of then. Needs the role ADMIN.",
        extensions=[requires(ADMIN)],
    )
    async def enable_user(self, info: Info, user: strawberry.ID) -> UserAccountResult:
        found = await _found(info.context, user)
        if found is None:
            return NotFound.of(_NO_USER)
        await info.context.services.accounts.unlock(found, by=admin_of(info.context))
        return await _changed(info.context, found.id, 0)


_NO_USER = "There is no such user."


async def _found(context: Context, user: str) -> UserRecord | None:
    """The user with this ID, as SQL has it; None for one who was deleted, too."""
    number = key_of(user, "User")
    known = None if number is None else await context.services.accounts.credentials(number)
    return known.user if known is not None and not known.user.deleted else None


async def _changed(context: Context, user: int, ended: int | NoAdminLeft) -> UserAccountResult:
    """How the user stands now."""
    if isinstance(ended, NoAdminLeft):
        return refusal_of(ended)
    known = await context.services.accounts.credentials(user)
    if known is None:
        return NotFound.of(_NO_USER)
    return UserAccountChanged(account=UserAccount.of(known.user, disabled=known.locked), ended_sessions=ended)
