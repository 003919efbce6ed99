"""Reads accounts: public data through the cache, the data that a login needs from SQL.

Raises `graph.errors.Unavailable` while the database is away; without Redis everything is read from SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.accounts import queries, rules
from graph.accounts.keys import USER_TTL, user_of_tag, user_tag
from graph.accounts.records import UserRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from graph.accounts.queries import Credentials
    from graph.engines.database import Database
    from graph.patterns.cache import Cache


class AccountReader:
    """The reading side of `graph.accounts.service.AccountService`."""

    def __init__(self, database: Database, cache: Cache) -> None:
        """Read `database` through `cache`."""
        self._database = database
        self._cache = cache

    async def users(self, ids: Iterable[int]) -> dict[int, UserRecord]:
        """Return the users among `ids` that exist, by id, through the cache."""
        return {value["id"]: UserRecord.from_json(value) for value in await self._shown(ids)}

    async def credentials(self, user_id: int) -> Credentials | None:
        """Return a user with the columns that a login needs, from SQL."""
        async with self._database.session() as session:
            return await queries.credentials_by_id(session, user_id)

    async def credentials_of(self, key: str) -> Credentials | None:
        """Return the user whose email has this key, with the columns that a login needs, from SQL."""
        if not key.isprintable():  # no account can have such an email, and some databases refuse such a text
            key = ""
        async with self._database.session() as session:
            return await queries.credentials_by_key(session, key)

    async def listed(self, *, after: int = 0, limit: int = 1000) -> list[tuple[UserRecord, bool]]:
        """Return users with an id greater than `after`, by id, and whether each is locked; from SQL."""
        async with self._database.session() as session:
            return await queries.listed(session, after=after, limit=limit)

    async def display_names(self, ids: Iterable[int]) -> dict[int, str]:
        """Return the display names of the users among `ids` that exist, by id, through the cache."""
        return {value["id"]: value["display_name"] for value in await self._shown(ids)}

    async def _shown(self, ids: Iterable[int]) -> list[dict[str, Any]]:
        """Return the cached JSON (`UserRecord.to_json`) of the users among `ids` that exist, by id."""

        async def load(keys: Sequence[str]) -> Mapping[str, object]:
            found = await queries.users(self._database, [user_of_tag(key) for key in keys])
            return {user_tag(user.id): user.to_json() for user in found}

        found = await self._cache.get_many([user_tag(one) for one in ids], load, tags=lambda key: [key], ttl=USER_TTL)
        return [value for value in found.values() if value is not None]

    async def user(self, user_id: int) -> UserRecord | None:
        """Return one user, through the cache."""
        return (await self.users([user_id])).get(user_id)

    async def find(self, email: str) -> UserRecord | None:
        """Return the user with this email, however it is spelled; one who was deleted has none."""
        key = rules.email_key(email)
        found = await self.credentials_of(key) if key is not None else None
        return found.user if found is not None and not found.user.deleted else None
