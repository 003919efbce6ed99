"""Signs users in: begins a session for an email and a password.

A login reads the user's epoch, then the credentials, then begins its session in that epoch, so no session begins with a
password or a role that was replaced meanwhile. An unknown email and a wrong password take the same steps: one charge,
one look-up (two if there is a device cookie), one hash.

Failure: as in `graph.accounts.service`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.accounts import rules, writing
from graph.accounts.attempts import AttemptLimits, Attempts, issue_device, known_device
from graph.accounts.reading import AccountReader
from graph.accounts.records import PASSWORD_DUE, SignedIn, TooMany, Visitor, WrongCredentials
from graph.errors import Unavailable
from graph.patterns.sessions import EpochMoved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.accounts.passwords import Hasher
    from graph.accounts.queries import Credentials
    from graph.engines.database import Database
    from graph.patterns.cache import Cache
    from graph.patterns.limiter import Charge, Limiter
    from graph.patterns.sessions import Sessions

ATTEMPTS = 5
"""How often a session is begun, or a password changed, while somebody else changes the account."""
DISTURBED = "This account is being changed at the moment; try again."


class SigningIn(AccountReader):
    """Begins sessions."""

    def __init__(
        self,
        database: Database,
        cache: Cache,
        *,
        sessions: Sessions,
        limiter: Limiter,
        hasher: Hasher,
        prefix: str = "graph",
        limits: AttemptLimits | None = None,
    ) -> None:
        """Keep users in `database`; the keys of the limits begin with `prefix`."""
        super().__init__(database, cache)
        self._hasher = hasher
        self._attempts = Attempts(limiter, limits or AttemptLimits(), prefix=prefix)
        self.sessions = sessions

    async def login(self, email: str, password: str, visitor: Visitor) -> SignedIn | WrongCredentials | TooMany:
        """Begin a session if email and password are right."""
        key = rules.email_key(email) or email[: rules.MAX_EMAIL]
        charged = await self._attempts.guess(key, visitor.address, await self._device(key, visitor))
        if isinstance(charged, TooMany):
            return charged
        async with self._hasher.turn():
            return await self._login(key, rules.password_bytes(password), visitor, charged)

    async def _device(self, key: str, visitor: Visitor) -> str | None:
        """Return the name of the visitor's device, if it is known to the account."""
        if visitor.device is None:
            return None
        found = await self.credentials_of(key)
        return known_device(visitor.device, key, found.password_hash) if found is not None else None

    async def _login(
        self, key: str, secret: bytes | None, visitor: Visitor, charged: Sequence[Charge]
    ) -> SignedIn | WrongCredentials:
        found = await self.credentials_of(key)
        if not await self._hasher.verify(secret, found.password_hash if found is not None else None):
            return WrongCredentials()
        assert found is not None
        assert secret is not None
        await self._attempts.forgive(charged)
        for _ in range(ATTEMPTS):
            user_id = str(found.user.id)
            epoch = await self.sessions.epoch(user_id)
            current = await self.credentials_of(key)
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
        raise Unavailable(DISTURBED)

    async def _sign_in(self, found: Credentials, epoch: str | None, visitor: Visitor) -> SignedIn:
        user = found.user
        token, session = await self.sessions.create(
            str(user.id),
            role=PASSWORD_DUE if found.password_due else user.role,
            epoch=epoch,
            user_agent=visitor.user_agent,
            ip_address=visitor.ip_address,
        )
        return SignedIn(user, session, token, issue_device(found.email_key, found.password_hash))

    async def _hash_anew(self, found: Credentials, secret: bytes) -> None:
        """Replace a hash that was made with old parameters."""
        if self._hasher.is_outdated(found.password_hash):
            hashed = await self._hasher.hash(secret)
            async with self._database.transaction() as session:
                await writing.replace_hash(session, found.user.id, found.password_hash, hashed, changed=False)
