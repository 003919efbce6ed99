"""The statements of the accounts; each function runs within the session it is given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from graph.accounts.models import USERS
from graph.accounts.records import Role, UserRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

_SHOWN = (USERS.c.id, USERS.c.email, USERS.c.display_name, USERS.c.role, USERS.c.created_at)


class Taken(Exception):
    """There is an account with this key of an email."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user with what a login needs."""

    user: UserRecord
    email_key: str
    password_hash: str

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
    found = (await session.execute(select(*_SHOWN, USERS.c.email_key, USERS.c.password_hash).where(condition))).first()
    if found is None:
        return None
    *shown, key, hashed = found
    return Credentials(_record(shown), key, hashed)


async def users(session: AsyncSession, ids: Sequence[int]) -> list[UserRecord]:
    """Those of `ids` that exist."""
    return [_record(row) for row in await session.execute(select(*_SHOWN).where(USERS.c.id.in_(ids)))]


def _record(row: Sequence[object]) -> UserRecord:
    number, email, name, role, created = row
    assert isinstance(number, int)
    assert isinstance(created, datetime)
    return UserRecord(number, str(email), str(name), Role(str(role)), created)


async def count(session: AsyncSession) -> int:
    """How many users there are."""
    return await session.scalar(select(func.count()).select_from(USERS)) or 0


async def add(
    session: AsyncSession, *, email: str, email_key: str, display_name: str, password_hash: str, role: Role
) -> UserRecord:
    """Add a user; raises `Taken`."""
    now = datetime.now(UTC)
    row = {
        "email": email,
        "email_key": email_key,
        "display_name": display_name,
        "password_hash": password_hash,
        "role": str(role),
        "created_at": now,
        "password_changed_at": now,
    }
    try:
        number = await session.scalar(insert(USERS).returning(USERS.c.id), row)
    except IntegrityError as error:
        raise Taken from error
    assert number is not None
    return UserRecord(int(number), email, display_name, role, now)


async def replace_hash(session: AsyncSession, user_id: int, before: str, after: str, *, changed: bool) -> bool:
    """Write another hash over the one that was verified; False when it is not there any more.

    `changed` tells a new password from the same one hashed anew.
    """
    values: dict[str, object] = {"password_hash": after}
    if changed:
        values["password_changed_at"] = datetime.now(UTC)
    found = await session.scalar(
        update(USERS).where(USERS.c.id == user_id, USERS.c.password_hash == before).values(values).returning(USERS.c.id)
    )
    return found is not None


async def claim(session: AsyncSession, found: Credentials, *, email: str, email_key: str, password_hash: str) -> bool:
    """Give a guest an email and a password; False when another did before. Raises `Taken`."""
    same = (USERS.c.id == found.user.id) & (USERS.c.email_key == found.email_key)
    now = datetime.now(UTC)
    values = {"email": email, "email_key": email_key, "password_hash": password_hash, "password_changed_at": now}
    try:
        return await session.scalar(update(USERS).where(same).values(values).returning(USERS.c.id)) is not None
    except IntegrityError as error:
        raise Taken from error


async def rename(session: AsyncSession, user_id: int, display_name: str) -> bool:
    """Give a user another name; False when there is no such user."""
    changed = update(USERS).where(USERS.c.id == user_id).values(display_name=display_name)
    return await session.scalar(changed.returning(USERS.c.id)) is not None


async def forget(session: AsyncSession, found: Credentials, *, email: str, display_name: str) -> bool:
    """Write over all that tells who a user was; no password fits any more. False when the password was replaced."""
    values = {"email": email, "email_key": email, "display_name": display_name, "password_hash": "!"}
    same = (USERS.c.id == found.user.id) & (USERS.c.password_hash == found.password_hash)
    return await session.scalar(update(USERS).where(same).values(values).returning(USERS.c.id)) is not None


async def set_role(session: AsyncSession, user_id: int, role: Role) -> None:
    """Give a user another role."""
    await session.execute(update(USERS).where(USERS.c.id == user_id).values(role=str(role)))
