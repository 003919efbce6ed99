from __future__ import annotations

import asyncio
import math
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.patterns.client import RedisUnavailable, command, open_client
from graph.patterns.limiter import Charge, Limit, Limiter
from harness.valkey import ValkeyServer

if TYPE_CHECKING:
    from graph.patterns.client import Client

HUNDRED = Limit("user", 100, 60.0)


@pytest.fixture
def limiter(client: Client) -> Limiter:
    """A limiter of an empty server."""
    return Limiter(client)


async def test_a_thousand_parallel_charges_pass_exactly_the_limit(limiter: Limiter) -> None:
    """However many arrive at once, the limit passes and not one more or less."""
    verdicts = await asyncio.gather(*[limiter.charge(Charge(HUNDRED, "{u}:b")) for _ in range(1000)])
    assert sum(verdict.allowed for verdict in verdicts) == 100


async def test_waiting_retry_after_passes(limiter: Limiter) -> None:
    """A refused caller that waits as long as it was told is admitted."""
    charge = Charge(Limit("short", 3, 1.0), "{u}:b")
    for _ in range(3):
        while (refused := await limiter.charge(charge)).allowed:
            pass
        assert 0 < refused.retry_after <= 1.0
        await asyncio.sleep(refused.retry_after + 0.001)
        assert (await limiter.charge(charge)).allowed


@pytest.mark.parametrize("count", [20, 200])
async def test_a_clock_set_back_by_an_hour_locks_nobody_out_for_an_hour(client: Client, count: int) -> None:
    """What was used up lies an hour ahead then: it counts as used now, neither for an hour nor not at all."""
    limit = Limit("back", count, 60.0)
    for key in ("{u}:full", "{u}:half"):
        weight = count if key == "{u}:full" else count // 2
        assert (await Limiter(client).charge(Charge(limit, key, weight))).allowed
        raw: bytes = await client.execute("GET", key)
        used, at, held = struct.unpack("<ddI", raw[:20])
        later = struct.pack("<ddI", used, at + 3600e6, held)
        await client.execute("SET", key, later + raw[20:], "PX", 3_660_000, retry=False)
    refused = await Limiter(client).charge(Charge(limit, "{u}:full"))
    assert not refused.allowed
    assert 0 < refused.retry_after <= 61
    assert 0 < await client.execute("PTTL", "{u}:full") <= 61_000
    half = await Limiter(client).charge(Charge(limit, "{u}:half"))
    assert half.allowed
    assert half.remaining == count - count // 2 - 1
    assert half.reset_after <= 61


async def test_all_of_several_limits_are_charged_or_none(limiter: Limiter) -> None:
    """A charge that one limit refuses leaves the others as they were."""
    wide, tight = Charge(Limit("wide", 10, 60), "{u}:wide"), Charge(Limit("tight", 1, 60), "{u}:tight")
    assert (await limiter.charge(wide, tight)).remaining == 0
    refused = await limiter.charge(wide, tight)
    assert not refused.allowed
    assert refused.limit.name == "tight"
    assert (await limiter.charge(Charge(wide.limit, wide.key, 0))).remaining == 9


async def test_a_weight_counts_for_its_units_and_one_above_the_limit_never_passes(limiter: Limiter) -> None:
    """Weights are charged whole, and an impossible one says so instead of naming a wait."""
    assert (await limiter.charge(Charge(HUNDRED, "{u}:b", 60))).remaining == 40
    assert not (await limiter.charge(Charge(HUNDRED, "{u}:b", 41))).allowed
    assert (await limiter.charge(Charge(HUNDRED, "{u}:b", 40))).remaining == 0
    assert (await limiter.charge(Charge(HUNDRED, "{other}:b", 101))).retry_after == math.inf


async def test_reading_costs_nothing(limiter: Limiter, client: Client) -> None:
    """A weight of 0 tells the budget and writes nothing."""
    verdict = await limiter.charge(Charge(HUNDRED, "{u}:b", 0))
    assert (verdict.allowed, verdict.remaining, verdict.reset_after) == (True, 100, 0)
    assert await client.execute("DBSIZE") == 0


async def test_a_missing_guard_charges_nothing(limiter: Limiter, client: Client) -> None:
    """A budget behind a session is charged only while the session exists."""
    charge = Charge(HUNDRED, "{u}:b")
    assert not (await limiter.charge(charge, guard="{u}:session")).exists
    assert await client.execute("DBSIZE") == 0
    await client.execute("SET", "{u}:session", "1")
    assert (await limiter.charge(charge, guard="{u}:session")).allowed


async def test_what_was_granted_elsewhere_is_charged_as_far_as_there_is_room(limiter: Limiter) -> None:
    """The log never holds more than its limit; what is charged late counts for a whole window."""
    limit = Limit("late", 10, 60.0)
    charge = Charge(limit, "test:{late}")
    assert await limiter.repay([Charge(limit, charge.key, 6)]) == [Charge(limit, charge.key, 6)]
    assert (await limiter.charge(charge)).remaining == 3
    await limiter.repay([Charge(limit, charge.key, 100)])
    refused = await limiter.charge(charge)
    assert not refused.allowed
    assert refused.remaining == 0
    assert refused.reset_after == pytest.approx(60.0, abs=30.0)
    assert await limiter.repay([]) == []


