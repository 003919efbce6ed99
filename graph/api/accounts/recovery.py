"""Password resets and email confirmations, with one-time tokens that are sent by email."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import strawberry

from graph.api.accounts.refusals import refusal_of
from graph.api.accounts.types import TooManyAttempts
from graph.api.accounts.viewer import HASH, user_of, visitor_of
from graph.api.auth import ANYBODY, SIGNED_IN, requires
from graph.api.context import Info
from graph.api.errors import InvalidAsResult, InvalidInput, UserError
from graph.endpoint.declare import cost


@strawberry.type(description="The same whether or not a message was sent, so that nobody learns who has an account.")
class MessageRequested:
    """The result of requestPasswordReset and requestEmailConfirmation."""

    message: str


@strawberry.type(description="The token was used, has expired, or never was one.")
class InvalidToken(UserError):
    """The token is not valid; nothing was changed."""

    @classmethod
    def of(cls) -> InvalidToken:
        """Return the error, with the same message for every cause."""
        return cls(code="INVALID_TOKEN", message="This token was used, has expired, or never was one; ask for another.")


@strawberry.type(description="The password is replaced and every session has ended: sign in with the new one.")
class PasswordReset:
    """The result of a successful resetPassword."""

    revoked_sessions: int


@strawberry.type(description="The address is confirmed.")
class EmailConfirmed:
    """The result of a successful confirmEmail."""

    email: str


RequestMessageResult: TypeAlias = Annotated[
    MessageRequested | TooManyAttempts, strawberry.union("RequestMessageResult")
]
ResetPasswordResult: TypeAlias = Annotated[
    PasswordReset | InvalidToken | InvalidInput, strawberry.union("ResetPasswordResult")
]
ConfirmEmailResult: TypeAlias = Annotated[EmailConfirmed | InvalidToken, strawberry.union("ConfirmEmailResult")]


@strawberry.type
class RecoveryMutation:
    @strawberry.mutation(
        description="Sends a token for another password to this address, if it is an account's. Answers the same for "
        "any address; three messages an hour.",
        extensions=[requires(ANYBODY)],
    )
    async def request_password_reset(self, info: Info, email: str) -> RequestMessageResult:
        address = visitor_of(info.context).address
        refusal = await info.context.services.recovery.request_reset(email, address)
        if refusal is not None:
            return refusal_of(refusal)
        return MessageRequested(message="If there is an account with this address, a message is on its way to it.")

    @strawberry.mutation(
        description="Replaces a forgotten password, once for each token, and ends every session of the user.",
        extensions=[requires(ANYBODY), InvalidAsResult()],
        metadata=cost(HASH),
    )
    async def reset_password(self, info: Info, token: str, new_password: str) -> ResetPasswordResult:
        revoked = await info.context.services.recovery.reset(token, new_password)
        return InvalidToken.of() if revoked is None else PasswordReset(revoked_sessions=revoked)

    @strawberry.mutation(
        description="Sends a token to the viewer's address, by which it is confirmed; three messages an hour.",
        extensions=[requires(SIGNED_IN)],
    )
    async def request_email_confirmation(self, info: Info) -> RequestMessageResult:
        context = info.context
        user = await user_of(context)
        refusal = await context.services.recovery.request_confirmation(user, visitor_of(context).address)
        if refusal is not None:
            return refusal_of(refusal)
        return MessageRequested(message="A message is on its way, unless the address is confirmed already.")

    @strawberry.mutation(description="Confirms an address, once for each token.", extensions=[requires(ANYBODY)])
    async def confirm_email(self, info: Info, token: str) -> ConfirmEmailResult:
        user = await info.context.services.recovery.confirm(token)
        return InvalidToken.of() if user is None else EmailConfirmed(email=user.email)
