"""Values that are loaded for an answer that has a lease of its own."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from graph.patterns.cache import ByteCache, Cache, Made, observing
from harness.waiting import until
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.patterns.cache import Granted
    from graph.patterns.client import Client


@pytest.fixture
async def cache(client: Client) -> AsyncIterator[Cache]:
    """An empty cache."""
    cache = Cache(client, beta=0, lease=60, patience=60)
    yield cache
    await cache.close()


@pytest.fixture
async def answers(client: Client, cache: Cache) -> AsyncIterator[ByteCache]:
    """Answers made of its values."""
    answers = ByteCache(client, cache.generations, beta=0, lease=60, patience=60)
    yield answers
    await answers.close()


async def stored(client: Client, what: str) -> list[bytes]:
    """The keys of this kind that Redis has."""
    return sorted(await client.execute("KEYS", f"graph:{what}:*", retry=True))


async def test_a_value_for_such_an_answer_is_not_stored(cache: Cache, client: Client) -> None:
    """It takes no lease and no entry; what was made of it depends on its tags all the same."""
    truth = Truth()
    truth.versions["a"] = 1
    with observing(leased=True) as observed:
        both = await asyncio.gather(*(cache.get("a", truth.load("a"), tags=["a", "all"]) for _ in range(2)))
    await client.execute("PING")
    assert both == [{"version": 1}] * 2
    assert truth.loads == [("a",)]
    assert (observed.tags, observed.certain) == (("a", "all"), True)
    assert await stored(client, "cache") == await stored(client, "lease") == []
    with observing():
        await cache.get("a", truth.load("a"), tags=["a", "all"])
    await client.execute("PING")
    assert await stored(client, "cache") == [b"graph:cache:{a}"]
    with observing(leased=True):  # what is there is used
        assert await cache.get("a", truth.load("a"), tags=["a", "all"]) == {"version": 1}
    assert len(truth.loads) == 2


async def test_what_is_not_there_is_not_believed_for_long(cache: Cache) -> None:
    """An answer that says so is kept as briefly as the cache remembers that there is nothing."""
    with observing(leased=True) as observed:
        assert await cache.get("a", Truth().load("a"), tags=["a"]) is None
    assert observed.expires <= time.time() + 5


async def test_what_the_loader_raises_is_raised(cache: Cache) -> None:
    """To everybody who waits for it; nothing is left behind that would keep others from loading it."""

    async def broken() -> Any:
        raise LookupError("broken")

    async def no_json() -> Any:
        return object()

    for load, error in ((broken, LookupError), (no_json, TypeError)):
        with observing(leased=True):
            found = await asyncio.gather(*(cache.get("a", load, tags=["a"]) for _ in range(2)), return_exceptions=True)
        assert [type(one) for one in found] == [error] * 2
    truth = Truth()
    truth.versions["a"] = 1
    assert await cache.get("a", truth.load("a"), tags=["a"]) == {"version": 1}


@pytest.mark.parametrize("public", [True, False])
async def test_an_answer_takes_one_lease(cache: Cache, answers: ByteCache, client: Client, *, public: bool) -> None:
    """One that everybody gets is all that is stored; under one that is a session's, others may want the value."""
    truth = Truth()
    truth.versions["a"] = 1

    async def make() -> Made:
        value = await cache.get("a", truth.load("a"), tags=["a"])
        return Made(str(value).encode(), 60)

    assert await answers.bring("key", make, public=public) is None
    await client.execute("PING")
    assert await stored(client, "response") == [b"graph:response:{key}"]
    assert bool(await stored(client, "cache")) is not public
    async with cache.invalidating("a"):
        truth.versions["a"] = 2
    assert await answers.again("key") is None
    assert await answers.bring("key", make, public=public) is None
    await until(lambda: answers.copy("key", time.time()))
    hit = await answers.again("key")
    assert hit is not None
    assert hit.body == b"{'version': 2}"


async def test_an_answer_that_cannot_be_kept_finds_its_values(cache: Cache, answers: ByteCache) -> None:
    """It is made each time: its values are stored, from the second time on."""
    truth = Truth()
    truth.versions["a"] = 1

    async def make() -> None:
        await cache.get("a", truth.load("a"), tags=["a"])

    for _ in range(5):
        await answers.bring("key", make, public=True)
    assert len(truth.loads) == 2


async def test_a_read_that_is_cancelled_leaves_the_load_to_others(cache: Cache) -> None:
    """Those that waited for it within the same answer load again, once for all of them."""
    truth, begun = Truth(), asyncio.Event()
    truth.versions["a"] = 1

    async def never() -> Any:
        begun.set()
        await asyncio.Event().wait()

    with observing(leased=True):
        first = asyncio.create_task(cache.get("a", never, tags=["a"]))
        await begun.wait()
        others = [asyncio.create_task(cache.get("a", truth.load("a"), tags=["a"])) for _ in range(3)]
        late = asyncio.create_task(cache.get("b", truth.load("a"), tags=["a"]))
        await late  # it asked Redis last, so the others wait by now
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await asyncio.gather(*others) == [{"version": 1}] * 3
    assert truth.loads == [("a",)] * 2


