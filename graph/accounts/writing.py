"""SQL that writes users, each function within the session it is given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from graph.accounts.models import USERS
from graph.accounts.queries import LOCK
from graph.accounts.records import UserRecord
from graph.errors import Taken

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.accounts.queries import Credentials
    from graph.accounts.records import Role


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


async def add(
    session: AsyncSession,
    *,
    email: str,
    email_key: str,
    display_name: str,
    password_hash: str,
    role: Role,
    password_due: bool = False,
) -> UserRecord:
    """Insert a user; raises `Taken`. With `password_due` the user has to change the password first."""
    now = datetime.now(UTC)
    row = {
        "email": email,
        "email_key": email_key,
        "display_name": display_name,
        "password_hash": password_hash,
        "role": str(role),
        "created_at": now,
        "password_changed_at": _NEVER if password_due else now,
    }
    try:
        number = await session.scalar(insert(USERS).returning(USERS.c.id), row)
    except IntegrityError as error:
        raise Taken from error
    assert number is not None
    return UserRecord(int(number), email, display_name, role, now)


async def replace_hash(session: AsyncSession, user_id: int, before: str, after: str, *, changed: bool) -> bool:
    """Replace the hash that was verified; False if it is not there any more.

    `changed` says that it is another password, and not the same one hashed with other parameters.
    """
    values: dict[str, object] = {"password_hash": after}
    if changed:
        values["password_changed_at"] = datetime.now(UTC)
    found = await session.scalar(
        update(USERS).where(USERS.c.id == user_id, USERS.c.password_hash == before).values(values).returning(USERS.c.id)
    )
    return found is not None


async def claim(session: AsyncSession, found: Credentials, *, email: str, email_key: str, password_hash: str) -> bool:
    """Give a guest an email and a password; False if that was done before, or if they are disabled. Raises `Taken`."""
    same = (USERS.c.id == found.user.id) & (USERS.c.email_key == found.email_key)
    able = ~USERS.c.password_hash.startswith(LOCK)
    now = datetime.now(UTC)
    values = {"email": email, "email_key": email_key, "password_hash": password_hash, "password_changed_at": now}
    try:
        return await session.scalar(update(USERS).where(same, able).values(values).returning(USERS.c.id)) is not None
    except IntegrityError as error:
        raise Taken from error


async def confirm_email(session: AsyncSession, user_id: int, email: str) -> bool:
    """Mark the address as confirmed, if it is still the user's."""
    same = (USERS.c.id == user_id) & (USERS.c.email == email)
    noted = update(USERS).where(same).values(email_confirmed_at=datetime.now(UTC)).returning(USERS.c.id)
    return await session.scalar(noted) is not None


async def lock(session: AsyncSession, user_id: int, *, locked: bool) -> None:
    """Make the hash match no password, or restore it."""
    hashed, marked = USERS.c.password_hash, USERS.c.password_hash.startswith(LOCK)
    value = LOCK + hashed if locked else func.substr(hashed, len(LOCK) + 1)
    at_hand = (USERS.c.id == user_id) & (~marked if locked else marked & (hashed != LOCK))
    await session.execute(update(USERS).where(at_hand).values(password_hash=value))


async def rename(session: AsyncSession, user_id: int, display_name: str) -> bool:
    """Change a user's display name; False if there is no such user."""
    changed = update(USERS).where(USERS.c.id == user_id).values(display_name=display_name)
    return await session.scalar(changed.returning(USERS.c.id)) is not None


async def forget(session: AsyncSession, found: Credentials, *, email: str, display_name: str) -> bool:
    """Overwrite everything that identifies a user and lock the password. False if password or role were replaced.

    It waits for transactions that write something for the user and have locked the row for that (FOR KEY SHARE); later
    ones find `deleted_at`.
    """
    same = (
        (USERS.c.id == found.user.id)
        & (USERS.c.password_hash == found.password_hash)
        & (USERS.c.role == str(found.user.role))
    )
    await session.execute(select(USERS.c.id).where(same).with_for_update())
    values = {
        "email": email,
        "email_key": email,
        "display_name": display_name,
        "password_hash": LOCK,
        "deleted_at": datetime.now(UTC),
    }
    return await session.scalar(update(USERS).where(same).values(values).returning(USERS.c.id)) is not None


async def set_role(session: AsyncSession, user_id: int, role: Role) -> None:
    """Change a user's role; the caller ends the sessions, which carry the old one."""
    await session.execute(update(USERS).where(USERS.c.id == user_id).values(role=str(role)))
