"""The GraphQL types of accounts: users, sessions, the viewer, inputs and results."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import strawberry

from graph.accounts import PASSWORD_DUE, GuestSignedIn, Role, SignedIn, TooMany, UserRecord
from graph.api.context import Info
from graph.api.enums import enum
from graph.api.errors import InvalidInput, UserError
from graph.api.node import Node, global_id
from graph.endpoint.declare import uncached
from graph.patterns.sessions import Session as SessionValue

enum(Role, description="What a user may do; each role includes the ones before it.")


@strawberry.type(description="Somebody who can sign in; seen by themselves and by an ADMIN.")
class User(Node):
    email: str = strawberry.field(
        description="As the user wrote it; different spellings of one address are one account."
    )
    display_name: str
    role: Role
    email_confirmed: bool = strawberry.field(description="Whether the user has shown that the address is theirs.")
    guest: bool = strawberry.field(description="Whether no email was given yet; then `email` is a placeholder.")
    created_at: datetime

    @classmethod
    def of(cls, record: UserRecord) -> User:
        return cls(
            id=global_id("User", record.id),
            email=record.email,
            display_name=record.display_name,
            role=record.role,
            email_confirmed=record.email_confirmed,
            guest=record.guest,
            created_at=record.created_at,
        )


@strawberry.type(description="A device or program on which a user is signed in; seen by that user and by an ADMIN.")
class Session(Node):
    created_at: datetime
    last_active_at: datetime = strawberry.field(description="Accurate to a minute.")
    expires_at: datetime = strawberry.field(description="When it ends if it is not used until then.")
    user_agent: str | None
    ip_address: str | None
    current: bool = strawberry.field(description="Whether it is the one in use.")

    @classmethod
    def of(cls, session: SessionValue, current: str | None) -> Session:
        """Build it from a record; `current` is the id of the session in use."""
        return cls(
            id=global_id("Session", session.id),
            created_at=moment(session.created_at),
            last_active_at=moment(session.last_active_at),
            expires_at=moment(session.expires_at),
            user_agent=session.user_agent,
            ip_address=session.ip_address,
            current=session.id == current,
        )


def moment(seconds: float) -> datetime:
    """Convert a time of the server's clock."""
    return datetime.fromtimestamp(seconds, UTC)


@strawberry.type(description="The signed-in user and the session in use.")
class Viewer:
    """Created by the root query, and only for a signed-in caller."""

    user: User
    session: Session = strawberry.field(metadata=uncached())

    @strawberry.field(
        metadata=uncached(), description="Everywhere the user is signed in, the most recently used first."
    )
    async def sessions(self, info: Info) -> list[Session]:
        """Read the sessions from the user's index."""
        current: SessionValue | None = info.context.caller.session
        if current is None:
            return []
        listed = await info.context.services.sessions.list(current.user_id)
        return [Session.of(session, current.id) for session in listed]


# --- inputs ---


@strawberry.input
class RegisterInput:
    email: str
    password: str = strawberry.field(
        description="8 to 256 characters of any kind; the commonest passwords are refused."
    )
    display_name: str = strawberry.field(description="The name that others see; at most 64 characters.")


@strawberry.input
class LoginInput:
    email: str
    password: str


@strawberry.input(description="The email and password with which a guest signs in from now on.")
class ClaimAccountInput:
    email: str
    password: str


@strawberry.input
class ChangePasswordInput:
    current_password: str
    new_password: str


# --- results ---


@strawberry.type(description="A session has begun. The token is shown here and never again.")
class AuthPayload:
    """The result of a successful register or login."""

    token: str = strawberry.field(description="Send it as `Authorization: Bearer <token>`; browsers also get a cookie.")
    expires_at: datetime = strawberry.field(description="When the session ends if it is not used until then.")
    user: User
    session: Session
    password_due: bool = strawberry.field(
        description="Whether somebody else chose the password: until changePassword the user has no role."
    )

    @classmethod
    def of(cls, signed_in: SignedIn) -> AuthPayload:
        """Build it for the new session."""
        session = Session.of(signed_in.session, signed_in.session.id)
        return cls(
            token=signed_in.token,
            expires_at=session.expires_at,
            user=User.of(signed_in.user),
            session=session,
            password_due=signed_in.session.role == PASSWORD_DUE,
        )


