"""What is loaded for an answer without a look at what is stored, because answers of its kind had to load it before."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from graph.patterns.cache import ByteCache, Cache, Made
from graph.patterns.client import Client, open_client
from harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from graph.patterns.client import Command
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


class OneOfMany:
    """Makes answers of one kind, each of another value under a tag of its own and one that all have."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.cache = Cache(client, beta=0, lease=60, patience=60)
        self.answers = ByteCache(client, self.cache.generations, beta=0, lease=60, patience=60)
        self.loads: list[str] = []
        self.between: Callable[[], Awaitable[None]] | None = None

    async def value(self, name: str) -> Any:
        """A value through the cache: how many were loaded by then."""

        async def load() -> Any:
            self.loads.append(name)
            return len(self.loads)

        return await self.cache.get(name, load, tags=[f"tag {name}", "all"], ttl=60)

    async def answer(self, name: str) -> list[Any]:
        """What two reads of a value gave for one answer."""
        found: list[Any] = []

        async def make() -> Made:
            found.append(await self.value(name))
            if self.between is not None:
                await self.between()
            found.append(await self.value(name))
            return Made(str(found).encode(), 60)

        look = self.answers.claim(f"answer {name}", "kind")
        assert look is not None
        granted = self.answers.granted(look, await self.client.batch(*look.commands))
        assert granted is not None
        assert await self.answers.bring(f"answer {name}", make, public=True, kind="kind", granted=granted) is None
        if self.between is None:  # it is kept a moment later
            await until(lambda: self.answers.copy(f"answer {name}", time.time()))
        return found


async def test_a_value_that_is_new_takes_one_trip(valkey: ValkeyServer) -> None:
    """It is looked for and its generation is made at once; that of the tag which all have came with the lease."""
    sent: list[list[str]] = []

    def note(commands: Sequence[Command], _: object) -> None:
        sent.append([one.script.name if one.script is not None else str(one.args[0]) for one in commands])

    async with open_client(valkey.url, observe=note) as client:
        await client.execute("FLUSHALL")
        many = OneOfMany(client)
        for name in "ab":
            await many.answer(name)
        sent.clear()
        many.between = partial(asyncio.sleep, 0)
        await many.answer("c")
        assert sent[:2] == [["cache.lease", "MGET"], ["GET", "cache.generation"]]
        assert many.loads == ["a", "b", "c"]
        await many.answers.close()
        await many.cache.close()


async def test_what_came_with_the_lease_is_for_the_first_read_of_a_new_value(client: Client) -> None:
    """A second one sees what was written meanwhile under the tag that all have, as the first one's does not."""
    many = OneOfMany(client)
    for name in "ab":
        await many.answer(name)
    many.between = partial(many.cache.invalidate, "all")
    first, second = await many.answer("c")
    assert (first, second) == (3, 4)
    assert many.loads == ["a", "b", "c", "c"]
    await many.answers.close()
    await many.cache.close()
