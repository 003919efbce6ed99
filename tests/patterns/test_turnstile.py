"""The turnstile lets through exactly what a check of the session and a charge would, and touches nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.patterns.client import open_client
from graph.patterns.limiter import Charge, Limit, Limiter, passage, passage_command
from graph.patterns.sessions import Sessions
from tests.support.engines.ageing import age_sessions
from tests.support.engines.dumps import dump

if TYPE_CHECKING:
    from graph.patterns.client import Client
    from graph.patterns.limiter import Passage
    from harness.valkey import ValkeyServer

MINUTE = Limit("user", 100, 60.0)


@pytest.fixture
def sessions(client: Client) -> Sessions:
    """Sessions with the default lifetimes."""
    return Sessions(client)


async def go(client: Client, sessions: Sessions, token: str, limit: Limit = MINUTE, weight: int = 1) -> Passage | None:
    """Try to pass."""
    key = sessions.budget_key(token)
    assert key is not None
    passing = sessions.turnstile(token, Charge(limit, key, weight))
    assert passing is not None
    return passage(await client.send(passing))


async def test_a_session_in_use_passes_until_the_limit_refuses(client: Client, sessions: Sessions) -> None:
    """Of any number at once exactly the limit passes, and the budget is the limiter's own."""
    token, _ = await sessions.create("7")
    key = sessions.budget_key(token) or ""
    await Limiter(client).charge(Charge(MINUTE, key, 30))
    passed = [one for one in await asyncio.gather(*[go(client, sessions, token) for _ in range(200)]) if one]
    assert sorted(one.remaining for one in passed) == list(range(70))
    assert all(59 < one.reset_after <= 60.001 for one in passed)
    read = await Limiter(client).charge(Charge(MINUTE, key, 0))
    assert read.remaining == 0
    assert passed[-1].at == pytest.approx(read.at, abs=5)


async def test_what_is_not_let_through_changes_nothing(client: Client, sessions: Sessions) -> None:
    """An ended, unlisted or long unused session, and a charge without room, leave every key as it was."""
    idle, _ = await sessions.create("4")
    await age_sessions(client, 61)
    live, _ = await sessions.create("1")
    over, _ = await sessions.create("2")
    unlisted, _ = await sessions.create("3")
    ended, _ = await sessions.create("5")
    await Limiter(client).charge(Charge(MINUTE, sessions.budget_key(over) or "", 100))
    await client.execute("DEL", "graph:sessions:{3}", retry=False)
    await sessions.revoke_all("5")
    before = await dump(client)
    for token in (over, unlisted, idle, ended):
        assert await go(client, sessions, token) is None
    assert await go(client, sessions, live, weight=101) is None
    assert await dump(client) == before
    assert sessions.turnstile("malformed", Charge(MINUTE, "{5}")) is None
    assert await sessions.touch(idle) is not None
    assert await go(client, sessions, idle) is not None, "its use has been noted"


async def test_without_a_session_the_limit_decides(client: Client) -> None:
    """An anonymous caller is charged alone."""
    charge = Charge(Limit("anonymous", 2, 60.0), "{address:192.0.2.1}")
    replies = await client.batch(*[passage_command(charge) for _ in range(3)])
    assert [one and one.remaining for one in map(passage, replies)] == [1, 0, None]


async def test_every_log_expires_with_its_newest_charge(client: Client) -> None:
    """However the charges fell into slices, the key lives as long as the window of the last one."""
    charge = Charge(Limit("wide", 1_000, 12.8), "{u}:wide")
    for _ in range(30):
        passed = passage(await client.send(passage_command(charge)))
        ends = await client.execute("PEXPIRETIME", charge.key)
        assert passed is not None
        assert ends / 1000 == pytest.approx(passed.at + passed.reset_after, abs=0.01)  # both of the server's clock
        await asyncio.sleep(0.02)


@settings(max_examples=15, deadline=None)
@given(
    limit=st.integers(100, 160),
    steps=st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["charge", "pass", "pass", "refund"])), max_size=50),
)
def test_it_counts_as_the_limiter_does(valkey: ValkeyServer, limit: int, steps: list[tuple[int, str]]) -> None:
    """Any run of passages, charges and refunds leaves what a plain counter says, log by charge or by slice."""

    async def run() -> None:
        async with open_client(valkey.url) as client:
            await client.execute("FLUSHALL", retry=False)
            limiter, used = Limiter(client, remembered=0), 0
            for weight, step in steps:
                charge = Charge(Limit("model", limit, 3600), "{u}:b", weight)
                room = used + weight <= limit
                if step == "refund":
                    used -= await limiter.refund(charge)
                elif step == "pass":
                    passed = passage(await client.send(passage_command(charge)))
                    assert (passed is not None) == room
                    used += weight if room else 0
                    assert passed is None or passed.remaining == limit - used
                else:
                    verdict = await limiter.charge(charge)
                    assert verdict.allowed == room
                    used += weight if room else 0
                    assert verdict.remaining == limit - used

    asyncio.run(run())


async def test_a_charge_counts_from_its_own_time_on(client: Client) -> None:
    """What is charged late in the window of an earlier charge does not leave with it, in either kind of log."""
    await asyncio.gather(*(_charged_late(client, units) for units in (60, 600)))


async def _charged_late(client: Client, units: int) -> None:
    charge = Charge(Limit("late", units, 4.0), f"{{u}}:{units}")
    assert passage(await client.send(passage_command(charge))) is not None
    await asyncio.sleep(2.5)
    rest = Charge(charge.limit, charge.key, units - 1)
    passed = passage(await client.send(passage_command(rest)))
    assert passed is not None
    assert passed.reset_after >= 4.0
    await asyncio.sleep(1.6)  # the first has left, the second stays for 2.4 s
    assert passage(await client.send(passage_command(Charge(charge.limit, charge.key, 2)))) is None
    assert passage(await client.send(passage_command(charge))) is not None


async def test_no_window_holds_more_than_the_limit(client: Client) -> None:
    """Passages and charges from many hands over several windows: none of them holds more than the limit."""
    await asyncio.gather(*(_spent(client, limit) for limit in (Limit("exact", 60, 0.5), Limit("sliced", 600, 0.5))))


async def _spent(client: Client, limit: Limit) -> None:
    limiter = Limiter(client, remembered=0)
    charge = Charge(limit, f"{{u}}:{limit.name}", 3)
    passed: list[float] = []

    async def spend(number: int) -> None:
        for turn in range(120):
            if (turn + number) % 3:
                one = passage(await client.send(passage_command(charge)))
                passed.extend([one.at] if one is not None else [])
            else:
                verdict = await limiter.charge(charge)
                passed.extend([verdict.at] if verdict.allowed else [])
            await asyncio.sleep(0.015)

    await asyncio.gather(*[spend(number) for number in range(8)])
    passed.sort()
    assert len(passed) * 3 > 2 * limit.count, "several windows were filled"
    for first, at in enumerate(passed):
        inside = [one for one in passed[first:] if one <= at + limit.window - 1e-6]
        assert len(inside) * 3 <= limit.count
