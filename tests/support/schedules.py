"""Schedules that chance makes for who subscribes to a `Broker`: how they are run, and what all of them are held to."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Protocol

from graph.patterns.broker import broker, channel, healer, subscription
from graph.patterns.client import open_client
from graph.patterns.client.connection import retries
from harness.valkey import ValkeyServer
from harness.waiting import within

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import pytest

    from graph.patterns.client import Client
    from tests.support.chance import Chance

    Schedule = Callable[[int, ValkeyServer, Sequence[Client]], Awaitable[tuple[list[str], int]]]
    """Runs the one with this seed: what was wrong in it, and how many events were taken."""


class Subscriber(Protocol):
    """One who notes what is wrong with the events that it takes."""

    faults: list[str]
    taken: int

    def stay(self) -> None:
        """Leave no more, and end with the first event that is published from now on."""
        ...


def hasten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the broker's pauses short, its pages and rooms small, so that a schedule has many of them."""
    for module in (broker, channel, healer, subscription):
        monkeypatch.setattr(module, "PAGE", 4)
    monkeypatch.setattr(channel, "_HELD", 8)
    monkeypatch.setattr(healer, "_GRACE", 0.002)
    monkeypatch.setattr(healer, "_RETRY_FIRST", 0.001)
    monkeypatch.setattr(healer, "_RETRY_CAP", 0.01)
    monkeypatch.setattr(subscription, "_RETRY", 0.002)
    monkeypatch.setattr(retries, "BACKOFF_BASE", 0.001)


async def end(
    chance: Chance,
    subscribers: Sequence[Subscriber],
    running: Sequence[asyncio.Task[None]],
    publish: Callable[[], Awaitable[None]],
) -> tuple[list[str], int]:
    """Publish, without faults from now on, until all are told of something new; see `Schedule` for what is returned."""
    chance.calm = True
    for one in subscribers:
        one.stay()
    async with within(f"every subscriber in schedule {chance.seed} to be told of something new"):
        while not all(task.done() for task in running):
            await publish()
            await asyncio.sleep(0.001)
    await asyncio.gather(*running)
    return [fault for one in subscribers for fault in one.faults], sum(one.taken for one in subscribers)


async def check(schedule: Schedule, count: int, *, processes: int) -> None:
    """Run `count` schedules with a client for each of `processes`: nothing is wrong, something is taken in each."""
    first = random.randrange(1 << 32)
    with ValkeyServer(aof=True) as server:
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(open_client(server.url)) for _ in range(processes)]
            for seed in range(first, first + count):
                faults, taken = await schedule(seed, server, clients)
                assert faults == [], f"schedule {seed}"
                assert taken, f"schedule {seed}"