async def test_a_refund_gives_back_what_was_charged_and_no_more(limiter: Limiter) -> None:
    """Refunds take the newest units back and cannot make a budget larger than its limit."""
    charge = Charge(Limit("login", 3, 60), "{a}:b")
    for _ in range(3):
        await limiter.charge(charge)
    assert not (await limiter.charge(charge)).allowed
    assert await limiter.refund(charge) == 1
    assert (await limiter.charge(charge)).allowed
    assert await limiter.refund(Charge(charge.limit, charge.key, 100)) == 3
    assert (await limiter.charge(Charge(charge.limit, charge.key, 0))).remaining == 3


async def test_a_refused_caller_costs_no_memory_and_no_round_trip(limiter: Limiter, client: Client) -> None:
    """After the first refusal a flood is answered from this process, and Redis holds no more than before."""
    charge = Charge(HUNDRED, "{u}:b")
    for _ in range(100):
        await limiter.charge(charge)
    before = await client.execute("MEMORY", "USAGE", "{u}:b", retry=True)
    await limiter.charge(charge)
    calls = await _evals(client)
    for _ in range(1000):
        verdict = await limiter.charge(charge)
        assert not verdict.allowed
        assert 0 < verdict.retry_after <= 60
    assert await _evals(client) == calls
    assert await client.execute("MEMORY", "USAGE", "{u}:b", retry=True) == before


async def _evals(client: Client) -> bytes:
    stats: bytes = await client.execute("INFO", "commandstats")
    return stats.partition(b"cmdstat_evalsha:calls=")[2].partition(b",")[0]


@pytest.mark.parametrize("limit", [HUNDRED, Limit("large", 5000, 60.0)])
async def test_an_active_caller_stays_small(limiter: Limiter, client: Client, limit: Limit) -> None:
    """A full log costs at most 1.5 KB at 100 a minute, and stays bounded for large limits."""
    for _ in range(limit.count):
        assert (await limiter.charge(Charge(limit, "{user:123456}:budget"))).allowed
    used = await client.execute("MEMORY", "USAGE", "{user:123456}:budget", retry=True)
    assert used <= 1536 * (1 if limit.count == 100 else 2)


async def test_a_script_flush_fails_no_charge(limiter: Limiter, client: Client) -> None:
    """The script is taught again to a server that forgot it, and charged once."""
    await limiter.charge(Charge(HUNDRED, "{u}:b"))
    await client.execute("SCRIPT", "FLUSH", retry=True)
    assert (await limiter.charge(Charge(HUNDRED, "{u}:b"))).remaining == 98


@pytest.mark.parametrize("junk", [b"", b"x", bytes(25), b"x" * 40])
async def test_what_is_no_log_holds_nothing(limiter: Limiter, client: Client, junk: bytes) -> None:
    """Bytes that somebody else wrote under a log's key are no error of each charge, but replaced by the next one."""
    await client.execute("SET", "{u}:b", junk, "PX", 60_000, retry=False)
    assert [(await limiter.charge(Charge(Limit("two", 2, 60), "{u}:b"))).allowed for _ in range(3)] == [
        True,
        True,
        False,
    ]


async def test_every_log_expires(limiter: Limiter, client: Client) -> None:
    """A budget nobody spends any more leaves Redis by itself, with its last window."""
    await limiter.charge(Charge(HUNDRED, "{u}:b"), Charge(Limit("other", 500, 10), "{u}:c"))
    first, second = await client.batch(command("PTTL", "{u}:b"), command("PTTL", "{u}:c"))
    assert 59_000 < first <= 60_002
    assert 9_900 < second <= 10_100


async def test_without_redis_it_says_so() -> None:
    """While Redis is away a charge raises RedisUnavailable instead of passing or hanging."""
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            limiter = Limiter(client)
            assert (await limiter.charge(Charge(HUNDRED, "{u}:b"))).allowed
            server.kill()
            with pytest.raises(RedisUnavailable):
                await limiter.charge(Charge(HUNDRED, "{u}:b"))


@pytest.mark.parametrize(("count", "window"), [(0, 60), (-1, 60), (5, 0), (5, -1), (5, math.inf), (5, math.nan)])
def test_a_limit_nobody_could_keep_is_refused(count: int, window: float) -> None:
    """A wrong limit is an error at start-up, not a surprise at run time."""
    with pytest.raises(ValueError, match="a limit needs"):
        Limit("wrong", count, window)


@pytest.mark.parametrize("weight", [-1, 2**32])
def test_a_weight_that_the_log_cannot_hold_is_refused(weight: int) -> None:
    """A negative or huge weight cannot corrupt a log."""
    with pytest.raises(ValueError, match="a weight lies between"):
        Charge(HUNDRED, "k", weight)


@settings(max_examples=25, deadline=None)
@given(
    limit=st.integers(1, 300),
    steps=st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from(["charge", "charge", "charge", "refund"])), max_size=60
    ),
)
def test_it_counts_as_a_list_does(valkey: ValkeyServer, limit: int, steps: list[tuple[int, str]]) -> None:
    """Any run of charges, reads and refunds inside one window leaves what a plain counter says."""

    async def run() -> None:
        async with open_client(valkey.url) as client:
            await client.execute("FLUSHALL", retry=False)
            limiter, used = Limiter(client, remembered=0), 0
            for weight, step in steps:
                charge = Charge(Limit("model", limit, 3600), "{u}:b", weight)
                if step == "refund":
                    assert await limiter.refund(charge) == min(weight, used)
                    used -= min(weight, used)
                    continue
                verdict = await limiter.charge(charge)
                assert verdict.allowed == (used + weight <= limit)
                used += weight if verdict.allowed else 0
                assert verdict.remaining == limit - used

    asyncio.run(run())
