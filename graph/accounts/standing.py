"""What others decide about a user: the role, and whether the user may sign in.

Either change ends the user's sessions before it is written and again after, so that a crash in between leaves nobody
signed in with what they had. Each is told in the log, with who made it, as soon as it is committed.

An ADMIN cannot take away the last one, and the last one cannot leave: the ADMINs that can sign in are locked while they
are counted, so that two who do it to each other, or to themselves, leave one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from graph.accounts import queries, writing
from graph.accounts.keys import user_tag
from graph.accounts.records import NoAdminLeft, Role
from graph.accounts.signing_in import SigningIn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.accounts.records import UserRecord

logger = logging.getLogger(__name__)


class Standing(SigningIn):
    """Changes of roles, and disabling users; `by` is the ADMIN who asks for it, None an operator, who may do all."""

    async def set_role(self, user: UserRecord, role: Role, *, by: int | None = None) -> int | NoAdminLeft:
        """Change a user's role; returns how many sessions ended."""
        return await self._decide(
            user,
            lambda session: writing.set_role(session, user.id, role),
            f"has the role {role} (had {user.role})",
            by=by,
            keeps=role is Role.ADMIN,
        )

    async def lock(self, user: UserRecord, *, by: int | None = None) -> int | NoAdminLeft:
        """Disable a user: no password signs them in any more; returns how many sessions ended."""
        return await self._decide(
            user, lambda session: writing.lock(session, user.id, locked=True), "is disabled", by=by
        )

    async def unlock(self, user: UserRecord, *, by: int | None = None) -> None:
        """Let a user who was disabled sign in again, with the password of then."""
        async with self._database.transaction() as session:
            await writing.lock(session, user.id, locked=False)
        tell(user, "is enabled", by)

    async def _decide(
        self,
        user: UserRecord,
        write: Callable[[AsyncSession], Awaitable[None]],
        told: str,
        *,
        by: int | None,
        keeps: bool = False,
    ) -> int | NoAdminLeft:
        """Write it, and end all sessions; `keeps` says that an ADMIN stays one."""
        guarded = by is not None and not keeps
        if guarded and await self._last_admin(user.id):
            return NoAdminLeft()
        revoked = await self.sessions.revoke_all(str(user.id))
        async with self._cache.invalidating(user_tag(user.id)):
            async with self._database.transaction() as session:
                if guarded and await queries.is_last_admin(session, user.id, lock=True):
                    return NoAdminLeft()
                await write(session)
            tell(user, told, by)  # before Redis is asked again, which may be away by now
        return revoked + await self.sessions.revoke_all(str(user.id))

    async def _last_admin(self, user_id: int) -> bool:
        """Whether the user is the last ADMIN, before anything is locked or ended for it."""
        async with self._database.session() as session:
            return await queries.is_last_admin(session, user_id)


def tell(user: UserRecord, what: str, by: int | None) -> None:
    """Log what became of a user, and who decided that."""
    logger.info("User %d %s, by %s", user.id, what, "an operator" if by is None else f"user {by}")