async def test_what_was_loaded_for_an_answer_serves_all_of_it(cache: Cache) -> None:
    """Until its generation changes; another answer loads for itself."""
    truth = Truth()
    truth.versions["a"] = 1
    with observing(leased=True):
        for _ in range(3):
            assert await cache.get("a", truth.load("a"), tags=["a"]) == {"version": 1}
        assert len(truth.loads) == 1
        async with cache.invalidating("a"):
            truth.versions["a"] = 2
        assert await cache.get("a", truth.load("a"), tags=["a"]) == {"version": 2}
    with observing(leased=True):
        assert await cache.get("a", truth.load("a"), tags=["a"]) == {"version": 2}
    assert len(truth.loads) == 3


async def test_a_loader_that_gives_json_is_taken_at_its_word(cache: Cache) -> None:
    """Its value is handed on as it is; without the promise it is what JSON makes of it."""

    async def load() -> Any:
        return value

    value: Any = ([1], None)
    with observing(leased=True):
        assert await cache.get("a", load, tags=["a"], exact=True) is value
        assert await cache.get("b", load, tags=["a"]) == [[1], None]
    value = [[1], None]
    assert await cache.get("a", load, tags=["a"], exact=True) is value
    assert await cache.get("a", load, tags=["a"], exact=True) == value


async def test_a_copy_takes_the_memory_of_its_bytes(answers: ByteCache) -> None:
    """A hundred short answers, as orjson writes them, take no thousands of bytes each in this process."""
    texts = [f"answer {number}" for number in range(101)]

    async def keep(text: str) -> None:
        async def make() -> Made:
            return Made(orjson.dumps({"data": text}), 60.0)

        await answers.bring(text, make, [text])
        await until(lambda: answers.copy(text, time.time()))
        copy = answers.copy(text, time.time())
        assert copy is not None
        assert copy.value[0] == b'{"data":"%b"}' % text.encode()

    await keep(texts.pop())
    tracemalloc.start()
    try:
        for text in texts:
            await keep(text)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 300_000


async def test_an_entry_that_is_known_to_be_outdated_is_not_looked_up(
    cache: Cache, answers: ByteCache, client: Client
) -> None:
    """It is made anew at once; a newer one, which another process made meanwhile, is found."""

    async def make() -> Made:
        return Made(b"made", 60)

    async def reads() -> int:
        told = (await client.execute("INFO", "commandstats", retry=True)).decode()
        return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in told.splitlines() if "_mget:" in line)

    counts: list[int] = []
    for known in (False, True):
        assert await answers.bring("k", make, ["t"]) is None
        await until(lambda: answers.copy("k", time.time()))
        copy = answers.copy("k", time.time())
        assert copy is not None
        await cache.invalidate("t")
        before = await reads()
        assert await answers.bring("k", make, ["t"], outdated=copy.stamp if known else None) is None
        await until(lambda: answers.copy("k", time.time()))
        counts.append(await reads() - before)
        other = ByteCache(client, cache.generations, beta=0)
        hit = await other.bring("k", make, ["t"], outdated=copy.stamp)
        assert hit is not None
        assert hit.body == b"made"
        await other.close()
        await cache.invalidate("t")
    assert counts[1] < counts[0]


async def test_whoever_comes_after_a_write_gets_nothing_that_was_begun_under_older_marks(
    cache: Cache, client: Client
) -> None:
    """Though it is made in front of them: its maker had the lease, and the marks, since before the write."""
    answers = ByteCache(client, cache.generations, beta=0, lease=60, patience=0.5)
    truth = Truth()
    truth.versions.update({"a": 1, "b": 1})

    async def make() -> Made:
        found = [await cache.get(key, truth.load(key), tags=[key]) for key in "ab"]
        return Made(str([one["version"] for one in found]).encode(), 60)

    async def bring(granted: Granted | None = None) -> bytes:
        made: list[bytes] = []

        async def noted() -> Made:
            made.append((await make()).body)
            await asyncio.sleep(0.1 if granted else 0)
            return Made(made[0], 60)

        hit = await answers.bring("key", noted, public=True, kind="kind", granted=granted)
        return hit.body if hit is not None else made[0]

    await make()  # both values have copies here
    assert await bring() == b"[1, 1]"
    await until(lambda: answers.copy("key", time.time()))
    async with cache.invalidating("b"):
        truth.versions["b"] = 2
    look = answers.look("key")
    replies = await client.batch(*look.commands)
    assert answers.judge(look, replies) is None
    claim = answers.renew(look, replies, 0, "kind", ())
    granted = answers.granted(claim, await client.batch(*claim.commands))
    assert granted is not None
    async with cache.invalidating("a"):
        truth.versions["a"] = 2

    async def broken() -> Made:
        raise LookupError("broken")

    first = asyncio.create_task(answers.bring("key", broken, public=True))  # waits in vain for the lease
    await asyncio.sleep(0.1)
    second = asyncio.create_task(bring())
    with pytest.raises(LookupError):
        await first
    assert await bring(granted) == b"[1, 2]"  # of a request that came before the write
    assert await second == b"[2, 2]"
    await answers.close()
