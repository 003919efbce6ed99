"""What the fixtures of the suite promise to every test."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from graph.patterns.client import open_client
from harness.waiting import within
from tests.support.fixtures import alone

if TYPE_CHECKING:
    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer


async def _looks(client: Client) -> int:
    """How often the server has been asked who is connected."""
    lines = (await client.execute("INFO", "commandstats", retry=False)).splitlines()
    calls = [line.partition(b"calls=")[2] for line in lines if line.startswith(b"cmdstat_client|list:")]
    return int(calls[0].partition(b",")[0]) if calls else 0


async def test_a_test_begins_when_nobody_else_is_connected(valkey: ValkeyServer) -> None:
    """Whoever is left of the test before could write into what has just been emptied."""
    async with open_client(valkey.url) as own:
        async with open_client(valkey.url) as other:
            await other.execute("PING")
            before = await _looks(own)
            waiting = asyncio.create_task(alone(own))
            async with within("the server to be asked who is connected"):
                while await _looks(own) < before + 3:
                    await asyncio.sleep(0.01)
                    assert not waiting.done()
        async with within("the other to be gone"):
            await waiting
