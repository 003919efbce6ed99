"""Leases that were requested, but whose requester never heard whether they were granted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from graph.patterns.cache import ByteCache, Cache, Made
from graph.patterns.client import open_client
from harness.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from graph.patterns.client import Client, Command

LEASE = 60.0
"""Seconds: no lease is gone because its time is over."""


class Reader:
    """A process that reads through a server that can be paused."""

    def __init__(self, server: ValkeyServer, client: Client, sent: list[str]) -> None:
        self.server = server
        self.client = client
        self.sent = sent
        """The scripts that were sent."""
        self.cache = Cache(client, beta=0, lease=LEASE)
        self.answers = ByteCache(client, self.cache.generations, beta=0, lease=LEASE)

    async def read(self, what: str, key: str = "key") -> Any:
        """Read the value or the answer, under a tag of the same name."""
        if what == "value":
            return await self.cache.get(key, _load, tags=[key])
        return await self.answers.bring(key, _make, [key])

    async def leases(self) -> list[bytes]:
        """The keys of leases that are held, once all that was sent has been done."""
        await self.client.execute("PING", retry=True)
        return await self.client.execute("KEYS", "*lease:*", retry=True)

    async def close(self) -> None:
        """Leave nothing running."""
        await self.answers.close()
        await self.cache.close()


async def _load() -> Any:
    return "value"


async def _make() -> Made:
    return Made(b"answer", 60)


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    """One with an empty server of its own."""
    sent: list[str] = []

    def note(commands: Sequence[Command], _: object) -> None:
        sent.extend(one.script.name for one in commands if one.script is not None)

    with ValkeyServer() as server:
        async with open_client(server.url, observe=note) as client:
            made = Reader(server, client, sent)
            for what in ("value", "answer"):
                await made.read(what, "known")  # the server knows the scripts
            assert await made.leases() == []
            sent.clear()
            yield made
            await made.close()


@pytest.mark.parametrize("what", ["value", "answer"])
async def test_a_process_that_stops_holds_none(reader: Reader, what: str) -> None:
    """Though its requests are replied to later."""
    reader.server.pause()
    asked = asyncio.create_task(reader.read(what))
    while "cache.lease" not in reader.sent:
        if what == "value":  # it looks for the value first
            reader.server.resume()
            await asyncio.sleep(0)
            reader.server.pause()
        await asyncio.sleep(0)
    await reader.close()
    await asyncio.wait((asked,))
    reader.server.resume()
    assert await reader.leases() == []


async def test_one_that_cannot_read_its_generations_holds_none(reader: Reader) -> None:
    """Where they are on another server than the lease, for example; here they are no generations."""
    await reader.client.execute("RPUSH", reader.cache.generations.key("key"), "no generation", retry=False)
    assert await reader.read("answer") is None
    assert "cache.lease" in reader.sent
    assert await reader.leases() == []
