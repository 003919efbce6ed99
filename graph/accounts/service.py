"""The accounts service: registering, signing in, changing and deleting accounts.

Users live in SQL, sessions in Redis (`graph.patterns.sessions`). A change of a password or a role ends the sessions,
commits, and ends them again, so that a crash in between leaves nobody signed in who should not be. A user who changes
the password continues with a new token.

No password, hash or token ever gets into a log line or an exception.

Failure: expected outcomes are values (`graph.accounts.records`); input that breaks a rule raises `Invalid`.
`Unavailable` is raised while Redis or the database is away (nobody can sign in without a limit) and when too many
passwords are waiting.
"""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from graph.accounts import queries, rules, writing
from graph.accounts.keys import user_tag
from graph.accounts.records import (
    EmailInUse,
    GuestSignedIn,
    NoAdminLeft,
    NoGuest,
    PasswordReplaced,
    Role,
    SignedIn,
    TooMany,
    UserRecord,
    Visitor,
    WrongCredentials,
)
from graph.accounts.signing_in import ATTEMPTS, DISTURBED
from graph.accounts.standing import Standing, tell
from graph.errors import Taken, Unavailable
from graph.patterns.sessions import EpochMoved

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from typing import TypeAlias

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.accounts.queries import Credentials
    from graph.patterns.sessions import Session

    Farewell: TypeAlias = Callable[[AsyncSession, int], Awaitable[None]]

GUEST_NAME = "Guest"
DELETED_NAME = "Deleted player"


