"""Processes that share limits: how many there are, what each knows of budgets, and what they grant without Redis."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from graph.endpoint.admission import Admission
from graph.endpoint.admission.rule import Ticket
from graph.endpoint.identity import Caller
from graph.patterns.client import open_client
from graph.patterns.limiter import Fleet, Limiter
from harness.valkey import ValkeyServer
from harness.waiting import within

if TYPE_CHECKING:
    from graph.patterns.client import Client

HOUR = 3600.0
"""Between two words, so that a test speaks for the processes itself."""


async def process(client: Client, stack: AsyncExitStack) -> tuple[Fleet, Admission]:
    """A server process, as far as limits are concerned."""
    fleet = await stack.enter_async_context(Fleet(client, interval=HOUR))
    return fleet, Admission(Limiter(client), anonymous=20, fleet=fleet)


async def passed(admission: Admission, address: str, count: int) -> int:
    """How many of `count` operations of an address get through."""
    tickets = [Ticket(Caller(address)) for _ in range(count)]
    return sum([(await admission.admit(ticket)).allowed for ticket in tickets])


async def test_a_process_is_counted_while_it_is_there(client: Client) -> None:
    """Each one knows how many there are; one that has closed is not counted any more, and the keys expire."""
    async with AsyncExitStack() as stack:
        first, _ = await process(client, stack)
        async with AsyncExitStack() as others:
            for _ in range(3):
                await process(client, others)
            await first.beat()
            assert first.size == 4
        await first.beat()
        assert first.size == 1
        for key in ("graph:{fleet}:processes",):
            assert 0 < await client.execute("PTTL", key) <= 15_000


async def test_what_one_process_saw_the_others_know(client: Client) -> None:
    """Of two verdicts the newer one counts, whoever tells it first; a process that starts late knows as well."""
    async with AsyncExitStack() as stack:
        (first, a), (second, b) = [await process(client, stack) for _ in range(2)]
        await passed(a, "192.0.2.1", 5)
        await passed(b, "192.0.2.1", 3)
        await second.beat()
        await first.beat()
        await second.beat()
        third, _ = await process(client, stack)
        key = "graph:budget:{address:192.0.2.1}"
        sights = [fleet.sight(key) for fleet in (first, second, third)]
        assert [sight and sight.remaining for sight in sights] == [12, 12, 12]
        assert third.sight("graph:budget:{address:192.0.2.2}") is None
        assert 0 < await client.execute("PTTL", "graph:{fleet}:budgets") <= 60_000


async def test_without_redis_no_more_than_the_limit_passes_in_all() -> None:
    """Half of it was used at one process before; the other has never seen that caller. A new caller gets the limit."""
    with ValkeyServer() as server:
        async with open_client(server.url) as one, open_client(server.url) as two, AsyncExitStack() as stack:
            (first, a), (second, b) = await process(one, stack), await process(two, stack)
            assert await passed(a, "192.0.2.1", 10) == 10
            assert await passed(a, "192.0.2.2", 20) == 20
            await first.beat()
            await second.beat()
            await first.beat()
            server.kill()
            here, there = [await passed(admission, "192.0.2.1", 30) for admission in (a, b)]
            assert (here, there) == (5, 5)
            assert [await passed(admission, "192.0.2.2", 5) for admission in (a, b)] == [0, 0]
            assert [await passed(admission, "192.0.2.3", 30) for admission in (a, b)] == [10, 10]
            ticket = Ticket(Caller("192.0.2.2"))
            refused = await b.admit(ticket)
            assert 0 < refused.retry_after <= 60


async def test_what_was_granted_without_redis_is_charged_when_it_is_back() -> None:
    """A Redis that stood still has forgotten nothing, and in all no more than the limit passes."""
    with ValkeyServer(aof=True) as server:
        async with open_client(server.url) as one, open_client(server.url) as two, AsyncExitStack() as stack:
            (first, a), (second, b) = await process(one, stack), await process(two, stack)
            stack.push_async_callback(a.close)
            stack.push_async_callback(b.close)
            assert await passed(a, "192.0.2.1", 8) == 8
            for fleet in (first, second, first):
                await fleet.beat()
            server.kill()
            async with within("both to miss Redis"):  # a charge on its way may have been made, and is no debt
                while one.connected or two.connected:
                    await asyncio.sleep(0.01)
            assert [await passed(admission, "192.0.2.1", 5) for admission in (a, b)] == [5, 5]
            assert [await passed(admission, "192.0.2.2", 3) for admission in (a, b)] == [3, 3]
            server.start()
            async with within("both to find Redis again, and the debts"):
                while a._debts or b._debts or not (one.connected and two.connected):
                    await asyncio.sleep(0.01)
            passing = [await passed(admission, "192.0.2.1", 10) for admission in (a, b)]
            assert sum(passing) == 2
            passing = [await passed(admission, "192.0.2.2", 10) for admission in (a, b)]
            assert sum(passing) == 14


async def test_a_charge_that_was_not_told_is_told_later() -> None:
    """While Redis does not answer nothing is lost; the last count stands."""
    with ValkeyServer() as server:
        async with open_client(server.url) as client, AsyncExitStack() as stack:
            (first, a), (second, _) = [await process(client, stack) for _ in range(2)]
            await first.beat()
            await passed(a, "192.0.2.1", 7)
            server.kill()
            await first.beat()
            assert first.size == 2
            server.start()
            key = "graph:budget:{address:192.0.2.1}"
            async with within("the news"):
                while second.sight(key) is None:
                    await asyncio.sleep(0.01)
                    await first.beat()
                    await second.beat()
            sight = second.sight(key)
            assert sight is not None
            assert sight.remaining == 13
