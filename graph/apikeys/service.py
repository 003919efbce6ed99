"""Creates, recognises, lists and revokes API keys.

SQL is the source of truth. A key in use has a session in Redis like a signed-in user (`graph.patterns.sessions`), under
its own principal, so each request is checked and charged by the same commands. A missing session (Redis was emptied,
the key was not used for a day) is begun again from SQL (`restore`), in the epoch that was read before the query, so a
key that is revoked meanwhile stays revoked. Revoking writes SQL first, then ends the session everywhere at once,
sockets included. A key is no user's: it goes on when the user who made it is disabled, demoted or deleted, because the
programs that use it are none of theirs; `created_by` tells which those are.

Requests with made-up keys do not cause a query each: the digests of all keys are read at most once in `RELOAD` seconds.

Failure: `graph.errors.Unavailable` while SQL is away, `RedisUnavailable` while Redis is.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, or_, select, update

from graph.apikeys import rules
from graph.apikeys.keys import number_of, principal
from graph.apikeys.models import KEYS
from graph.apikeys.records import ApiKeyRecord, scopes_in, scopes_text
from graph.errors import Invalid, Unavailable
from graph.patterns.sessions import EpochMoved

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from sqlalchemy import Row

    from graph.apikeys.records import ApiKeyScope
    from graph.engines.database import Database
    from graph.patterns.sessions import Session, Sessions

RELOAD = 2.0
_ATTEMPTS = 5
K = KEYS.c


class ApiKeys:
    """Manages all API keys."""

    def __init__(self, database: Database, sessions: Sessions) -> None:
        """Keep keys in `database`, and a session for each key in use in `sessions`."""
        self._database = database
        self._sessions = sessions
        self._digests: frozenset[str] = frozenset()
        self._read_at = -RELOAD
        self._reading = asyncio.Lock()

    async def create(
        self, name: str, scopes: Sequence[ApiKeyScope], operations: int, *, by: int
    ) -> tuple[str, ApiKeyRecord]:
        """Create a key; returns the key itself, to be shown once, and its record. Raises `graph.errors.Invalid`."""
        rules.check(name, scopes, operations)
        row: dict[str, Any] = {
            "name": name,
            "digest": secrets.token_hex(32),
            "scopes": scopes_text(scopes),
            "operations": operations,
            "created_by": by,
            "created_at": datetime.now(UTC),
        }
        async with self._database.transaction() as session:
            live = select(func.count()).select_from(KEYS).where(K.revoked_at.is_(None))
            if (await session.execute(live)).scalar_one() >= rules.MAX_KEYS:
                raise Invalid("name", f"There are {rules.MAX_KEYS} keys; revoke one first.")
            number = int((await session.execute(insert(KEYS).returning(K.id), row)).scalar_one())
            key = f"{principal(number, operations)}.{secrets.token_urlsafe(32)}"
            made = update(KEYS).where(K.id == number).values(digest=_digest(key)).returning(*KEYS.c)
            record = _record((await session.execute(made)).one())
        self._digests |= {_digest(key)}
        return key, record

    async def restore(self, key: str) -> Session | None:
        """Begin the session of `key` again; None if there is no such key or it is revoked."""
        name, digest = key.partition(".")[0], _digest(key)
        number = number_of(name)
        if number is None or not await self._exists(digest):
            return None
        for _ in range(_ATTEMPTS):
            epoch = await self._sessions.epoch(name)
            record = await self._live(number, digest)
            if record is None:
                return None
            try:
                _, session = await self._sessions.create(name, role=record.role, epoch=epoch, token=key)
            except EpochMoved:
                continue
            await self._note(record, datetime.now(UTC))
            return session
        raise Unavailable("This key is being changed at the moment; try again.")

    async def list(self) -> list[ApiKeyRecord]:
        """Return all keys that are not revoked, by name, with their last use accurate to a minute."""
        async with self._database.session() as session:
            found = select(KEYS).where(K.revoked_at.is_(None)).order_by(K.name, K.id)
            records = [_record(row) for row in await session.execute(found)]
        return list(await asyncio.gather(*map(self._with_use, records)))

    async def revoke(self, number: int) -> bool:
        """Revoke a key everywhere at once; False if there is no such key or it was revoked before."""
        async with self._database.transaction() as session:
            live = update(KEYS).where(K.id == number, K.revoked_at.is_(None)).values(revoked_at=datetime.now(UTC))
            revoked = (await session.execute(live.returning(K.id))).one_or_none() is not None
            row = (await session.execute(select(KEYS).where(K.id == number))).one_or_none()
        if row is not None:  # even if it was revoked before, because that process may have died at this point
            await self._sessions.revoke_all(_record(row).principal)
        return revoked

    async def note_use(self) -> None:
        """Store when keys were last used, before that expires in Redis."""
        for record in await self.list():
            if record.last_used_at is not None:
                await self._note(record, record.last_used_at)

    async def _exists(self, digest: str) -> bool:
        if digest in self._digests:
            return True
        async with self._reading:
            if time.monotonic() - self._read_at >= RELOAD:
                async with self._database.session() as session:
                    self._digests = frozenset(await session.scalars(select(K.digest).where(K.revoked_at.is_(None))))
                self._read_at = time.monotonic()
        return digest in self._digests

    async def _live(self, number: int, digest: str) -> ApiKeyRecord | None:
        async with self._database.session() as session:
            found = select(KEYS).where(K.id == number, K.digest == digest, K.revoked_at.is_(None))
            row = (await session.execute(found)).one_or_none()
        return None if row is None else _record(row)

    async def _with_use(self, record: ApiKeyRecord) -> ApiKeyRecord:
        sessions = await self._sessions.list(record.principal)
        if not sessions:
            return record
        used = datetime.fromtimestamp(sessions[0].last_active_at, UTC)
        return replace(record, last_used_at=max(used, record.last_used_at or used))

    async def _note(self, record: ApiKeyRecord, used: datetime) -> None:
        older = or_(K.last_used_at.is_(None), K.last_used_at < used)
        async with self._database.transaction() as session:
            await session.execute(update(KEYS).where(K.id == record.id, older).values(last_used_at=used))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _record(row: Row[*tuple[Any, ...]]) -> ApiKeyRecord:
    return ApiKeyRecord(
        id=row.id,
        name=row.name,
        scopes=scopes_in(row.scopes),
        operations=row.operations,
        created_by=row.created_by or None,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
    )
