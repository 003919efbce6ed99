"""SQL that reads users, each function within the session it is given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from graph.accounts.models import USERS
from graph.accounts.records import Role, UserRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

_U = USERS.c
_SHOWN = (_U.id, _U.email, _U.display_name, _U.role, _U.created_at, _U.email_confirmed_at)

LOCK = "!"
"""Begins a hash that no password has, as in ``/etc/shadow``."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user with what a login needs."""

    user: UserRecord
    email_key: str
    password_hash: str
    password_due: bool = False
    """Whether the password was given by somebody else, and must be changed before the user may do anything else."""

    @property
    def locked(self) -> bool:
        """Whether no password fits: the user was disabled, or has left."""
        return self.password_hash.startswith(LOCK)

    def __repr__(self) -> str:
        """Leave the hash out."""
        return f"Credentials({self.user!r})"


async def credentials_by_key(session: AsyncSession, email_key: str) -> Credentials | None:
    """The user whose email has this key."""
    return await _credentials(session, USERS.c.email_key == email_key)


async def credentials_by_id(session: AsyncSession, user_id: int) -> Credentials | None:
    """The user with this number."""
    return await _credentials(session, USERS.c.id == user_id)


async def _credentials(session: AsyncSession, condition: ColumnElement[bool]) -> Credentials | None:
    wanted = select(*_SHOWN, USERS.c.email_key, USERS.c.password_hash, USERS.c.password_changed_at).where(condition)
    found = (await session.execute(wanted)).first()
    if found is None:
        return None
    *shown, key, hashed, changed = found
    user = _record(shown)
    return Credentials(user, key, hashed, password_due=changed < user.created_at)


async def users(session: AsyncSession, ids: Sequence[int]) -> list[UserRecord]:
    """Those of `ids` that exist."""
    return [_record(row) for row in await session.execute(select(*_SHOWN).where(USERS.c.id.in_(ids)))]


def _record(row: Sequence[object]) -> UserRecord:
    number, email, name, role, created, confirmed = row
    assert isinstance(number, int)
    assert isinstance(created, datetime)
    return UserRecord(number, str(email), str(name), Role(str(role)), created, confirmed is not None)


async def listed(session: AsyncSession, *, after: int, limit: int) -> list[tuple[UserRecord, bool]]:
    """Users with a greater number than `after`, by number, and whether each is locked."""
    found = select(*_SHOWN, USERS.c.password_hash).where(USERS.c.id > after).order_by(USERS.c.id).limit(limit)
    return [(_record(row[:-1]), str(row[-1]).startswith(LOCK)) for row in await session.execute(found)]


async def count(session: AsyncSession) -> int:
    """How many users there are."""
    return await session.scalar(select(func.count()).select_from(USERS)) or 0
