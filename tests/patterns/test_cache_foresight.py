"""What is loaded for an answer without a look at what is stored, because answers of its kind had to load it before."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from graph.patterns.cache import ByteCache, Cache, Made
from graph.patterns.client import Client, open_client
from harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from harness.valkey import ValkeyServer

LOOKED = 16
"""One answer in so many looks at what is stored, whatever is foreseen."""


class Maker:
    """Makes answers of one kind, each of the same value."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.cache = Cache(client, beta=0, lease=60, patience=60)
        self.answers = ByteCache(client, self.cache.generations, beta=0, lease=60, patience=60)
        self.loads = 0
        self.broken = False
        self.ttl = 60.0
        self.stale = 0.0
        self._made = 0

    async def load(self) -> Any:
        """The value."""
        self.loads += 1
        if self.broken:
            raise LookupError
        return "value"

    async def value(self) -> Any:
        """The value through the cache."""
        return await self.cache.get("value", self.load, tags=["tag"], ttl=self.ttl, stale=self.stale)

    async def make(self) -> Made:
        """An answer."""
        return Made(str(await self.value()).encode(), 60)

    async def answer(self, times: int, tags: Sequence[str] = ()) -> None:
        """Make so many, each under the lease that came with the look for it."""
        for _ in range(times):
            self._made += 1
            key = f"answer {self._made}"
            look = self.answers.claim(key, "kind", tags)
            assert look is not None
            granted = self.answers.granted(look, await self.client.batch(*look.commands))
            assert granted is not None
            assert await self.answers.bring(key, self.make, tags, public=True, kind="kind", granted=granted) is None
            if not self.broken:  # else it shows what is past its time, and is not kept
                await until(lambda key=key: self.answers.copy(key, time.time()))


@pytest.fixture
async def maker(client: Client) -> AsyncIterator[Maker]:
    """A maker whose answers had to load the value twice: it is foreseen."""
    maker = Maker(client)
    await maker.answer(2)
    assert maker.loads == 2
    yield maker
    await maker.answers.close()
    await maker.cache.close()


async def test_a_copy_in_this_process_is_used(maker: Maker) -> None:
    """It is compared with the generations that came with the lease."""
    await maker.value()
    await maker.answer(2 * LOOKED)
    assert maker.loads == 3
    await maker.cache.invalidate("tag")
    await maker.answer(1)
    assert maker.loads == 4


async def test_what_another_process_has_stored_is_found_after_a_while(maker: Maker, valkey: ValkeyServer) -> None:
    """And from then on it is used."""
    async with open_client(valkey.url) as second:
        other = Cache(second, beta=0)
        await other.get("value", maker.load, tags=["tag"])
        await second.execute("PING")
        await maker.answer(LOOKED)
        assert maker.loads < 3 + LOOKED
        loads = maker.loads
        await maker.answer(2 * LOOKED)
        assert maker.loads == loads
        await other.close()


async def test_what_an_answer_declares_is_not_foreseen(client: Client, valkey: ValkeyServer) -> None:
    """A value under a tag that the answer has in any case is looked for like any other."""
    async with open_client(valkey.url) as second:
        other = Cache(second, beta=0)
        maker = Maker(client)
        await other.get("value", maker.load, tags=["tag"])
        await second.execute("PING")
        await maker.answer(3, ["tag"])
        assert maker.loads == 1
        await maker.answers.close()
        await maker.cache.close()
        await other.close()


async def test_a_value_past_its_time_does_where_it_may(maker: Maker) -> None:
    """What may be served when its loader fails is looked for, foreseen or not."""
    maker.ttl, maker.stale = 0.01, 60.0
    await maker.value()
    await asyncio.sleep(0.02)
    maker.broken = True
    await maker.answer(2)
    assert maker.loads == 5
