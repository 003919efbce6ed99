from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from graph.patterns.tokens import OneTimeTokens

if TYPE_CHECKING:
    from graph.patterns.client import Client


async def test_a_token_works_once_among_a_hundred_at_once(client: Client) -> None:
    """Exactly one of those who take it gets the value."""
    tokens = OneTimeTokens(client, "reset")
    for turn in range(5):
        token = await tokens.issue(f"user {turn}")
        assert await tokens.peek(token) == f"user {turn}"
        taken = await asyncio.gather(*(tokens.take(token) for _ in range(100)))
        assert [value for value in taken if value is not None] == [f"user {turn}"]
        assert await tokens.peek(token) is None


async def test_tokens_are_of_one_kind_and_end(client: Client) -> None:
    """Another kind's, an altered one and any other text are none; Redis has neither a token nor a key without a TTL."""
    tokens = OneTimeTokens(client, "reset", ttl=100.0)
    token = await tokens.issue("value")
    assert await OneTimeTokens(client, "confirm").take(token) is None
    for text in ("", token[:-1], token[:-1] + ("A" if token[-1] != "A" else "B"), token + "\n", "\ud800", "x" * 10_000):
        assert await tokens.take(text) is None
    (key,) = await client.execute("KEYS", "*")
    assert token.encode() not in key
    assert 0 < await client.execute("PTTL", key) <= 100_000
    assert await tokens.take(token) == "value"
