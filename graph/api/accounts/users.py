"""All users, their sessions, and ending those; for an ADMIN."""

from __future__ import annotations

import strawberry

from graph.accounts import UserRecord
from graph.api.accounts.types import Session, User
from graph.api.auth import ADMIN, requires
from graph.api.context import Info
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