class AccountService(Standing):
    """All operations on accounts; those of reading, of signing in and of operators are inherited."""

    # --- beginning ---

    async def register(
        self, email: str, password: str, display_name: str, visitor: Visitor
    ) -> SignedIn | EmailInUse | TooMany:
        """Create a PLAYER and sign them in; raises `Invalid`."""
        shown, key = rules.check_email(email)
        name = rules.check_display_name(display_name)
        secret = rules.check_password(password, shown, name)
        if (refusal := await self._attempts.register(visitor.address)) is not None:
            return refusal
        async with self._hasher.turn():
            if await self.credentials_of(key) is not None:
                return EmailInUse()
            try:
                user = await self._add(shown, key, name, secret, Role.PLAYER)
            except Taken:
                return EmailInUse()
            found = await self.credentials_of(key)
            if found is None or found.user.id != user.id:
                raise Unavailable(DISTURBED)
            return await self._sign_in(found, None, visitor)

    async def add(self, email: str, password: str, display_name: str, role: Role) -> UserRecord | EmailInUse:
        """Create a user for an operator, who is not limited; raises `Invalid`."""
        shown, key = rules.check_email(email)
        name = rules.check_display_name(display_name)
        try:
            return await self._add(shown, key, name, rules.check_password(password, shown, name), role)
        except Taken:
            return EmailInUse()

    async def add_first_admin(self, email: str, display_name: str, password: str | None = None) -> str | None:
        """Create an ADMIN if there are no users at all; returns the password, a random one unless it is given.

        Until it is changed, the user's sessions have no role. Raises `Invalid` for a password that breaks a rule.
        """
        async with self._database.session() as session:
            if await queries.count(session):
                return None
        chosen = password or secrets.token_urlsafe(12)
        shown, key = rules.check_email(email)
        secret = rules.check_password(chosen, shown, display_name)
        try:
            await self._add(shown, key, rules.check_display_name(display_name), secret, Role.ADMIN, password_due=True)
        except Taken:
            return None
        return chosen

    async def _add(
        self, email: str, key: str, name: str, secret: bytes, role: Role, *, password_due: bool = False
    ) -> UserRecord:
        hashed = await self._hasher.hash(secret)
        async with self._database.transaction() as session:
            user = await writing.add(
                session,
                email=email,
                email_key=key,
                display_name=name,
                password_hash=hashed,
                role=role,
                password_due=password_due,
            )
        await self._cache.invalidate(user_tag(user.id))  # there may be a cached miss
        return user

    # --- guests ---

    async def play_as_guest(self, display_name: str | None, visitor: Visitor) -> GuestSignedIn | TooMany:
        """Create a PLAYER without an email and sign them in; raises `Invalid`."""
        name = rules.check_display_name(display_name if display_name is not None else GUEST_NAME)
        if (refusal := await self._attempts.register(visitor.address)) is not None:
            return refusal
        handle, key = secrets.token_hex(8), secrets.token_urlsafe(24)
        email = f"{handle}@{rules.GUESTS}"
        async with self._hasher.turn():
            await self._add(email, email, name, key.encode(), Role.PLAYER)
            found = await self.credentials_of(email)
            if found is None:
                raise Unavailable(DISTURBED)
            return GuestSignedIn(await self._sign_in(found, None, visitor), f"{handle}.{key}")

    async def resume_guest(self, secret: str, visitor: Visitor) -> SignedIn | WrongCredentials | TooMany:
        """Sign a guest in again."""
        handle, _, key = secret.partition(".")
        return await self.login(f"{handle}@{rules.GUESTS}", key, visitor)

    async def claim(
        self, session: Session, email: str, password: str, visitor: Visitor
    ) -> UserRecord | EmailInUse | NoGuest | TooMany:
        """Give the guest of `session` an email and a password, and end all other sessions; raises `Invalid`.

        It stays the same user. If one guest is claimed several times, the first claim counts.
        """
        shown, key = rules.check_email(email)
        found = await self.credentials(int(session.user_id))
        if found is None or not found.user.guest:
            return NoGuest()
        secret = rules.check_password(password, shown, found.user.display_name)
        if (refusal := await self._attempts.register(visitor.address)) is not None:
            return refusal
        async with self._hasher.turn():
            hashed = await self._hasher.hash(secret)
        await self.sessions.revoke_all(session.user_id, keep=session.id)
        try:
            async with self._cache.invalidating(user_tag(found.user.id)), self._database.transaction() as writer:
                claimed = await writing.claim(writer, found, email=shown, email_key=key, password_hash=hashed)
        except Taken:
            return EmailInUse()
        await self.sessions.revoke_all(session.user_id, keep=session.id)
        return replace(found.user, email=shown) if claimed else NoGuest()

    # --- changing ---

    async def rename(self, user_id: int, display_name: str) -> UserRecord | None:
        """Change a user's display name; None if there is no such user. Raises `Invalid`."""
        name = rules.check_display_name(display_name)
        async with self._cache.invalidating(user_tag(user_id)), self._database.transaction() as session:
            await writing.rename(session, user_id, name)
        return await self.user(user_id)

    async def delete(
        self, session: Session, password: str, *, also: Farewell | None = None
    ) -> UserRecord | WrongCredentials | NoAdminLeft | TooMany:
        """Anonymise the user of `session` and end all sessions; what remains is an id without a name.

        The password is required, except for a guest, who has none. The last ADMIN that can sign in stays. `also` is as
        for `erase`.
        """
        found = await self.credentials(int(session.user_id))
        if found is None:
            return WrongCredentials()
        if not found.user.guest:
            async with self._proven(found, password) as refusal:
                if refusal is not None:
                    return refusal
        guarded = found.user.role is Role.ADMIN
        if guarded and await self._last_admin(found.user.id):
            return NoAdminLeft()
        erased = await self.erase(found, also=also, guarded=guarded, by=found.user.id)
        return erased or WrongCredentials()

    async def erase(
        self, found: Credentials, *, also: Farewell | None = None, guarded: bool = False, by: int | None = None
    ) -> UserRecord | NoAdminLeft | None:
        """Anonymise a user and end all sessions; None if password or role were replaced meanwhile.

        `also` is awaited in the same transaction, for what else is to become of the user. `guarded` keeps the last
        ADMIN that can sign in; an operator may delete that one, too. The log tells of it, and who did it: `by` is the
        user, None an operator.
        """
        user_id = str(found.user.id)
        await self.sessions.revoke_all(user_id)
        email = f"{found.user.id}@{rules.DELETED}"
        async with self._cache.invalidating(user_tag(found.user.id)):
            async with self._database.transaction() as writer:
                if guarded and await queries.is_last_admin(writer, found.user.id, lock=True):
                    return NoAdminLeft()
                forgotten = await writing.forget(writer, found, email=email, display_name=DELETED_NAME)
                if forgotten and also is not None:
                    await also(writer, found.user.id)
            if forgotten:
                tell(found.user, "is deleted", by)
        await self.sessions.revoke_all(user_id)
        return replace(found.user, email=email, display_name=DELETED_NAME) if forgotten else None

    async def change_password(
        self, session: Session, current: str, new: str
    ) -> PasswordReplaced | WrongCredentials | TooMany:
        """Change the password of the user of `session` and end all sessions; raises `Invalid`.

        The current session is replaced by a new one with a new token.
        """
        for _ in range(ATTEMPTS):
            found = await self.credentials(int(session.user_id))
            if found is None:
                return WrongCredentials()
            secret = rules.check_password(new, found.user.email, found.user.display_name, field="newPassword")
            async with self._proven(found, current) as refusal:
                if refusal is not None:
                    return refusal
                replaced = await self._replace(found, secret)
            if replaced is not None:
                revoked, hashed = replaced
                return PasswordReplaced(max(0, revoked - 1), await self._renewed(session, hashed))
        raise Unavailable(DISTURBED)

    @asynccontextmanager
    async def _proven(self, found: Credentials, password: str) -> AsyncGenerator[WrongCredentials | TooMany | None]:
        """Check the password of a signed-in user, and keep the hasher's turn during the block.

        It yields the refusal, if any. The guess is charged first, and refunded if it is right.
        """
        charged = await self._attempts.change(str(found.user.id))
        if isinstance(charged, TooMany):
            yield charged
            return
        async with self._hasher.turn():
            right = await self._hasher.verify(rules.password_bytes(password), found.password_hash)
            if right:
                await self._attempts.forgive(charged)
            yield None if right else WrongCredentials()

    async def _renewed(self, session: Session, hashed: str) -> SignedIn:
        """Begin a session in place of `session`, with the password that was just changed."""
        visitor = Visitor(session.ip_address or "", session.ip_address, session.user_agent)
        for _ in range(ATTEMPTS):
            epoch = await self.sessions.epoch(session.user_id)
            found = await self.credentials(int(session.user_id))
            if found is None or found.password_hash != hashed:
                break
            try:
                return await self._sign_in(found, epoch, visitor)
            except EpochMoved:
                continue
        raise Unavailable(DISTURBED)

    async def reset_password(self, user: UserRecord, new: str) -> int:
        """Replace a user's password for an operator and end all sessions; raises `Invalid`."""
        secret = rules.check_password(new, user.email, user.display_name)
        for _ in range(ATTEMPTS):
            found = await self.credentials(user.id)
            if found is None:
                return 0
            if (replaced := await self._replace(found, secret)) is not None:
                return replaced[0]
        raise Unavailable(DISTURBED)

    async def replace_password(self, found: Credentials, new: str) -> int | None:
        """Replace the password of `found` and end all sessions; None if it was replaced meanwhile. Raises `Invalid`."""
        secret = rules.check_password(new, found.user.email, found.user.display_name, field="newPassword")
        async with self._hasher.turn():
            replaced = await self._replace(found, secret)
        return None if replaced is None else replaced[0]

    async def _replace(self, found: Credentials, secret: bytes) -> tuple[int, str] | None:
        """Store the new password; returns how many sessions ended and the hash. None if the old one is gone."""
        hashed = await self._hasher.hash(secret)
        user_id = str(found.user.id)
        current = await self.credentials(found.user.id)
        if current is None or current.password_hash != found.password_hash:
            return None  # the other change has begun a session with its own password
        revoked = await self.sessions.revoke_all(user_id)
        async with self._database.transaction() as session:
            replaced = await writing.replace_hash(session, found.user.id, found.password_hash, hashed, changed=True)
        if not replaced:
            return None
        return revoked + await self.sessions.revoke_all(user_id), hashed
