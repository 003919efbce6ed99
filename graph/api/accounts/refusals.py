"""What the accounts' service expects to refuse, as members of the mutations' result unions."""

from __future__ import annotations

from typing import TypeAlias, overload

from graph.accounts import EmailInUse, NoAdminLeft, NoGuest, TooMany, WrongCredentials
from graph.api.accounts.types import EmailTaken, InvalidCredentials, LastAdmin, NotAGuest, TooManyAttempts

Refused: TypeAlias = TooMany | EmailInUse | WrongCredentials | NoGuest | NoAdminLeft
"""The outcomes that are refusals."""


@overload
def refusal_of(outcome: TooMany, *, wrong: str | None = None) -> TooManyAttempts: ...
@overload
def refusal_of(outcome: EmailInUse, *, wrong: str | None = None) -> EmailTaken: ...
@overload
def refusal_of(outcome: WrongCredentials, *, wrong: str | None = None) -> InvalidCredentials: ...
@overload
def refusal_of(outcome: NoGuest, *, wrong: str | None = None) -> NotAGuest: ...
@overload
def refusal_of(outcome: NoAdminLeft, *, wrong: str | None = None) -> LastAdmin: ...
def refusal_of(
    outcome: Refused, *, wrong: str | None = None
) -> TooManyAttempts | EmailTaken | InvalidCredentials | NotAGuest | LastAdmin:
    """Return the member for `outcome`; `wrong` is the message for credentials other than email and password."""
    match outcome:
        case TooMany():
            return TooManyAttempts.of(outcome)
        case EmailInUse():
            return EmailTaken.of()
        case WrongCredentials():
            return InvalidCredentials.of() if wrong is None else InvalidCredentials.of(wrong)
        case NoGuest():
            return NotAGuest.of()
        case NoAdminLeft():
            return LastAdmin.of()
