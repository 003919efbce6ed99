"""Who may use a field: declared at the field, and checked only here.

    @strawberry.mutation(extensions=[requires(ADMIN)])

Every mutation and subscription, and every field that leads from the open part of the schema to private types, declares
one of the requirements below; a test walks the schema and fails for a field that does not. Each feature lists its
private types (`graph.api.schema_part.SchemaPart.private`).

A refusal is `UNAUTHENTICATED` for an anonymous caller, with the reason if a token was sent, and `FORBIDDEN` otherwise.
A user who has to change the password has no role until then; the reason is PASSWORD_DUE.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strawberry.extensions import FieldExtension

from graph.accounts import PASSWORD_DUE
from graph.apikeys import scopes_of_role
from graph.errors import Forbidden, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable

    from strawberry.types.field import StrawberryField

    from graph.api.context import Context
    from graph.endpoint.identity import Caller


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a caller needs: one of `roles`; None allows any signed-in user.

    An API key needs `scope` instead; if there is none here, no key is allowed, unless the field is open to all.
    """

    name: str
    open: bool = False
    no_problem: bool = True
    roles: frozenset[str] | None = None
    scope: str | None = None

    def check(self, caller: Caller) -> None:
        """Raise `Unauthenticated` or `Forbidden` unless `caller` meets the requirement."""
        if not caller.signed_in:
            if self.open and not (self.no_problem and caller.problem):
                return
            if caller.problem is not None:
                raise Unauthenticated(caller.problem, **({"reason": caller.reason} if caller.reason else {}))
            raise Unauthenticated("Sign in first.")
        scopes = scopes_of_role(caller.role)
        if scopes is not None:
            if not self.open and self.scope not in scopes:
                needed = "a user, not an API key" if self.scope is None else f"the scope {self.scope}"
                raise Forbidden(f"This needs {needed}.")
            return
        if self.roles is not None and caller.role == PASSWORD_DUE:
            raise Forbidden("Change the password first (changePassword): somebody else knows it.", reason=PASSWORD_DUE)
        if self.roles is not None and caller.role not in self.roles:
            raise Forbidden(f"This needs the role {self.name}.")


ANYBODY = Requirement("ANYBODY", open=True, no_problem=False)
"""Everybody, declared explicitly."""
VALID = Requirement("VALID", open=True)
"""Everybody except a caller with a bad token, who gets an error."""
SIGNED_IN = Requirement("SIGNED_IN")
"""Any user."""
SERVICE = Requirement("SERVICE", roles=frozenset({"SERVICE", "ADMIN"}), scope="SCORES")
"""A program that acts for others, or an ADMIN."""
PLAYER = Requirement("PLAYER", scope="SCORES")
"""Any user on their own behalf, or a program that acts for others."""
ADMIN = Requirement("ADMIN", roles=frozenset({"ADMIN"}))
"""An ADMIN."""
CATALOG = Requirement("ADMIN", roles=frozenset({"ADMIN"}), scope="CATALOG")
"""An ADMIN, or a program that keeps the catalog."""
BOARDS = Requirement("ADMIN", roles=frozenset({"ADMIN"}), scope="BOARDS")
"""An ADMIN, or a program that keeps the leaderboards."""


class Requires(FieldExtension):
    """A field extension that checks a requirement before the field resolves."""

    def __init__(self, requirement: Requirement) -> None:
        """Check `requirement`; declare it with `requires`."""
        self.requirement = requirement

    def resolve(self, next_: Callable[..., Any], source: Any, info: Any, **kwargs: Any) -> Any:
        check(info.context, self.requirement)
        return next_(source, info, **kwargs)

    async def resolve_async(self, next_: Callable[..., Any], source: Any, info: Any, **kwargs: Any) -> Any:
        """Check, then resolve; a subscription's generator is passed on unchanged."""
        check(info.context, self.requirement)
        found = next_(source, info, **kwargs)
        return await found if inspect.isawaitable(found) else found


def requires(requirement: Requirement) -> Requires:
    """Return the extension that declares who may use a field."""
    return Requires(requirement)


def check(context: Context, requirement: Requirement) -> None:
    """Check a requirement inside a resolver, where it depends on arguments."""
    if requirement != ANYBODY:  # reading the caller would make the answer private
        requirement.check(context.caller)


def admin_of(context: Context) -> int:
    """Return the user id of the ADMIN who asks, in a field that `requires(ADMIN)`."""
    user = context.caller.user
    assert user is not None, "an ADMIN is a user"
    return int(user)


def declared(field: StrawberryField) -> Requirement | None:
    """Return the requirement that a field declares; None if it declares none."""
    return next((one.requirement for one in field.extensions if isinstance(one, Requires)), None)
