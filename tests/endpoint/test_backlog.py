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


class Texts(Backlog):
    """Results as they are; what ended it is noted."""

    ended: str | None = None

    def next(self, payload: str, cursor: str | None = None) -> None:
        self.result(text(payload), cursor)

    def error(self, errors: str, extensions: str = "") -> None:
        self.ended = errors


@pytest.fixture
def backlog(client: Client) -> Texts:
    """The backlog of one operation for it."""
    return Texts(Outlet(client.send), LIMIT)


def text(content: str) -> Message:
    """A message of the operation."""
    return {"type": "websocket.send", "text": content}


def give(backlog: Texts, *names: str) -> None:
    """Give results that are their own cursors."""
    for name in names:
        backlog.next(name, name)


async def test_results_keep_their_order(client: Client, backlog: Texts) -> None:
    """What waits is sent in the order in which it came, and the end after it, though the backlog is full."""
    give(backlog, "1", "2", "3", "4")
    backlog.say(text("end"))
    await client.read(5)
    assert client.took == ["1", "2", "3", "4", "end"]


async def test_the_bound_ends_it_with_the_last_cursor_that_was_sent(client: Client, backlog: Texts) -> None:
    """One result too many drops what waits; the cursor is that of the last result handed to the connection."""
    give(backlog, "1", "2", "3", "4")
    await client.read(2)  # 3 is on its way, 4 waits
    give(backlog, "5", "6")
    assert backlog.ended is None
    give(backlog, "7")
    assert backlog.ended is not None
    assert json.loads(backlog.ended)[0]["extensions"] == {"code": "SLOW_CONSUMER", "cursor": "3"}
    backlog.say(text("end"))
    await client.read(2)
    assert client.took == ["1", "2", "3", "end"]


async def test_the_newest_replaces_what_waits(client: Client, backlog: Texts) -> None:
    """By `latest` a slow client is never ended and skips to the newest result."""
    for number in range(10):
        backlog.latest(str(number))
    assert backlog.ended is None
    await client.read(2)
    assert client.took == ["0", "9"]


async def test_what_is_dropped_is_not_sent(client: Client, backlog: Texts) -> None:
    """After `drop` nothing that waited reaches the client, and what comes then does."""
    give(backlog, "1", "2", "3")
    backlog.drop()
    await client.read(1)
    give(backlog, "4")
    await client.read(1)
    assert client.took == ["1", "4"]


async def test_a_backlog_tells_when_nothing_waits() -> None:
    """A client that takes what waits, and one whose messages are dropped, lets go whoever waits for it."""
    reads = asyncio.Semaphore(0)

    async def send(_message: Message) -> None:
        await reads.acquire()

    for let_go in ("read", "drop"):
        outlet = Outlet(send)
        backlog = Texts(outlet, 10)
        for n in range(3):
            backlog.next(str(n))
        waiting = asyncio.create_task(backlog.drained())
        await asyncio.sleep(0)
        assert backlog.busy
        if let_go == "drop":
            backlog.drop()
        else:
            for _ in range(3):
                reads.release()
        async with within("the queue to run dry"):
            await waiting
        assert not backlog.busy
        await outlet.close()
