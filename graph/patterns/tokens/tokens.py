"""Issues tokens that work once, within a time.

A token is 256 random bits; Redis holds its SHA-256, with the value that it stands for. Taking it reads and deletes that
in one command, so that of any number who try at once exactly one gets the value. Every key has a TTL.

A server that loses its last second may give a token back that was used in it, so bind the value to what using it
changes (the hash of the password that is replaced), and check that. Failure: every method raises `RedisUnavailable`
while Redis is away; `take` raises `OutcomeUnknown` when the token may have been used up, and does not try it again.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph.patterns.client import Client

_TOKEN = re.compile(r"[\w-]{43}", re.ASCII)

EXPIRING_KEYS = {"one-time:*": "what a token is for"}
"""Keys with a TTL, below the prefix, and what they hold."""


class OneTimeTokens:
    """The tokens of one `kind`."""

    def __init__(self, client: Client, kind: str, *, prefix: str = "graph", ttl: float = 3600.0) -> None:
        """Let tokens live for `ttl` seconds; one of another kind is not taken for one of these."""
        self._client = client
        self._base = f"{prefix}:one-time:{kind}"
        self._ttl = max(1, round(ttl * 1000))

    async def issue(self, value: str) -> str:
        """A new token for `value`; it is not kept."""
        token = secrets.token_urlsafe(32)
        await self._client.execute("SET", self._key(token), value, "PX", self._ttl, retry=True)
        return token

    async def peek(self, token: str) -> str | None:
        """The value of a token that was not taken yet; None for any other text."""
        return _text(await self._client.execute("GET", self._key(token))) if _TOKEN.fullmatch(token) else None

    async def take(self, token: str) -> str | None:
        """The value, for the first who asks; None for everybody after, and for any other text."""
        if _TOKEN.fullmatch(token) is None:
            return None
        return _text(await self._client.execute("GETDEL", self._key(token), retry=False))

    def _key(self, token: str) -> str:
        return f"{self._base}:{hashlib.sha256(token.encode()).hexdigest()}"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
