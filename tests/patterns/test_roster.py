"""The roster of processes: who lives is on it, with what it said last; who left or died is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.patterns.roster import GONE, Roster, on_roster

if TYPE_CHECKING:
    from graph.patterns.client import Client

KEY = "graph:{roster}:processes"


async def test_who_lives_is_on_it(client: Client) -> None:
    """Each with the facts of its last word; whoever closes leaves at once, and nobody else does."""
    assert await on_roster(client) == []
    numbers = iter(range(1, 1000))
    async with Roster(client, lambda: {"host": "a"}):
        async with Roster(client, lambda: {"n": next(numbers)}, interval=0.001):
            while not [1 for entry in await on_roster(client) or () if entry.facts.get("n", 0) > 1]:
                pass
            entries = await on_roster(client) or []
            assert len({entry.name for entry in entries}) == len(entries) == 2
            assert all(0 <= entry.age < GONE for entry in entries)
        left = await on_roster(client)
        assert left is not None
        assert [entry.facts for entry in left] == [{"host": "a"}]
    assert await on_roster(client) == []


async def test_who_is_silent_for_long_is_forgotten(client: Client) -> None:
    """Not listed, and dropped with the next word of anybody; the key has a TTL, so the last one is forgotten, too."""
    silent = Roster(client, lambda: {"host": "silent"})
    await silent.answer()
    (entry,) = await on_roster(client) or []
    assert 0 < await client.execute("PTTL", KEY) <= 1000 * GONE
    seconds, _ = await client.execute("TIME")
    old = 1000 * int(seconds) - 1000 * GONE - 2000
    await client.execute("HSET", KEY, entry.name, f'{old:.0f} {{"host":"silent"}}')
    assert await on_roster(client) == []
    await Roster(client, dict).answer()
    assert await client.execute("HLEN", KEY) == 1


async def test_what_another_release_says_in_its_own_way_is_left_out(client: Client) -> None:
    """Words that are no JSON, no object, or have no time, beside one that can be read."""
    await Roster(client, lambda: {"host": "a"}).answer()
    (entry,) = await on_roster(client) or []
    seconds, _ = await client.execute("TIME")
    now = b"%d000" % int(seconds)
    for number, word in enumerate((now, now + b" [1]", now + b" {", now + b' "\xff"', b"soon {}", b"")):
        await client.execute("HSET", KEY, f"other-{number}", word)
    assert [one.name for one in await on_roster(client) or []] == [entry.name]


async def test_it_is_said_again(client: Client) -> None:
    """A word that Redis has lost is there again after the next one."""
    async with Roster(client, lambda: {"host": "a"}, interval=0.001):
        while not await on_roster(client):
            pass
        await client.execute("DEL", KEY)
        while not await on_roster(client):
            pass