@strawberry.type(description="There is an account with this email.")
class EmailTaken(UserError):
    @classmethod
    def of(cls) -> EmailTaken:
        return cls(code="EMAIL_TAKEN", message="There is an account with this email already.")


@strawberry.type(description="Says the same for an unknown email and for a wrong password.")
class InvalidCredentials(UserError):
    """The email or the password is wrong; no session was begun."""

    @classmethod
    def of(cls, message: str = "The email or the password is wrong.") -> InvalidCredentials:
        """Return the error, with the same message for both causes."""
        return cls(code="INVALID_CREDENTIALS", message=message)


@strawberry.type(description="Too many attempts of this kind on this account or from this address.")
class TooManyAttempts(UserError):
    retry_after_seconds: int = strawberry.field(description="An attempt after that is accepted.")

    @classmethod
    def of(cls, refusal: TooMany) -> TooManyAttempts:
        """Build it with the time to wait, rounded up to seconds."""
        seconds = math.ceil(refusal.retry_after)
        return cls(
            code="TOO_MANY_ATTEMPTS",
            message=f"Too many attempts; try again in {seconds} seconds.",
            retry_after_seconds=seconds,
        )


@strawberry.type(description="The password is changed and every other session has ended.")
class PasswordChanged:
    """The result of a successful changePassword."""

    revoked_sessions: int = strawberry.field(description="How many other sessions ended.")
    token: str = strawberry.field(description="Replaces the token in use; browsers also get a cookie.")
    expires_at: datetime = strawberry.field(description="When the session ends if it is not used until then.")


@strawberry.type(description="A guest plays. Token and secret are shown here and never again.")
class GuestPayload:
    """The result of a successful playAsGuest."""

    secret: str = strawberry.field(description="Pass it to resumeGuest to be the same player again.")
    auth: AuthPayload

    @classmethod
    def of(cls, guest: GuestSignedIn) -> GuestPayload:
        """Build it for the new guest."""
        return cls(secret=guest.secret, auth=AuthPayload.of(guest.signed_in))


@strawberry.type(description="The user has an email already.")
class NotAGuest(UserError):
    @classmethod
    def of(cls) -> NotAGuest:
        return cls(code="NOT_A_GUEST", message="This account has an email already.")


@strawberry.type(description="Afterwards no ADMIN could sign in: make another one first.")
class LastAdmin(UserError):
    @classmethod
    def of(cls) -> LastAdmin:
        return cls(code="LAST_ADMIN", message="This is the last ADMIN that can sign in: make another one first.")


@strawberry.type(description="The account is deleted: every session has ended, and no personal data is left.")
class AccountDeleted:
    """The result of a successful deleteMe."""

    player: strawberry.ID = strawberry.field(description="The player under which scores stay, without a name.")


@strawberry.type(description="A score of the viewer.")
class OwnScore:
    """The viewer's score on one board in one season."""

    board: str = strawberry.field(description="The board's slug.")
    season: int
    score: float
    achieved_at: datetime


@strawberry.type(description="Everything that is stored about the viewer.")
class PersonalData:
    user: User
    sessions: list[Session]
    scores: list[OwnScore]


RegisterResult: TypeAlias = Annotated[
    AuthPayload | EmailTaken | InvalidInput | TooManyAttempts, strawberry.union("RegisterResult")
]
LoginResult: TypeAlias = Annotated[AuthPayload | InvalidCredentials | TooManyAttempts, strawberry.union("LoginResult")]
ChangePasswordResult: TypeAlias = Annotated[
    PasswordChanged | InvalidCredentials | InvalidInput | TooManyAttempts, strawberry.union("ChangePasswordResult")
]
GuestResult: TypeAlias = Annotated[GuestPayload | InvalidInput | TooManyAttempts, strawberry.union("GuestResult")]
ClaimResult: TypeAlias = Annotated[
    User | EmailTaken | NotAGuest | InvalidInput | TooManyAttempts, strawberry.union("ClaimResult")
]
RenameResult: TypeAlias = Annotated[User | InvalidInput, strawberry.union("RenameResult")]
DeleteMeResult: TypeAlias = Annotated[
    AccountDeleted | InvalidCredentials | LastAdmin | TooManyAttempts, strawberry.union("DeleteMeResult")
]
