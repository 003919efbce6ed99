"""Turns: a crowd is spread over rounds of the loop, in order, and nobody waits for nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import thread_time
from typing import TYPE_CHECKING

import strawberry
from starlette.requests import HTTPConnection

from graph.endpoint import GraphQLEndpoint
from graph.endpoint.document import OperationRequest
from graph.endpoint.execution.turns import FIRST, LONG, LONGEST, Turns
from graph.endpoint.identity import Caller
from harness.waiting import within
from tests.support.apps.small import Scene, Tokens, make_admission

if TYPE_CHECKING:
    from graph.patterns.client import Client


def work(seconds: float) -> None:
    """Keep the loop from everything else."""
    until = thread_time() + seconds
    while thread_time() < until:
        pass


async def test_a_crowd_leaves_room_in_every_round() -> None:
    """Of 100 executions that could all begin at once, no round runs more than a few, and they keep their order."""
    turns = Turns()
    done: list[int] = []

    async def execute(number: int) -> None:
        await turns.mine()
        work(0.002)
        done.append(number)

    crowd = [asyncio.create_task(execute(number)) for number in range(100)]
    rounds: list[int] = []
    while len(done) < len(crowd):
        before = len(done)
        await asyncio.sleep(0)
        rounds.append(len(done) - before)
    assert max(rounds) <= LONGEST / 0.002 + 1
    assert sum(rounds[-3:]) <= 3 * FIRST  # the fewer are left, the fewer in a round
    assert done == sorted(done)


async def test_a_full_loop_keeps_nobody_waiting_for_ever() -> None:
    """Where whatever else is ready makes each round long, those that wait begin several at once."""
    turns = Turns()
    done: list[int] = []

    async def execute(number: int) -> None:
        await turns.mine()
        work(0.0001)
        done.append(number)

    crowd = [asyncio.create_task(execute(number)) for number in range(200)]
    rounds = 0
    while len(done) < len(crowd):
        work(2 * LONG)  # hundreds of requests that are answered from memory
        rounds += 1
        await asyncio.sleep(0)
    assert rounds < 100


async def test_what_nobody_asked_for_takes_every_other_turn() -> None:
    """A hundred live queries that are answered again hold up no request, and requests do not stop them."""
    turns = Turns()
    done: list[str] = []

    async def execute(name: str, *, unasked: bool) -> None:
        await turns.mine(unasked=unasked)
        work(0.002)
        done.append(name)

    crowd = [asyncio.create_task(execute("live", unasked=True)) for _ in range(100)]
    while len(done) < 20:
        await asyncio.sleep(0)
    before = len(done)
    asked = [asyncio.create_task(execute("asked", unasked=False)) for _ in range(40)]
    await asyncio.gather(*asked)
    during = done[before:]
    assert during.count("asked") == 40
    assert 20 <= during.count("live") <= 60
    await asyncio.gather(*crowd)


async def test_operations_take_turns(client: Client) -> None:
    """Queries that were all admitted by one reply of Redis are executed a few a round."""

    def slow() -> int:
        work(0.002)
        done.append(len(done))
        return 1

    done: list[int] = []
    query = strawberry.type(type("Query", (), {"slow": strawberry.field(slow)}))
    endpoint = GraphQLEndpoint(
        strawberry.Schema(query),
        authenticator=Tokens(),
        admission=make_admission(client),
        context=lambda caller, _, response: Scene(caller, response),
    )
    asked, connection = OperationRequest("{ slow }", None, None, None), HTTPConnection({"type": "http", "headers": []})
    engine = endpoint.engine
    crowd = [asyncio.create_task(engine.execute(asked, Caller(str(n)), connection)) for n in range(100)]
    rounds: list[int] = []
    while len(done) < len(crowd):
        before = len(done)
        await asyncio.sleep(0)
        rounds.append(len(done) - before)
    assert max(rounds) <= LONGEST / 0.002 + 1
    assert [answer.data for answer in await asyncio.gather(*crowd)] == [{"slow": 1}] * 100


async def test_cheap_executions_soon_begin_together() -> None:
    """What takes next to nothing is not spread over more and more rounds."""
    turns = Turns()
    crowd = [asyncio.create_task(turns.mine()) for _ in range(5000)]
    rounds = 0
    while not all(task.done() for task in crowd):
        await asyncio.sleep(0)
        rounds += 1
    assert rounds < 300


async def test_nobody_waits_alone() -> None:
    """A single execution begins without giving up its place in the loop, one round after the other."""
    turns = Turns()
    for _ in range(50):
        with suppress(StopIteration):
            turns.mine().send(None)
            raise AssertionError("it waited")
        await asyncio.sleep(0)


async def test_who_gives_up_holds_up_nobody() -> None:
    """Cancelled while they wait, or just as they may begin, callers leave their turns to the others."""
    turns = Turns()
    crowd = [asyncio.create_task(turns.mine()) for _ in range(500)]
    await asyncio.sleep(0)
    for task in crowd[::2]:
        task.cancel()
    async with within("the others' turns"):
        results = await asyncio.gather(*crowd, return_exceptions=True)
    assert results[1::2] == [None] * 250
    async with within("a turn"):
        await turns.mine()
