"""An answer is handed out before it is kept: what comes in between, and the lease that comes with a look."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from graph.patterns.cache import ByteCache, Cache, Look, Made, get_narrowly
from graph.patterns.client import open_client
from graph.patterns.fair_queue import Sharers, on_behalf_of
from harness.valkey import ValkeyServer
from harness.waiting import until, within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from graph.patterns.cache import Granted
    from graph.patterns.cache.generations import Mark
    from graph.patterns.client import Client, Command

SOON = 20.0
"""Seconds in which something happens at once, however slow the machine: leases and patience are longer."""


class Shop:
    """A list in a database, and the answers that one process makes of it."""

    def __init__(self, client: Client, versions: dict[int, int], *, stays: bool = False) -> None:
        """Callers that bring their lease `stay`: the answer is made in their own task."""
        self.client = client
        self.stays = stays
        self.versions = versions
        self.cache = Cache(client, beta=0, lease=60, patience=60)
        self.answers = ByteCache(client, self.cache.generations, beta=0, lease=60, patience=60)
        self.made = 0
        self.go = asyncio.Event()
        """Until this is set nothing is kept: the generations that an answer depends on are not read."""
        self.go.set()
        self.waits = asyncio.Event()
        self._read = self.cache.generations.read
        self.cache.generations.read = self._gated  # pyright: ignore[reportAttributeAccessIssue] - as a slow Redis

    async def _gated(self, first: Sequence[str], then: Sequence[str], ttl: float) -> dict[str, Mark]:
        self.waits.set()
        await self.go.wait()
        return await self._read(first, then, ttl)

    async def load(self) -> Any:
        """What the list shows."""
        return [[number, self.versions[number]] for number in (1, 2)]

    async def make(self) -> Made:
        """An answer that shows it."""
        self.made += 1
        page = await get_narrowly(
            self.cache, "page", self.load, tags=["things", "all"], narrow=_shown, ttl=60, exact=True
        )
        return Made(str(page).encode(), 60)

    async def bring(self, key: str = "key", granted: Granted | None = None) -> str | None:
        """The body that was found; None if it was made here."""
        if self.stays and granted is None and (look := self.answers.claim(key)) is not None:
            granted = await self.ask(look)
        hit = await self.answers.bring(key, self.make, public=True, kind="pages", granted=granted, stays=self.stays)
        return None if hit is None else hit.body.decode()

    async def write(self, number: int) -> None:
        """Change a thing."""
        async with self.cache.invalidating("things", f"thing:{number}"):
            self.versions[number] += 1

    async def found(self, key: str = "key") -> str | None:
        """The body of the current entry."""
        hit = await self.answers.again(key)
        return None if hit is None else hit.body.decode()

    async def kept(self, key: str = "key") -> None:
        """Wait until the answer is kept."""
        await until(lambda: self.answers.copy(key, time.time()))

    async def ask(self, look: Look | None) -> Granted | None:
        """The lease that is granted with `look`."""
        assert look is not None
        return self.answers.granted(look, await self.client.batch(*look.commands))

    async def leases(self) -> list[bytes]:
        """The keys of leases that are held."""
        return await self.client.execute("KEYS", "graph:response-lease:*", retry=True)

    async def close(self) -> None:
        """Leave nothing running."""
        await self.answers.close()
        await self.cache.close()


def _shown(page: Any) -> Sequence[str]:
    return ["order", *(f"thing:{number}" for number, _ in page), "all"]


@pytest.fixture(params=[False, True], ids=["apart", "here"])
async def shops(client: Client, request: pytest.FixtureRequest) -> AsyncIterator[list[Shop]]:
    """Two processes over one database, with empty caches; answers are made in tasks of their own, or where asked."""
    versions = dict.fromkeys(range(10), 1)
    shops = [Shop(client, versions, stays=request.param) for _ in range(2)]
    yield shops
    for shop in shops:
        await shop.close()


async def test_what_is_outdated_while_it_is_made_does_for_those_who_came_before(shops: list[Shop]) -> None:
    """However fast something changes, an answer is made twice at most for those who wait, and shows what they knew."""
    shop, _ = shops
    loading = asyncio.Event()
    load = shop.load

    async def late() -> Any:
        found = await load()
        await loading.wait()
        return found

    shop.go.clear()
    first = asyncio.create_task(shop.bring())
    await shop.waits.wait()
    waiting = [asyncio.create_task(shop.bring()) for _ in range(4)]
    await asyncio.sleep(0)
    await shop.write(1)  # acknowledged after they came, but before the answer that they get is begun
    shop.load = late
    shop.go.set()
    await until(lambda: shop.made == 2)
    await asyncio.wait(waiting, timeout=0.1)
    await shop.write(2)
    loading.set()
    bodies = await asyncio.gather(*waiting)
    assert shop.made == 2
    assert sorted(map(str, bodies)) == ["None", *3 * [bodies[1] or bodies[0]]]
    assert "[1, 2]" in str(bodies)
    assert await first is None
    assert await shop.found() is None  # nobody who comes now is given it


async def test_an_answer_is_handed_out_first(valkey: ValkeyServer) -> None:
    """When its caller goes on, nothing of what keeps it has been sent: neither what it depends on, nor the entry."""
    sent: list[str] = []

    def note(commands: Sequence[Command], _: object) -> None:
        sent.extend(str(one.script.name if one.script is not None else one.args[0]) for one in commands)

    async with open_client(valkey.url, observe=note) as client:
        await client.execute("FLUSHALL")
        shop = Shop(client, dict.fromkeys(range(10), 1))
        shop.go.clear()
        for key in ("a", "b"):
            sent.clear()
            assert await shop.bring(key) is None
            assert sent[0] == "cache.lease"
            assert "cache.fill" not in sent
            assert not shop.waits.is_set()
            await asyncio.wait_for(shop.waits.wait(), SOON)
            shop.go.set()
            await until(lambda: "cache.fill" in sent)
            shop.waits.clear()
            async with within("the entry: a server that does not know the script is sent it again"):
                while (found := await shop.found(key)) is None:
                    await asyncio.sleep(0.01)
            assert found == "[[1, 1], [2, 1]]"
        await shop.close()


async def test_whoever_asks_before_it_is_kept_waits_for_it(shops: list[Shop]) -> None:
    """In this process and in another one; it is made once."""
    here, there = shops
    here.go.clear()
    assert await here.bring() is None
    waiting = [asyncio.create_task(shop.bring()) for shop in shops for _ in range(3)]
    await here.waits.wait()
    await asyncio.sleep(0.1)
    assert [task.done() for task in waiting] == [False] * 6
    here.go.set()
    assert await asyncio.wait_for(asyncio.gather(*waiting), SOON) == ["[[1, 1], [2, 1]]"] * 6
    assert (here.made, there.made) == (1, 0)


@pytest.mark.parametrize("number", [1, 9])
async def test_a_write_before_it_is_kept_outdates_it(shops: list[Shop], number: int) -> None:
    """Nobody who asks after the write was acknowledged gets what was made before it."""
    here, there = shops
    here.go.clear()
    assert await here.bring() is None
    await here.waits.wait()
    await there.write(number)
    here.go.set()
    for shop in shops:
        found = await asyncio.wait_for(shop.bring(), SOON)
        assert found in {None, str([[one, shop.versions[one]] for one in (1, 2)])}
        assert await shop.found() in {None, str([[one, shop.versions[one]] for one in (1, 2)])}


async def test_a_writer_that_is_at_work_while_it_is_kept_outdates_it(shops: list[Shop]) -> None:
    """Its holds are there when the generations are read, or else come after the entry."""
    here, there = shops
    for begins in ("before", "after"):
        here.go.clear()
        here.waits.clear()
        key = f"key {begins}"
        assert await here.bring(key) is None
        await here.waits.wait()
        async with AsyncExitStack() as stack:
            if begins == "before":
                await stack.enter_async_context(there.cache.invalidating("things", "thing:1"))
            here.go.set()
            while await here.leases():
                await asyncio.sleep(0.001)
            if begins == "after":
                await stack.enter_async_context(there.cache.invalidating("things", "thing:1"))
            here.versions[1] += 1
        for shop in shops:
            assert await shop.found(key) is None


async def test_a_caller_that_leaves_takes_nothing_along(shops: list[Shop]) -> None:
    """Whether it leaves before the answer or after it: the answer is made once, and kept."""
    here, there = shops
    caller = asyncio.create_task(here.bring("left before"))
    while not here.made:
        await asyncio.sleep(0)
    caller.cancel()
    here.go.clear()
    assert await here.bring("left after") is None
    here.go.set()
    found = [await asyncio.wait_for(there.bring(key), SOON) for key in ("left before", "left after")]
    if here.stays:  # one that is ended all the same has given up its lease
        assert (found, here.made, there.made) == ([None, "[[1, 1], [2, 1]]"], 2, 1)
    else:
        assert (found, here.made, there.made) == (["[[1, 1], [2, 1]]"] * 2, 2, 0)


async def test_those_who_waited_for_a_caller_that_leaves_get_an_answer(shops: list[Shop]) -> None:
    """In its process and in another one: what it began, or what the first of them makes then."""
    here, there = shops
    caller = asyncio.create_task(here.bring())
    while not here.made:
        await asyncio.sleep(0)
    waiting = [asyncio.create_task(shop.bring()) for shop in (*[here] * 5, *[there] * 5)]
    await asyncio.sleep(0)
    caller.cancel()
    found = await asyncio.wait_for(asyncio.gather(*waiting), SOON)
    assert set(found) <= {None, "[[1, 1], [2, 1]]"}
    assert found.count(None) <= 2  # one of them in each process may make it
    assert here.made + there.made <= 3
    assert not await here.leases()


async def test_what_keeps_it_works_on_behalf_of_all_who_wait(shops: list[Shop]) -> None:
    """The list is loaded once more for that; nobody waits for the backlog of whoever came first."""
    here, there = shops
    load, loading, callers = here.load, asyncio.Event(), list[set[str | None]]()

    async def noted() -> Any:
        who = on_behalf_of.get()
        callers.append(set(who.callers if isinstance(who, Sharers) else [who]))
        await loading.wait()
        return await load()

    def bring(caller: str) -> asyncio.Task[str | None]:
        on_behalf_of.set(caller)
        return asyncio.create_task(here.bring())

    here.load = noted
    here.go.clear()
    first = bring("first")
    await until(lambda: callers)
    second = bring("second")
    await asyncio.sleep(0)
    loading.set()
    assert await first is None
    await here.waits.wait()
    await there.write(9)  # so that the list may have changed
    here.go.set()
    assert await second == "[[1, 1], [2, 1]]"
    assert callers == [{"first"}, {"first", "second"}]


async def test_who_stays_waits_fewer_turns_of_the_loop(client: Client) -> None:
    """Under load each turn is as long as all that is ready takes."""
    taken: dict[bool, int] = {}
    for stays in (False, True):
        shop = Shop(client, {1: 1, 2: 1}, stays=stays)
        granted = await shop.ask(shop.answers.claim(str(stays)))
        turns = Turning()
        await shop.answers.bring(str(stays), _made, granted=granted, stays=stays)
        taken[stays] = turns.end()
        await shop.close()
    assert taken[True] <= taken[False] - 2


async def _made() -> Made:
    """An answer for which Redis is not asked."""
    return Made(b"{}", 60)


class Turning:
    """Counts the turns of the event loop from now on."""

    def __init__(self) -> None:
        self._turns = 0
        self._loop = asyncio.get_running_loop()
        self._next()

    def _next(self) -> None:
        self._turns += 1
        self._handle = self._loop.call_soon(self._next)

    def end(self) -> int:
        """How many there were."""
        self._handle.cancel()
        return self._turns


async def test_a_redis_that_dies_in_between_is_nobodys_error(caplog: pytest.LogCaptureFixture) -> None:
    """The answer was handed out; it is not kept, and the next caller makes it anew."""
    caplog.set_level(logging.ERROR)
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            shop = Shop(client, dict.fromkeys(range(10), 1))
            shop.go.clear()
            assert await shop.bring() is None
            await shop.waits.wait()
            server.kill()
            shop.go.set()
            assert await asyncio.wait_for(shop.bring(), SOON) is None
            assert shop.made == 2
            await shop.close()
    assert caplog.records == []


async def test_one_that_stops_in_between_leaves_the_answer_to_others(shops: list[Shop]) -> None:
    """It waits for nothing, and gives the lease up."""
    here, there = shops
    here.go.clear()
    assert await here.bring() is None
    await here.waits.wait()
    await asyncio.wait_for(here.answers.close(), SOON)
    assert await asyncio.wait_for(there.bring(), SOON) is None
    await there.kept()
    assert await there.found() == "[[1, 1], [2, 1]]"


async def test_one_that_stops_before_it_began_leaves_nobody_waiting(shops: list[Shop]) -> None:
    """Whoever asked in the tick before is told."""
    here, _ = shops
    asked = asyncio.create_task(here.bring())
    await asyncio.sleep(0)
    await here.answers.close()
    done, _ = await asyncio.wait((asked,), timeout=SOON)
    assert done
    assert asked.cancelled() or asked.result() is None  # made in the task of who asked


# --- the lease that comes with a look ---


async def test_a_lease_that_came_with_the_look_needs_no_other_trip(shops: list[Shop]) -> None:
    """One of two that ask gets it; the other waits for the answer."""
    here, there = shops
    looks = [shop.answers.claim("key") for shop in shops]
    granted = [await shop.ask(look) for shop, look in zip(shops, looks, strict=True)]
    assert granted[0] is not None
    assert granted[1] is None
    waiting = asyncio.create_task(there.bring())
    assert await here.bring(granted=granted[0]) is None
    assert await asyncio.wait_for(waiting, SOON) == "[[1, 1], [2, 1]]"
    assert (here.made, there.made) == (1, 0)


async def test_a_lease_of_which_nothing_comes_is_given_up(shops: list[Shop]) -> None:
    """At once: others do not wait until it runs out."""
    here, there = shops
    granted = await here.ask(here.answers.claim("key"))
    assert granted is not None
    waiting = asyncio.create_task(there.bring())
    while not await here.leases():
        await asyncio.sleep(0)
    with granted:
        assert not waiting.done()
    assert await asyncio.wait_for(waiting, SOON) is None
    assert there.made == 1


async def test_a_lease_is_given_up_where_another_makes_the_answer(shops: list[Shop]) -> None:
    """Within a process the one that came later waits for the first, which may wait for this very lease."""
    here, _ = shops
    granted = await here.ask(here.answers.claim("key"))
    first = asyncio.create_task(here.bring())
    await asyncio.sleep(0.05)  # it has asked, and waits
    found = await asyncio.wait_for(here.bring(granted=granted), SOON)
    assert await first is None
    assert found == "[[1, 1], [2, 1]]"
    assert here.made == 1


async def test_where_there_is_an_entry_no_lease_is_taken(shops: list[Shop]) -> None:
    """Whoever looked finds it, knowing its tags now."""
    here, there = shops
    assert await here.bring() is None
    await here.kept()
    look = there.answers.claim("key")
    assert look is not None
    replies = await there.client.batch(*look.commands)
    assert there.answers.granted(look, replies) is None
    assert await there.leases() == []
    hit = await there.answers.settle(look, replies)
    assert hit is not None
    assert hit.body == b"[[1, 1], [2, 1]]"
    assert there.answers.claim("key") is None


async def test_what_answers_of_a_kind_depend_on_is_read_with_the_lease(valkey: ValkeyServer) -> None:
    """From the third on a value is loaded without another trip, and it is as current as ever."""
    batches: list[list[Any]] = []

    def note(commands: Sequence[Command], _: object) -> None:
        batches.append([one.args for one in commands])

    async with open_client(valkey.url, observe=note) as client:
        await client.execute("FLUSHALL")
        shop = Shop(client, dict.fromkeys(range(10), 1))
        shop.go.clear()
        trips: list[int] = []
        for key in ("a", "b", "c", "d"):
            shop.waits.clear()
            batches.clear()
            granted = await shop.ask(shop.answers.claim(key, "pages"))
            assert granted is not None
            assert await shop.bring(key, granted) is None
            trips.append(len(batches))
            await shop.waits.wait()
            shop.go.set()
            await shop.kept(key)
            shop.go.clear()
        assert trips[2:] == [1, 1]
        assert trips[1] > 1
        # So it is for one that is outdated: its lease is requested by itself.
        await shop.cache.invalidate("order")
        assert await shop.found("a") is None
        shop.waits.clear()
        batches.clear()
        assert await shop.bring("a") is None
        assert len(batches) == 1
        await shop.waits.wait()
        shop.go.set()
        await until(lambda: shop.answers.copy("a", time.time()))
        shop.go.clear()
        # A write that comes after the generations were read is seen by the load, and kept under newer ones.
        shop.waits.clear()
        granted = await shop.ask(shop.answers.claim("e", "pages"))
        await shop.write(1)
        assert await shop.bring("e", granted) is None
        shop.go.set()
        while await shop.leases():
            await asyncio.sleep(0.001)
        assert await shop.found("e") == "[[1, 2], [2, 1]]"
        await shop.close()


async def test_an_answer_is_kept_while_others_write(shops: list[Shop]) -> None:
    """Writers of what it does not show hold the rough tag, or have released it meanwhile: it is loaded once more."""
    here, there = shops
    for held in (True, False):
        await here.cache.invalidate("order")
        async with there.cache.invalidating("things", "thing:9"):
            here.go.clear()
            assert await here.bring() is None
            if held:
                here.go.set()
                await here.kept()
        here.go.set()
        await here.kept()
        assert await here.found() == "[[1, 1], [2, 1]]"
        assert set(here.answers.look("key").tags) == {"order", "thing:1", "thing:2", "all"}
    await there.write(1)
    assert await here.found() is None


@pytest.mark.parametrize("moment", ["held", "before the marks", "after the marks", "as it is loaded again"])
async def test_an_answer_that_shows_what_others_write(
    shops: list[Shop], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Whenever what it shows changes while it is being kept, nothing old is found afterwards."""
    here, there = shops
    real_load, real_read = here.load, here.cache.generations.read
    turns: list[str] = []
    loads = 0

    async def write() -> None:
        turns.append(moment)
        await there.write(1)

    async def load() -> Any:
        nonlocal loads
        loads += 1
        value = await real_load()
        if moment == "as it is loaded again" and loads > 1:
            await write()
        return value

    async def read(first: Sequence[str], then: Sequence[str], ttl: float) -> dict[str, Mark]:
        if moment == "before the marks" and not turns:
            await write()
        marks = await real_read(first, then, ttl)
        if moment == "after the marks" and not turns:
            await write()
        return marks

    monkeypatch.setattr(here, "load", load)
    async with there.cache.invalidating("things", "thing:1" if moment == "held" else "thing:9"):
        assert await here.bring() is None
        monkeypatch.setattr(here.cache.generations, "read", read)
        await until(lambda: not here.answers._flights)
        if moment == "held":
            here.versions[1] += 1
            turns.append(moment)
    monkeypatch.undo()
    assert turns == [moment]
    assert await here.found() in (None, "[[1, 2], [2, 1]]")


async def test_what_is_made_anew_is_kept_under_the_generations_that_it_had(shops: list[Shop]) -> None:
    """An answer that shows what it showed before is kept without another look at the generations."""
    here, there = shops
    assert await here.bring() is None
    await here.kept()
    for _ in range(2):
        await there.write(1)
        look = here.answers.look("key")
        replies = await here.client.batch(*look.commands)
        assert here.answers.judge(look, replies) is None
        granted = await here.ask(here.answers.renew(look, replies, 0, "pages", ()))
        here.waits.clear()
        async with there.cache.invalidating("things", "thing:9"):
            assert await here.bring(granted=granted) is None
            await here.kept()
        assert not here.waits.is_set()
        assert await here.found() == f"[[1, {here.versions[1]}], [2, 1]]"
