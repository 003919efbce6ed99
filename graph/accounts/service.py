"""Accounts: who somebody is, and how they prove it.

Users live in SQL, sessions in Redis (`graph.patterns.sessions`). A login reads the user's epoch, then the credentials,
then begins its session in that epoch: so no session begins on a password or a role that was replaced meanwhile. A
change of either ends the sessions first, is committed, and ends them again: a crash in between leaves nobody signed in
who should not be.

Unknown email and wrong password take the same steps: one charge, one look-up (two for a device that says it is known),
one hash. Nothing here puts a password,
a hash or a token into a log line or an exception.

Failure: expected outcomes are values (`graph.accounts.records`), a value that breaks a rule raises `Invalid`.
`Unavailable` is raised while Redis or the database is away (nobody signs in unlimited), or too many hashes wait.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from graph.accounts import queries, rules, writing
from graph.accounts.attempts import AttemptLimits, Attempts, issue_device, known_device
from graph.accounts.keys import user_tag
from graph.accounts.reading import AccountReader
from graph.accounts.records import (
    EmailInUse,
    GuestSignedIn,
    NoGuest,
    PasswordReplaced,
    Role,
    SignedIn,
    TooMany,
    UserRecord,
    Visitor,
    WrongCredentials,
)
from graph.errors import Taken, Unavailable
from graph.patterns.sessions import EpochMoved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.accounts.passwords import Hasher
    from graph.accounts.queries import Credentials
    from graph.engines.database import Database
    from graph.patterns.cache import Cache
    from graph.patterns.limiter import Charge, Limiter
    from graph.patterns.sessions import Session, Sessions

GUEST_NAME = "Guest"
DELETED_NAME = "Deleted player"

_ATTEMPTS = 5  # to begin a session, or to change a password, while somebody else changes the account
_DISTURBED = "This account is being changed at the moment; try again."


class AccountService(AccountReader):
    """Everything that can be done with an account."""

    def __init__(
        self,
        database: Database,
        cache: Cache,
        sessions: Sessions,
        limiter: Limiter,
        hasher: Hasher,
        *,
        prefix: str = "graph",
        limits: AttemptLimits | None = None,
    ) -> None:
        """Keep users in `database`; `prefix` begins the keys of the limits."""
        super().__init__(database, cache)
        self._hasher = hasher
        self._attempts = Attempts(limiter, limits or AttemptLimits(), prefix=prefix)
        self.sessions = sessions

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
            async with self._database.session() as session:
                if await queries.credentials_by_key(session, key) is not None:
                    return EmailInUse()
            try:
                user = await self._add(shown, key, name, secret, Role.PLAYER)
            except Taken:
                return EmailInUse()
            found = await self._credentials(key)
            if found is None or found.user.id != user.id:
                raise Unavailable(_DISTURBED)
            return await self._sign_in(found, None, visitor)

    async def add(self, email: str, password: str, display_name: str, role: Role) -> UserRecord | EmailInUse:
        """Create a user on an operator's word; raises `Invalid`."""
        shown, key = rules.check_email(email)
        name = rules.check_display_name(display_name)
        try:
            return await self._add(shown, key, name, rules.check_password(password, shown, name), role)
        except Taken:
            return EmailInUse()

    async def add_first_admin(self, email: str, display_name: str) -> str | None:
        """While there are no users at all, create an ADMIN and give the random password; it is kept nowhere."""
        async with self._database.session() as session:
            if await queries.count(session):
                return None
        password = secrets.token_urlsafe(12)
        return password if isinstance(await self.add(email, password, display_name, Role.ADMIN), UserRecord) else None

    async def _add(self, email: str, key: str, name: str, secret: bytes, role: Role) -> UserRecord:
        hashed = await self._hasher.hash(secret)
        async with self._database.transaction() as session:
            user = await writing.add(
                session, email=email, email_key=key, display_name=name, password_hash=hashed, role=role
            )
        await self._cache.invalidate(user_tag(user.id))  # somebody may have looked for it in vain a moment ago
        return user

    async def login(self, email: str, password: str, visitor: Visitor) -> SignedIn | WrongCredentials | TooMany:
        """Begin a session for whoever knows the password."""
        key = rules.email_key(email) or email[: rules.MAX_EMAIL]
        charged = await self._attempts.guess(key, visitor.address, await self._device(key, visitor))
        if isinstance(charged, TooMany):
            return charged
        async with self._hasher.turn():
            return await self._login(key, rules.password_bytes(password), visitor, charged)

    async def _device(self, key: str, visitor: Visitor) -> str | None:
        """The name of the visitor's device, if the account knows it."""
        if visitor.device is None:
            return None
        found = await self._credentials(key)
        return known_device(visitor.device, key, found.password_hash) if found is not None else None

    async def _login(
        self, key: str, secret: bytes | None, visitor: Visitor, charged: Sequence[Charge]
    ) -> SignedIn | WrongCredentials:
        found = await self._credentials(key)
        if not await self._hasher.verify(secret, found.password_hash if found is not None else None):
            return WrongCredentials()
        assert found is not None
        assert secret is not None
        await self._attempts.forgive(charged)
        for _ in range(_ATTEMPTS):
            user_id = str(found.user.id)
            epoch = await self.sessions.epoch(user_id)
            current = await self._credentials(key)
            if current is None:
                return WrongCredentials()
            if current.password_hash != found.password_hash:
                if not await self._hasher.verify(secret, current.password_hash):
                    return WrongCredentials()
                found = current
                continue
            try:
                signed_in = await self._sign_in(current, epoch, visitor)
            except EpochMoved:
                continue
            await self._hash_anew(current, secret)
            return signed_in
        raise Unavailable(_DISTURBED)

    async def _sign_in(self, found: Credentials, epoch: str | None, visitor: Visitor) -> SignedIn:
        user = found.user
        token, session = await self.sessions.create(
            str(user.id), role=user.role, epoch=epoch, user_agent=visitor.user_agent, ip_address=visitor.ip_address
        )
        return SignedIn(user, session, token, issue_device(found.email_key, found.password_hash))

    async def _hash_anew(self, found: Credentials, secret: bytes) -> None:
        """Replace a hash of other parameters than today's."""
        if self._hasher.is_outdated(found.password_hash):
            hashed = await self._hasher.hash(secret)
            async with self._database.transaction() as session:
                await writing.replace_hash(session, found.user.id, found.password_hash, hashed, changed=False)

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
            found = await self._credentials(email)
            if found is None:
                raise Unavailable(_DISTURBED)
            return GuestSignedIn(await self._sign_in(found, None, visitor), f"{handle}.{key}")

    async def resume_guest(self, secret: str, visitor: Visitor) -> SignedIn | WrongCredentials | TooMany:
        """Sign a guest in again."""
        handle, _, key = secret.partition(".")
        return await self.login(f"{handle}@{rules.GUESTS}", key, visitor)

    async def claim(
        self, session: Session, email: str, password: str, visitor: Visitor
    ) -> UserRecord | EmailInUse | NoGuest | TooMany:
        """Give the guest of `session` an email and a password, and end all other sessions; raises `Invalid`.

        It stays the same user. Of several claims of one guest the first counts.
        """
        shown, key = rules.check_email(email)
        async with self._database.session() as reading:
            found = await queries.credentials_by_id(reading, int(session.user_id))
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
        """Give a user another name, None when there is no such user; raises `Invalid`."""
        name = rules.check_display_name(display_name)
        async with self._cache.invalidating(user_tag(user_id)), self._database.transaction() as session:
            await writing.rename(session, user_id, name)
        return await self.user(user_id)

    async def delete(self, session: Session, password: str) -> UserRecord | WrongCredentials | TooMany:
        """Forget who the user of `session` is and end all sessions; what remains is a number without a name.

        The password is asked for, unless the user is a guest, who has none.
        """
        async with self._database.session() as reading:
            found = await queries.credentials_by_id(reading, int(session.user_id))
        if found is None:
            return WrongCredentials()
        if not found.user.guest:
            charged = await self._attempts.change(session.user_id)
            if isinstance(charged, TooMany):
                return charged
            async with self._hasher.turn():
                if not await self._hasher.verify(rules.password_bytes(password), found.password_hash):
                    return WrongCredentials()
            await self._attempts.forgive(charged)
        await self.sessions.revoke_all(session.user_id)
        email = f"{found.user.id}@{rules.DELETED}"
        async with self._cache.invalidating(user_tag(found.user.id)), self._database.transaction() as writer:
            forgotten = await writing.forget(writer, found, email=email, display_name=DELETED_NAME)
        await self.sessions.revoke_all(session.user_id)
        return replace(found.user, email=email, display_name=DELETED_NAME) if forgotten else WrongCredentials()

    async def change_password(
        self, session: Session, current: str, new: str
    ) -> PasswordReplaced | WrongCredentials | TooMany:
        """Change the password of the user of `session` and end all their other sessions; raises `Invalid`."""
        for _ in range(_ATTEMPTS):
            async with self._database.session() as reading:
                found = await queries.credentials_by_id(reading, int(session.user_id))
            if found is None:
                return WrongCredentials()
            secret = rules.check_password(new, found.user.email, found.user.display_name, field="newPassword")
            charged = await self._attempts.change(session.user_id)
            if isinstance(charged, TooMany):
                return charged
            async with self._hasher.turn():
                if not await self._hasher.verify(rules.password_bytes(current), found.password_hash):
                    return WrongCredentials()
                await self._attempts.forgive(charged)
                revoked = await self._replace(found, secret, keep=session.id)
            if revoked is not None:
                return PasswordReplaced(revoked)
        raise Unavailable(_DISTURBED)

    async def reset_password(self, user: UserRecord, new: str) -> int:
        """Give a user another password on an operator's word and end all sessions; raises `Invalid`."""
        secret = rules.check_password(new, user.email, user.display_name)
        for _ in range(_ATTEMPTS):
            async with self._database.session() as reading:
                found = await queries.credentials_by_id(reading, user.id)
            revoked = await self._replace(found, secret, keep=None) if found is not None else 0
            if revoked is not None:
                return revoked
        raise Unavailable(_DISTURBED)

    async def _replace(self, found: Credentials, secret: bytes, *, keep: str | None) -> int | None:
        """Write the new password; None when the old one was replaced meanwhile."""
        hashed = await self._hasher.hash(secret)
        user_id = str(found.user.id)
        revoked = await self.sessions.revoke_all(user_id, keep=keep)
        async with self._database.transaction() as session:
            replaced = await writing.replace_hash(session, found.user.id, found.password_hash, hashed, changed=True)
        revoked += await self.sessions.revoke_all(user_id, keep=keep)
        return revoked if replaced else None

    async def set_role(self, user: UserRecord, role: Role) -> int:
        """Give a user another role and end all sessions, which carry the old one; say how many."""
        revoked = await self.sessions.revoke_all(str(user.id))
        async with self._cache.invalidating(user_tag(user.id)), self._database.transaction() as session:
            await writing.set_role(session, user.id, role)
        return revoked + await self.sessions.revoke_all(str(user.id))
