"""Results that depend on what a list shows, while whatever it might show changes."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from graph.patterns.cache import ByteCache, Cache, Made, Observation, get_narrowly, narrow, observing
from graph.patterns.cache.generations import Generations
from graph.patterns.cache.narrowing import finish
from graph.patterns.client import Replies, open_client
from harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from graph.patterns.cache.generations import Mark
    from graph.patterns.client import Client, Command
    from harness.valkey import ValkeyServer

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


class Board:
    """Ten places that change without a bracket, and an answer that shows two of them, under a declared tag."""

    def __init__(self, client: Client) -> None:
        self.cache = Cache(client, beta=0)
        self.answers = ByteCache(client, self.cache.generations, beta=0)
        self.places = dict.fromkeys(range(10), 1)
        self.others: tuple[Sequence[str] | None, ...] = ()
        """What else is read for the answer: the tags that matter to it, each time."""

    async def make(self) -> Made:
        """The answer."""
        shown = [[number, self.places[number]] for number in (SHOWN, 2)]
        await asyncio.sleep(0)
        narrow("places", [f"place:{number}" for number, _ in shown])
        for tags in self.others:
            narrow("places", tags)
        return Made(str(shown).encode(), 60)

    async def read(self) -> str:
        """The answer as a client gets it, and by now kept."""
        hit = await self.answers.again("key")
        if hit is None:
            made: list[Made] = []

            async def make() -> Made:
                made.append(await self.make())
                return made[-1]

            hit = await self.answers.bring("key", make, ["board", "places"])
            if hit is None:
                return made[-1].body.decode()
        return hit.body.decode()

    async def kept(self) -> set[str]:
        """The tags under which the answer is kept."""
        await self.read()
        await until(lambda: self.answers.copy("key", time.time()))
        return set(self.answers.look("key").tags)

    async def write(self, number: int) -> None:
        """Change a place."""
        self.places[number] += 1
        await self.cache.generations.invalidate("places", then=[f"place:{number}"])

    async def close(self) -> None:
        """Leave nothing running."""
        await self.answers.close()
        await self.cache.close()


@pytest.fixture
async def board(client: Client) -> AsyncIterator[Board]:
    """A board behind an empty cache."""
    board = Board(client)
    yield board
    await board.close()


async def test_a_declared_tag_gives_way_to_those_of_what_was_read(board: Board) -> None:
    """An answer is current until something that it shows changes, or what else was declared."""
    assert await board.kept() == {"board", "place:1", "place:2"}
    await board.write(OTHER)
    hit = await board.answers.again("key")
    assert hit is not None
    assert hit.body == b"[[1, 1], [2, 1]]"
    await board.write(SHOWN)
    assert await board.read() == "[[1, 2], [2, 1]]"
    await board.kept()
    await board.cache.invalidate("board")
    assert await board.answers.again("key") is None


async def test_a_declared_tag_stays_if_a_part_needs_it(board: Board) -> None:
    """One read of which it is not known what it shows has the whole answer depend on all; so does none that says so."""
    board.others = (None,)
    assert await board.kept() == {"board", "places"}
    board.others = (["place:9"], [])
    await board.cache.invalidate("board")
    assert await board.kept() == {"board", "place:1", "place:2", "place:9"}
    with observing() as observed:
        observed.note(["places"], [b"x"])
        await finish(observed, board.cache.generations)
    assert observed.tags == ("places",)


@pytest.mark.parametrize("number", [SHOWN, OTHER])
@pytest.mark.parametrize("moment", ["read", "before the marks", "between the marks", "after the marks"])
async def test_a_change_at_any_moment(board: Board, monkeypatch: pytest.MonkeyPatch, number: int, moment: str) -> None:
    """Whenever a change without a bracket comes between: nothing old is served after it."""
    real_make = board.make
    generations = board.cache.generations
    left = [moment]

    async def come(now: str) -> None:
        if left == [now]:
            left.clear()
            await board.write(number)

    async def make() -> Made:
        made = await real_make()
        await come("read")
        return made

    async def read(first: Sequence[str], then: Sequence[str], ttl: float) -> dict[str, Mark]:
        await come("before the marks")
        marks = await Generations.read(generations, first, (), ttl)  # as a cluster does, in two trips
        await come("between the marks")
        marks |= await Generations.read(generations, then, (), ttl)
        await come("after the marks")
        return marks

    monkeypatch.setattr(board, "make", make)
    monkeypatch.setattr(generations, "read", read)
    await board.read()
    await until(lambda: not board.answers._flights)
    monkeypatch.undo()
    assert await board.read() == str([[1, board.places[1]], [2, board.places[2]]])


def sent_again(first: Replies, rest: Replies) -> Replies:
    """The replies to a batch whose first command was refused for now, and ran after the rest."""
    replies = Replies([*first, *rest])
    replies.run_id, replies.wires = rest.run_id, [rest.wire] * len(replies)
    return replies


@pytest.mark.parametrize("late", ["the others", "the first"])
async def test_a_reader_amid_an_invalidation(
    board: Board, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    """Who looks when a part of a change's tags has its new generation, and the rest not yet, keeps nothing old.

    The others follow the first; or Redis refuses that for a moment and takes the others.
    """
    real_make = board.make
    sent, go = asyncio.Event(), asyncio.Event()
    writing: list[asyncio.Task[None]] = []
    async with open_client(valkey.url) as client:
        real_batch, writer = client.batch, Generations(client)

        async def batch(*commands: Command) -> Replies:
            if sent.is_set():
                return await real_batch(*commands)
            before, after = commands[:1], commands[1:]
            if late == "the first":
                before, after = after, before
            replies = await real_batch(*before)
            sent.set()
            await go.wait()
            rest = await real_batch(*after)
            if late == "the first":
                return sent_again(rest, replies)
            replies.extend(rest)
            return replies

        async def make() -> Made:
            made = await real_make()
            board.places[SHOWN] += 1
            monkeypatch.setattr(client, "batch", batch)
            writing.append(asyncio.create_task(writer.invalidate("places", then=["place:1"])))
            await sent.wait()
            return made

        monkeypatch.setattr(board, "make", make)
        assert await board.read() == "[[1, 1], [2, 1]]"
        await until(lambda: not board.answers._flights)
        go.set()
        await writing[0]
        monkeypatch.undo()
        await writer.close()
    assert await board.read() == "[[1, 2], [2, 1]]"


async def test_marks_that_are_read_out_of_order(board: Board, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Redis refuses to create a mark for a moment, those to be read after it are not older than it is."""
    generations = board.cache.generations
    await generations.invalidate("places")
    real_batch = client.batch
    calls = 0

    async def batch(*commands: Command) -> Replies:
        nonlocal calls
        calls += 1
        if calls != 2:  # the first reads, the second creates what is missing
            return await real_batch(*commands)
        rest = await real_batch(*commands[1:])
        monkeypatch.undo()
        await generations.invalidate("places", then=["place:1"])
        return sent_again(await real_batch(commands[0]), rest)

    monkeypatch.setattr(client, "batch", batch)
    found = await generations.read(["place:1"], ["places"], 60)
    assert found == await generations.read(["place:1"], ["places"], 60)


async def test_changes_that_fail_in_part(board: Board, client: Client) -> None:
    """Where Redis confirms the later tags alone, they get new generations again, after the first."""
    await board.kept()
    await client.execute("DEL", "graph:tag:{places}", retry=True)
    await client.execute("LPUSH", "graph:tag:{places}", "of another type", retry=True)
    writing = asyncio.create_task(board.write(SHOWN))
    marks: list[Any] = []
    while len(set(marks)) < 3:  # each attempt gives the place another one
        marks.append((await board.cache.generations.read(["place:1"], (), 60))["place:1"])
        await asyncio.sleep(0.01)
    await client.execute("DEL", "graph:tag:{places}", retry=True)
    last = marks[-1]
    await writing
    after = await board.cache.generations.read(["place:1", "places"], (), 60)
    assert after["place:1"] != last
    assert await board.read() == "[[1, 2], [2, 1]]"
