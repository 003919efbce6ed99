"""What waits for a slow client: in order, up to a bound, and with the place to resume at."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from graph.endpoint.subscriptions import Backlog, Outlet
from harness.waiting import within

if TYPE_CHECKING:
    from starlette.types import Message

LIMIT = 3


class Client:
    """A client that takes a message each time it reads."""

    def __init__(self) -> None:
        self.took: list[str] = []
        self._readiness = asyncio.Semaphore(0)
        self._taken = asyncio.Semaphore(0)

    async def send(self, message: Message) -> None:
        """The server's side of the connection."""
        await self._readiness.acquire()
        self.took.append(message["text"])
        self._taken.release()

    async def read(self, count: int) -> None:
        for _ in range(count):
            self._readiness.release()
            async with within("the next message"):
                await self._taken.acquire()
        await asyncio.sleep(0)  # the outlet goes on to the next message


@pytest.fixture
def client() -> Client:
    """One client."""
    return Client()


@pytest.fixture
def backlog(client: Client) -> Backlog:
    """The backlog of one operation for it."""
    return Backlog(Outlet(client.send), LIMIT)


def give(backlog: Backlog, *names: str, latest: bool = False) -> str | None:
    """Give results that are their own cursors; what the last comes to."""
    errors = None
    for name in names:
        errors = backlog.result({"type": "websocket.send", "text": name}, name, latest=latest)
    return errors


async def test_results_keep_their_order(client: Client, backlog: Backlog) -> None:
    """What waits is sent in the order in which it came, and the end after it, though the backlog is full."""
    assert give(backlog, "1", "2", "3", "4") is None
    backlog.say({"type": "websocket.send", "text": "end"})
    await client.read(5)
    assert client.took == ["1", "2", "3", "4", "end"]


async def test_the_bound_ends_it_with_the_last_cursor_that_was_sent(client: Client, backlog: Backlog) -> None:
    """One result too many drops what waits; the cursor is that of the last result handed to the connection."""
    assert give(backlog, "1", "2", "3", "4") is None
    await client.read(2)  # 3 is on its way, 4 waits
    assert give(backlog, "5", "6") is None
    errors = give(backlog, "7")
    assert errors is not None
    assert json.loads(errors)[0]["extensions"] == {"code": "SLOW_CONSUMER", "cursor": "3"}
    backlog.say({"type": "websocket.send", "text": "end"})
    await client.read(2)
    assert client.took == ["1", "2", "3", "end"]


async def test_the_newest_replaces_what_waits(client: Client, backlog: Backlog) -> None:
    """With `latest` a slow client is never ended and skips to the newest result."""
    for number in range(10):
        assert give(backlog, str(number), latest=True) is None
    await client.read(2)
    assert client.took == ["0", "9"]


async def test_what_is_dropped_is_not_sent(client: Client, backlog: Backlog) -> None:
    """After `drop` nothing that waited reaches the client, and what comes then does."""
    give(backlog, "1", "2", "3")
    backlog.drop()
    await client.read(1)
    give(backlog, "4")
    await client.read(1)
    assert client.took == ["1", "4"]
