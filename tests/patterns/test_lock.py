from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from graph.patterns.client import RedisUnavailable, command, open_client
from graph.patterns.lock import LockLost, Locks, LockTimeout
from graph.patterns.lock import lock as lock_module
from harness.refusing import refusing
from harness.valkey import ValkeyServer
from harness.waiting import HANG, until, within

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from graph.patterns.client import Client


@pytest.fixture
async def locks(client: Client) -> AsyncGenerator[Locks]:
    """The locks of an empty server."""
    async with Locks(client) as opened:
        yield opened


async def test_one_holder_at_a_time_and_every_fence_is_greater(locks: Locks) -> None:
    """Forty tasks pass through one after the other, each with a fence above all before it."""
    inside = 0
    fences: list[int] = []

    async def pass_through() -> None:
        nonlocal inside
        async with locks.hold("door", wait=HANG) as held:
            inside += 1
            assert inside == 1
            fences.append(held.fence)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*[pass_through() for _ in range(40)])
    assert fences == sorted(set(fences))
    assert len(fences) == 40


async def test_a_release_wakes_the_waiter_without_a_poll(locks: Locks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next holder has the lock although it would not have looked again for hours."""
    monkeypatch.setattr(lock_module, "POLL", 3600.0)

    async def second() -> None:
        async with locks.hold("door", wait=7200):
            pass

    async with locks.hold("door", ttl=7200):
        task = asyncio.create_task(second())
        await until(lambda: locks._listener is not None and locks._listener.live)
        await asyncio.sleep(0.05)  # it has looked once more: whenever it did, only the release is left to wake it
    async with within("the waiter to be woken"):
        await task


async def test_waiting_is_bounded(locks: Locks) -> None:
    """A lock that stays held raises LockTimeout at the end of the wait, and at once for a wait of 0."""
    async with locks.hold("door"):
        for wait in (0, 0.2):
            began = time.monotonic()
            with pytest.raises(LockTimeout):
                async with locks.hold("door", wait=wait):
                    raise AssertionError("two holders")
            assert time.monotonic() - began >= wait


async def test_the_watchdog_keeps_a_lock_beyond_its_ttl(locks: Locks) -> None:
    """A living holder keeps its lock however long its work takes."""
    async with locks.hold("door", ttl=1.5):
        await asyncio.sleep(2)
        with pytest.raises(LockTimeout):
            async with locks.hold("door", wait=0):
                raise AssertionError("two holders")


async def test_a_lost_lock_cancels_its_holder(locks: Locks, client: Client) -> None:
    """When the key is taken away the holder's work is cancelled and the block raises LockLost."""
    finished = False
    with pytest.raises(LockLost):
        async with locks.hold("door", ttl=0.3):
            await client.execute("DEL", locks.keys("door")[0], retry=True)
            await asyncio.sleep(10 * HANG)
            finished = True
    assert not finished
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_a_lost_lock_is_never_taken_back(locks: Locks, client: Client) -> None:
    """A holder whose lock went to another neither extends nor releases the other's lock."""
    key = locks.keys("door")[0]
    with pytest.raises(LockLost):
        async with locks.hold("door", ttl=0.3):
            await client.execute("SET", key, "other:1", retry=True)
            await asyncio.sleep(10 * HANG)
    assert await client.execute("GET", key) == b"other:1"


async def test_an_outer_cancellation_goes_first_and_frees_the_lock(locks: Locks) -> None:
    """A holder cancelled from outside is cancelled, not told of a lock, and the lock is free at once."""

    async def work() -> None:
        async with locks.hold("door"):
            held.set()
            await asyncio.sleep(10 * HANG)

    held = asyncio.Event()
    task = asyncio.create_task(work())
    await held.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with locks.hold("door", wait=0):
        pass


async def test_a_waiter_that_gives_up_leaves_nothing(locks: Locks, client: Client) -> None:
    """Waiters cancelled at any moment never leave a lock behind that nobody holds."""
    for delay in range(20):
        waiter = asyncio.create_task(_hold_for_ever(locks))
        await asyncio.sleep(delay / 10_000)
        waiter.cancel()
        await asyncio.wait([waiter])
        async with locks.hold("door", wait=HANG):
            pass
    assert await client.execute("EXISTS", locks.keys("door")[0]) == 0


async def _hold_for_ever(locks: Locks) -> None:
    async with locks.hold("door"):
        await asyncio.sleep(10 * HANG)


async def test_the_fence_never_goes_back(locks: Locks, client: Client) -> None:
    """Fences rise over FLUSHALL, and over a last fence from a clock that ran ahead."""
    async with locks.hold("door") as held:
        before = held.fence
    await client.execute("FLUSHALL", retry=True)
    async with locks.hold("door") as held:
        assert held.fence > before
    ahead = held.fence + 60_000_000
    await client.execute("SET", locks.keys("door")[1], ahead, retry=True)
    async with locks.hold("door") as held:
        assert held.fence == ahead + 1


async def test_every_key_expires(locks: Locks, client: Client) -> None:
    """A lock and its last fence both have a time to live."""
    async with locks.hold("door", ttl=10):
        lock, fence = await client.batch(*[command("PTTL", key) for key in locks.keys("door")])
    assert 0 < lock <= 10_000
    assert 0 < fence <= 30 * 86_400_000


async def test_the_lock_of_a_holder_cut_off_from_redis_is_lost_in_time() -> None:
    """A holder that cannot extend is cancelled when its lock expires, not when Redis comes back."""
    with ValkeyServer() as server:
        async with open_client(server.url) as client, Locks(client) as locks:
            with pytest.raises(LockLost):
                async with within("the holder to be cancelled"), locks.hold("door", ttl=2):
                    server.kill()
                    await asyncio.sleep(10 * HANG)
            with pytest.raises(RedisUnavailable):
                async with locks.hold("door"):
                    raise AssertionError("held in nothing")


@pytest.mark.parametrize("way", ["NOREPLICAS", "MISCONF", "READONLY", "BUSY", "NOPERM"])
async def test_a_lock_that_redis_will_not_extend_is_lost_in_time(way: str) -> None:
    """What does not confirm the lock does not keep it: its holder is cancelled before another may hold it."""
    with ValkeyServer() as server:
        async with open_client(server.url) as client, Locks(client) as locks:
            with pytest.raises(LockLost):
                async with locks.hold("door", ttl=0.5):
                    with refusing(server, way):
                        await asyncio.sleep(30)
