"""SQL that reads users, each function within the session it is given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select

from graph.accounts.models import USERS
from graph.accounts.records import Role, UserRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Executable
    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.engines.database import Database

_U = USERS.c
_SHOWN = (_U.id, _U.email, _U.display_name, _U.role, _U.created_at, _U.email_confirmed_at)

PLACES = (1, 8, 64)
"""Ids of one statement; those of a read that has fewer are filled up with its last one."""

LOCK = "!"
"""Prefix of a hash that no password matches, as in ``/etc/shadow``."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user with the columns that a login needs."""

    user: UserRecord
    email_key: str
    password_hash: str
    password_due: bool = False
    """Whether somebody else chose the password, so that the user must change it before doing anything else."""

    @property
    def locked(self) -> bool:
        """Whether no password can match, because the user was disabled or deleted."""
        return self.password_hash.startswith(LOCK)

    def __repr__(self) -> str:
        """Leave the hash out."""
        return f"Credentials({self.user!r})"


async def credentials_by_key(session: AsyncSession, email_key: str) -> Credentials | None:
    """Return the user whose email has this key."""
    return await _credentials(session, USERS.c.email_key == email_key)


async def credentials_by_id(session: AsyncSession, user_id: int) -> Credentials | None:
    """Return the user with this id."""
    return await _credentials(session, USERS.c.id == user_id)


async def _credentials(session: AsyncSession, condition: ColumnElement[bool]) -> Credentials | None:
    wanted = select(*_SHOWN, USERS.c.email_key, USERS.c.password_hash, USERS.c.password_changed_at).where(condition)
    found = (await session.execute(wanted)).first()
    if found is None:
        return None
    *shown, key, hashed, changed = found
    user = _record(shown)
    return Credentials(user, key, hashed, password_due=changed < user.created_at)


async def users(database: Database, ids: Sequence[int]) -> list[UserRecord]:
    """Return the users among `ids` that exist, by id."""
    found: list[UserRecord] = []
    for start in range(0, len(ids), PLACES[-1]):
        some = ids[start : start + PLACES[-1]]
        places = next(places for places in PLACES if len(some) <= places)
        filled = {f"id{n}": some[min(n, len(some) - 1)] for n in range(places)}
        rows = await database.rows(_with_ids(places), filled)
        found += [_record(row) for row in rows]
    return found


@cache
def _with_ids(places: int) -> Executable:
    """Select the users of so many ids: the text of such a statement is always the same."""
    return select(*_SHOWN).where(_U.id.in_([bindparam(f"id{n}", type_=_U.id.type) for n in range(places)]))


def _record(row: Sequence[object]) -> UserRecord:
    number, email, name, role, created, confirmed = row
    assert isinstance(number, int)
    assert isinstance(created, datetime)
    return UserRecord(number, str(email), str(name), Role(str(role)), created, confirmed is not None)


async def listed(session: AsyncSession, *, after: int, limit: int) -> list[tuple[UserRecord, bool]]:
    """Return users with an id greater than `after`, in the order of their ids, and whether each is locked."""
    found = select(*_SHOWN, USERS.c.password_hash).where(USERS.c.id > after).order_by(USERS.c.id).limit(limit)
    return [(_record(row[:-1]), str(row[-1]).startswith(LOCK)) for row in await session.execute(found)]


async def is_last_admin(session: AsyncSession, user_id: int, *, lock: bool = False) -> bool:
    """Whether this user is the only ADMIN that can sign in; with `lock` that stays so until the transaction ends."""
    able = select(_U.id).where(_U.role == str(Role.ADMIN), ~_U.password_hash.startswith(LOCK)).order_by(_U.id)
    found = list(await session.scalars(able.with_for_update() if lock else able))
    # Who became one while it waited for the locks is not in what it read, and not locked.
    while lock and (again := list(await session.scalars(able.with_for_update()))) != found:
        found = again
    return found == [user_id]


async def count(session: AsyncSession) -> int:
    """Count all users."""
    return await session.scalar(select(func.count()).select_from(USERS)) or 0
