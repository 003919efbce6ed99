"""Results that depend on what a list shows, while whatever it might show changes."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from graph.patterns.cache import Cache, Observation, get_narrowly, observing
from graph.patterns.cache.generations import Generations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from graph.patterns.cache.generations import Mark
    from graph.patterns.client import Client

SHOWN, OTHER = 1, 9


class Shop:
    """A list of two things among many, each with a version, in a database that takes its time."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.versions = dict.fromkeys(range(10), 1)
        self.begun: list[str] = []

    async def load(self) -> Any:
        """The list."""
        page = [[number, self.versions[number]] for number in (SHOWN, 2)]
        await asyncio.sleep(0)
        return page

    async def read(self) -> tuple[Any, Observation]:
        """The list, and what a result made of it depends on."""
        with observing() as observed:
            page = await get_narrowly(self.cache, "page", self.load, tags=["things", "all"], narrow=self.narrow)
        return page, observed

    @staticmethod
    def narrow(page: Any) -> Sequence[str]:
        """The tags of the order and of what is shown."""
        return ["order", *(f"thing:{number}" for number, _ in page), "all"]

    async def write(self, number: int) -> None:
        """Change a thing."""
        async with self.cache.invalidating("things", f"thing:{number}"):
            await asyncio.sleep(0)
            self.versions[number] += 1
            await asyncio.sleep(0)

    async def is_current(self, observed: Observation) -> bool:
        """Whether a result that was kept for what was observed would be served now."""
        marks = await self.cache.generations.read(observed.tags, (), 60)
        return observed.certain and marks == observed.marks


@pytest.fixture
async def shop(client: Client) -> AsyncIterator[Shop]:
    """A shop behind an empty cache."""
    cache = Cache(client, beta=0)
    yield Shop(cache)
    await cache.close()


async def test_a_result_depends_on_what_it_shows(shop: Shop) -> None:
    """A change of something else leaves it current, loaded or found; one of what it shows does not."""
    observed = Observation()
    for _ in range(2):
        _, observed = await shop.read()
        assert set(observed.tags) == {"order", "thing:1", "thing:2", "all"}
        await shop.write(OTHER)
        assert await shop.is_current(observed)
        assert (await shop.read())[0] == [[1, shop.versions[1]], [2, 1]]
    await shop.write(SHOWN)
    assert not await shop.is_current(observed)
    for tag in ("order", "all"):
        _, observed = await shop.read()
        assert await shop.is_current(observed)
        await shop.cache.invalidate(tag)
        assert not await shop.is_current(observed)


async def test_without_a_result_nothing_more_is_asked(shop: Shop) -> None:
    """Outside of an observation it is an ordinary read."""
    page = await get_narrowly(shop.cache, "page", shop.load, tags=["things", "all"], narrow=lambda _: 1 // 0)  # pyright: ignore[reportArgumentType] - never called
    assert page == [[1, 1], [2, 1]]


async def test_a_list_that_shows_much_depends_on_the_rough_tags(shop: Shop) -> None:
    """To compare a hundred generations at every use would cost more than it saves."""
    with observing() as observed:
        await get_narrowly(
            shop.cache, "page", shop.load, tags=["things", "all"], narrow=lambda _: [f"thing:{n}" for n in range(100)]
        )
    assert observed.tags == ("all", "things")


class Intruder:
    """A writer that comes at one moment of a read, or is amid its write from that moment on."""

    def __init__(self, shop: Shop, number: int, moment: str) -> None:
        self._shop = shop
        self._number = number
        self._moment = moment
        self._placed = asyncio.Event()
        self._commits = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    async def come(self, moment: str) -> None:
        """Write if this is the moment."""
        if self._moment == moment:
            await self._shop.write(self._number)
        elif self._moment == f"from {moment} on":
            self._writing = asyncio.create_task(self._write())
            await self._placed.wait()

    async def _write(self) -> None:
        async with self._shop.cache.invalidating("things", f"thing:{self._number}"):
            self._placed.set()
            await self._commits.wait()
            self._shop.versions[self._number] += 1

    async def end(self) -> None:
        """Finish the write."""
        self._commits.set()
        if self._writing is not None:
            await self._writing


@pytest.mark.parametrize("number", [SHOWN, OTHER])
@pytest.mark.parametrize(
    "moment", ["loaded", "from loaded on", "before the marks", "from before the marks on", "after the marks"]
)
async def test_a_write_at_any_moment(shop: Shop, monkeypatch: pytest.MonkeyPatch, number: int, moment: str) -> None:
    """Whenever a write comes between: what was made before it, and shows the old state, is outdated after it."""
    real_load, real_read = shop.load, shop.cache.generations.read
    intruder = Intruder(shop, number, moment)

    async def load() -> Any:
        page = await real_load()
        await intruder.come("loaded")
        return page

    async def read(first: Sequence[str], then: Sequence[str], ttl: float) -> dict[str, Mark]:
        await intruder.come("before the marks")
        marks = await real_read(first, then, ttl)
        await intruder.come("after the marks")
        return marks

    monkeypatch.setattr(shop, "load", load)
    monkeypatch.setattr(shop.cache.generations, "read", read)
    page, observed = await shop.read()
    monkeypatch.undo()
    await intruder.end()
    assert page == [[1, 1], [2, 1]]
    if number == SHOWN:
        assert not await shop.is_current(observed)
    elif moment == "after the marks":
        assert await shop.is_current(observed)


async def test_reads_among_writes(shop: Shop) -> None:
    """However they interleave, what is current when all is quiet shows what is so."""
    dice = random.Random(20261129)
    current = 0
    for _ in range(150):
        numbers = [dice.choice((SHOWN, 2, OTHER)) for _ in range(dice.randrange(3))]

        async def read() -> tuple[Any, Observation]:
            for _ in range(dice.randrange(12)):
                await asyncio.sleep(0)
            return await shop.read()

        reading = asyncio.create_task(read())
        await asyncio.gather(reading, *(shop.write(number) for number in numbers))
        page, observed = await reading
        if await shop.is_current(observed):
            current += 1
            assert page == [[number, shop.versions[number]] for number in (SHOWN, 2)]
    assert current > 20


async def test_missing_generations_are_created_before_the_rough_ones_are_compared(client: Client) -> None:
    """Marks that are asked for first are read first, also where they do not exist yet."""
    generations = Generations(client)
    marks = await generations.read(["new"], ["rough"], 60)
    assert marks["new"] is not None
    assert marks["rough"] is None
    again = await generations.read(["new"], [], 60)
    assert again == {"new": marks["new"]}
