"""What clients can have cached has a bound of its own, so that Redis need not evict anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.patterns.cache import Cache
from graph.patterns.cache.lease import Room

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graph.patterns.client import Client


def test_room_comes_free_when_entries_expire() -> None:
    """The sum never exceeds the capacity; an entry that is replaced counts once, and one that expired not at all."""
    now = 0.0
    room = Room(10_000, clock=lambda: now)
    assert [room.take(f"k{n}", 2_000, 10.0 + n) for n in range(5)] == [True] * 4 + [False]
    assert room.take("k0", 2_100, 10.0)
    now = 10.5
    assert room.take("k9", 2_000, 10.0)
    assert not room.take("k8", 2_000, 10.0)
    now = 100.0
    assert room.take("k8", 9_000, 10.0)
    assert room.used <= 10_000


def test_an_entry_that_is_replaced_is_recorded_once() -> None:
    """The records take no more memory when one entry is replaced again and again, and each comes free in its time."""
    now = 0.0
    room = Room(10_000, clock=lambda: now)
    records = room._expiries  # pyright: ignore[reportPrivateUsage] - what must not grow
    assert room.take("other", 1_000, 500.0)
    for turn in range(1000):
        now = turn / 10
        assert room.take("k", 2_000, 60.0 - 50.0 * (turn % 2))
        assert len(records) == 2
    used, now = room.used, 130.0
    assert room.take("small", 1, 1.0)  # "k" came free
    assert room.used < used - 1_500
    assert len(records) == 2


async def test_the_entries_of_a_cache_fit_its_room(client: Client) -> None:
    """Whatever is asked for, what is stored keeps within the room; the rest is loaded and given all the same."""
    cache = Cache(client, prefix="test", room=100_000, l1_bytes=0)

    async def load(keys: Sequence[str]) -> Mapping[str, object]:
        return dict.fromkeys(keys, "x" * 900)

    for n in range(300):
        found = await cache.get_many([f"key{n}"], load, tags=lambda key: [key], ttl=60.0)
        assert found == {f"key{n}": "x" * 900}
    kept = await client.execute("KEYS", "test:cache:*")
    assert 50 < len(kept) < 110
    assert await client.execute("KEYS", "test:lease:*") == []
    await cache.close()
